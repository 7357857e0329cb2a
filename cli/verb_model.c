/* SPDX-License-Identifier: GPL-3.0-or-later */
/* verb_model.c - `model synth` makes a model's files, `model inspect` says what is inside */
#include "cli.h"

#include "configs.h"
#include "real_model.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct layout_ops *const layouts[] = {
#define LAYOUT(name) &layout_##name,
#include "layouts.h"
#undef LAYOUT
};
enum { LAYOUT_COUNT = sizeof(layouts) / sizeof(layouts[0]) };

/* "split,bundle" -> the members; all of them when not given. */
static int read_layouts(struct synth_options *options, const struct layout_ops **chosen,
			const char *text, struct err *err)
{
	options->layouts = chosen;
	if (!text) {
		memcpy(chosen, layouts, sizeof(layouts));
		options->layout_count = LAYOUT_COUNT;
		return 0;
	}
	while (*text) {
		size_t length = strcspn(text, ","), i;

		for (i = 0; i < LAYOUT_COUNT; i++)
			if (strlen(layouts[i]->name) == length &&
			    !strncmp(layouts[i]->name, text, length))
				break;
		if (i == LAYOUT_COUNT || options->layout_count == LAYOUT_COUNT)
			return err_set(err, EINVAL,
				       "--layouts: got '%.*s', expected names of layouts, each "
				       "once, with commas between",
				       (int)length, text);
		chosen[options->layout_count++] = layouts[i];
		text += length + (text[length] == ',');
	}
	return 0;
}

static int synth(const char *geometry, const char *dir, const char *weights, const char *names,
		 uint64_t seed, struct err *err)
{
	const struct layout_ops *chosen[LAYOUT_COUNT];
	struct fraction_progress progress = {NULL, 0};
	struct synth_options options = {
		.seed = seed, .progress = fraction_tell, .progress_arg = &progress};
	struct ynode *map = NULL;
	struct model model;
	int type = word_value(weight_type_words, weights);

	if (!dir)
		return err_set(err, EINVAL, "-o MODEL is missing: the folder to make");
	if (type < 0)
		return err_set(err, EINVAL, "--weights: got '%s', expected f32, f16 or bf16", weights);
	if (read_layouts(&options, chosen, names, err) ||
	    config_load(&map, CONFIG_MODEL, geometry, err) || model_read(&model, map, err))
		goto out;
	options.model = &model;
	options.weights = (enum weight_type)type;
	progress.line = progress_open("model synth", 1);
	if (!real_model_synth(dir, &options, err))
		printf("made %s: %s, %s, %.2f GB of parameters\n", dir, model.name, weights,
		       (double)model_param_bytes(&model, options.weights) / 1e9);
	progress_close(progress.line);
out:
	ynode_free(map);
	return err->code;
}

static int model_synth(int argc, char **argv, struct err *err)
{
	const char *dir = NULL, *weights = "f16", *names = NULL;
	uint64_t seed = 1;
	const struct opt opts[] = {
		{"out", 'o', OPT_TEXT, &dir, "MODEL",
		 "the folder to make: base.gguf and ffn.<layout>.gguf", 0, 0},
		{"weights", 0, OPT_TEXT, &weights, "TYPE", "f16 (default), f32 or bf16", 0, 0},
		{"layouts", 0, OPT_TEXT, &names, "NAMES",
		 "layouts to write, with commas between; default all", 0, 0},
		{"seed", 0, OPT_COUNT, &seed, "N", "of the weights; default 1", 0, 0},
	};
	const struct verb_spec spec = {
		.usage = "model synth GEOMETRY -o MODEL [OPTIONS]",
		.about = "Writes a synthetic model of the exact geometry of GEOMETRY (a name under "
			 "configs/model or a\n"
			 "path): random weights of a trained model's scale, in GGUF v3, fsynced, "
			 "with no unwritten extents.",
		.opts = opts,
		.opt_count = sizeof(opts) / sizeof(opts[0]),
		.operands_least = 1,
		.operands_most = 1,
	};
	struct args args;

	if (!args_parse(&args, &spec, argc, argv, err) && !args.helped)
		(void)!synth(args.operands.items[0], dir, weights, names, seed, err);
	args_fini(&args, &spec);
	return err->code;
}

static int model_inspect(int argc, char **argv, struct err *err)
{
	const struct verb_spec spec = {
		.usage = "model inspect MODEL",
		.about = "Prints a model folder's geometry, tensors, and sizes by region, padding "
			 "included.",
		.operands_least = 1,
		.operands_most = 1,
	};
	struct args args;

	if (!args_parse(&args, &spec, argc, argv, err) && !args.helped)
		(void)!real_model_inspect(args.operands.items[0], stdout, err);
	args_fini(&args, &spec);
	return err->code;
}

int verb_model(int argc, char **argv, struct err *err)
{
	static const struct subverb subs[] = {
		{"synth", "a synthetic model in exact geometry", model_synth},
		{"inspect", "what is inside a model's files", model_inspect},
	};

	return subverb_run("model", subs, sizeof(subs) / sizeof(subs[0]), argc, argv, err);
}
