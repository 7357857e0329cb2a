/* SPDX-License-Identifier: GPL-3.0-or-later */
/* verb_model.c - `model synth` makes a model, `model inspect` says what is inside */
#include "cli.h"

#include "configs.h"
#include "live_session.h"
#include "model_make.h"
#include "model_report.h"
#include "real_model.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static int synth(const char *geometry, const struct make_args *args, struct err *err)
{
	struct fraction_progress progress = {NULL, 0};
	struct synth_options options = {
		.seed = args->seed, .progress = make_tell, .progress_arg = &progress};
	struct ynode *map = NULL;
	struct make_layouts chosen;
	struct model model;
	int weights;

	if (make_check(args, err) ||
	    make_word(&weights, "weights", weight_type_words, args->weights, err) ||
	    make_layouts(&chosen, &args->layouts, err) ||
	    config_load(&map, CONFIG_MODEL, geometry, err) || model_read(&model, map, err))
		goto out;
	options.model = &model;
	options.weights = (enum weight_type)weights;
	options.layouts = chosen.layouts;
	options.layout_count = chosen.count;
	make_stoppable();
	progress.line = progress_open("model synth", 1);
	(void)!real_model_synth(args->dir, &options, err);
	progress_close(progress.line);
	if (!err->code)
		(void)!make_report(args, err);
out:
	ynode_free(map);
	return err->code;
}

static int model_synth(int argc, char **argv, struct err *err)
{
	struct make_args got = {.weights = "f16", .seed = 1};
	const struct opt opts[] = {
		{"out", 'o', OPT_TEXT, &got.dir, "MODEL",
		 "the folder to make: base.gguf and ffn.<layout>.gguf", 0, 0},
		{"weights", 0, OPT_TEXT, &got.weights, "TYPE", "f16 (default), f32 or bf16", 0, 0},
		{"layout", 0, OPT_LIST, &got.layouts, "NAME",
		 "a layout to write, bundle or split; may be repeated; default all", 0, 0},
		{"seed", 0, OPT_COUNT, &got.seed, "N", "of the weights; default 1", 0, 0},
		{"json", 0, OPT_FLAG, &got.json, NULL, "what was made, as a JSON object", 0, 0},
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
		(void)!synth(args.operands.items[0], &got, err);
	args_fini(&args, &spec);
	return err->code;
}

struct inspect_args {
	uint64_t ctx;
	bool verify, tensors, json;
};

static int verify(const char *dir, const struct model_facts *facts, struct err *err)
{
	struct fraction_progress progress = {progress_open("verify", facts->file_count), 0};

	for (unsigned i = 0; i < facts->file_count && !err->code; i++)
		(void)!model_file_verify(dir, &facts->files[i], fraction_tell, &progress, err);
	progress_close(progress.line);
	if (!err->code && facts->stray_count > 0)
		err_set(err, EBADMSG, "%s", facts->strays[0].why);
	return err->code;
}

/* A run holds its tokenizer: so does this process while it counts itself. */
static int make_table(struct dram_table *dram, const struct model_facts *facts, const char *dir,
		      uint64_t ctx, struct err *err)
{
	struct tokenizer *tokenizer = NULL;

	if (!model_tokenizer_read(&tokenizer, dir, err))
		(void)!dram_table_make(dram, facts, ctx, err);
	tokenizer_close(tokenizer);
	return err->code;
}

static int inspect(const char *dir, const struct inspect_args *args, struct err *err)
{
	struct model_facts facts;
	struct dram_table dram;
	const struct model_report report = {
		.dir = dir,
		.facts = &facts,
		.dram = &dram,
		.ctx = args->ctx,
		.verified = args->verify,
		.tensors = args->tensors,
	};

	if (model_facts_read(&facts, dir, err) || (args->verify && verify(dir, &facts, err)) ||
	    make_table(&dram, &facts, dir, args->ctx, err))
		return err->code;
	if (args->json)
		model_report_json(stdout, &report);
	else
		model_report_text(stdout, &report);
	return 0;
}

static int model_inspect(int argc, char **argv, struct err *err)
{
	struct inspect_args got = {.ctx = 384};
	const struct opt opts[] = {
		{"ctx", 'c', OPT_COUNT, &got.ctx, "N",
		 "tokens that the KV cache is counted for; default 384", 0, 1},
		{"verify", 0, OPT_FLAG, &got.verify, NULL,
		 "read every file through and hold it against its digest", 0, 0},
		{"tensors", 0, OPT_FLAG, &got.tensors, NULL,
		 "list the tensors too (of the first layer: all are alike)", 0, 0},
		{"json", 0, OPT_FLAG, &got.json, NULL, "the same as a JSON object", 0, 0},
	};
	const struct verb_spec spec = {
		.usage = "model inspect MODEL [OPTIONS]",
		.about = "Prints a model's geometry, tokenizer, files, sizes by part, padding, "
			 "digest, and what DRAM each\n"
			 "shipped policy would hold.",
		.opts = opts,
		.opt_count = sizeof(opts) / sizeof(opts[0]),
		.operands_least = 1,
		.operands_most = 1,
	};
	struct args args;

	if (!args_parse(&args, &spec, argc, argv, err) && !args.helped)
		(void)!inspect(args.operands.items[0], &got, err);
	args_fini(&args, &spec);
	return err->code;
}

int verb_model(int argc, char **argv, struct err *err)
{
	static const struct subverb subs[] = {
		{"import", "a published checkpoint as a model", verb_model_import},
		{"synth", "a synthetic model in exact geometry", model_synth},
		{"inspect", "what is inside a model's files", model_inspect},
	};

	return subverb_run("model", subs, sizeof(subs) / sizeof(subs[0]), argc, argv, err);
}
