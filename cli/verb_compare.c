/* SPDX-License-Identifier: GPL-3.0-or-later */
/* verb_compare.c - `compare`: the comparison again from stored rows */
#include "cli.h"

int verb_compare(int argc, char **argv, struct err *err)
{
	bool json = false, markdown = false;
	const struct opt opts[] = {
		{"json", 0, OPT_FLAG, &json, NULL, "as JSON on standard output", 0, 0},
		{"markdown", 0, OPT_FLAG, &markdown, NULL, "as tables of Markdown", 0, 0},
	};
	const struct verb_spec spec = {
		.usage = "compare DIR [OPTIONS]",
		.about = "Judges predictions against measurements from the rows in "
			 "DIR/results.sqlite, as `validate` does at its end;\n"
			 "nothing runs. Definitions: docs/validation.md.",
		.opts = opts,
		.opt_count = sizeof(opts) / sizeof(opts[0]),
		.operands_least = 1,
		.operands_most = 1,
	};
	enum judge_form form;
	struct args args;

	if (!args_parse(&args, &spec, argc, argv, err) && !args.helped &&
	    !judge_form_read(&form, json, markdown, err))
		(void)!judge(args.operands.items[0], form, JUDGE_PAIRS, err);
	args_fini(&args, &spec);
	return err->code;
}
