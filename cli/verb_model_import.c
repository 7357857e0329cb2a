/* SPDX-License-Identifier: GPL-3.0-or-later */
/* verb_model_import.c - `model import`: a published checkpoint becomes a model */
#include "cli.h"

#include "import.h"
#include "model_make.h"
#include "plain_text.h"

#include <errno.h>
#include <stdio.h>

static void warn(void *arg, const char *text)
{
	struct progress *line = arg;

	if (line) {
		progress_note(line, "warning: %s", text);
		return;
	}
	fputs("warning: ", stderr);
	plain_write(stderr, text);
	fputc('\n', stderr);
}

static int import(const char *from, const struct make_args *args, struct err *err)
{
	struct fraction_progress progress = {NULL, 0};
	struct import_options options = {
		.row_align = (uint64_t)args->row_align_bytes,
		.warn = warn,
		.progress = make_tell,
		.progress_arg = &progress,
	};
	struct import_report report;
	struct make_layouts chosen;

	if (args->row_align_bytes != 512 && args->row_align_bytes != 4096)
		return err_set(err, EINVAL, "--row-align: got %g B, expected 512B or 4KiB",
			       args->row_align_bytes);
	if (make_check(args, err) ||
	    make_word(&options.weights, "weights", weight_type_words, args->weights, err) ||
	    make_word(&options.activation, "activation", activation_words, args->activation, err) ||
	    make_layouts(&chosen, &args->layouts, err))
		return err->code;
	options.layouts = chosen.layouts;
	options.layout_count = chosen.count;
	make_stoppable();
	progress.line = progress_open("model import", 1);
	options.warn_arg = progress.line;
	(void)!model_import(args->dir, from, &options, &report, err);
	progress_close(progress.line);
	return err->code ? err->code : make_report(args, err);
}

int verb_model_import(int argc, char **argv, struct err *err)
{
	struct make_args got = {.row_align_bytes = 512};
	const struct opt opts[] = {
		{"out", 'o', OPT_TEXT, &got.dir, "MODEL",
		 "the folder to make: base.gguf and ffn.<layout>.gguf", 0, 0},
		{"weights", 0, OPT_TEXT, &got.weights, "TYPE",
		 "f32, f16 or bf16; default as in the checkpoint", 0, 0},
		{"layout", 0, OPT_LIST, &got.layouts, "NAME",
		 "a layout to write, bundle or split; may be repeated; default all", 0, 0},
		{"activation", 0, OPT_TEXT, &got.activation, "NAME",
		 "relu, gelu or gelu_tanh; default as config.json says (a GGUF file does not: "
		 "gelu)",
		 0, 0},
		{"row-align", 0, OPT_UNIT, &got.row_align_bytes, "SIZE",
		 "FFN rows are padded to this: 512B (default) or 4KiB", DIM_BYTES, 0},
		{"json", 0, OPT_FLAG, &got.json, NULL, "what was made, as a JSON object", 0, 0},
	};
	const struct verb_spec spec = {
		.usage = "model import CHECKPOINT -o MODEL [OPTIONS]",
		.about = "Makes a model from a checkpoint of the OPT or Falcon family: a Hugging "
			 "Face folder (safetensors\n"
			 "or PyTorch .bin, sharded or not; no code in them is run), or a Falcon "
			 "GGUF file of llama.cpp's.\n"
			 "Weights stream, so that memory does not grow with the model.",
		.opts = opts,
		.opt_count = sizeof(opts) / sizeof(opts[0]),
		.operands_least = 1,
		.operands_most = 1,
	};
	struct args args;

	if (!args_parse(&args, &spec, argc, argv, err) && !args.helped)
		(void)!import(args.operands.items[0], &got, err);
	args_fini(&args, &spec);
	return err->code;
}
