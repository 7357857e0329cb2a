/* SPDX-License-Identifier: GPL-3.0-or-later */
/* verb_merge.c - `merge`: the stores of a sweep's shards become one */
#include "cli.h"

#include "results.h"

#include <errno.h>
#include <stdio.h>

int verb_merge(int argc, char **argv, struct err *err)
{
	const char *dir = NULL;
	const struct opt opts[] = {
		{"out", 'o', OPT_TEXT, &dir, "DIR",
		 "the store that takes the rows in; made when missing", 0, 0},
	};
	const struct verb_spec spec = {
		.usage = "merge DIR... -o DIR",
		.about = "Takes every row of the given stores into one. A trial and world that "
			 "stands there already stays.",
		.opts = opts,
		.opt_count = 1,
		.operands_least = 1,
		.operands_most = 100000,
	};
	struct results *results = NULL;
	struct args args;

	if (args_parse(&args, &spec, argc, argv, err) || args.helped)
		goto out;
	if (!dir) {
		err_set(err, EINVAL, "-o DIR is missing: the store that takes the rows in");
		goto out;
	}
	for (size_t i = 0; i < args.operands.count; i++)
		if (store_wanted(args.operands.items[i], err))
			goto out;
	if (results_open(&results, dir, err))
		goto out;
	for (size_t i = 0; i < args.operands.count; i++)
		if (results_merge(results, args.operands.items[i], err))
			goto out;
	if (!results_export_csv(results, dir, err))
		printf("merged %zu stores into %s/results.sqlite and %s/results.csv\n",
		       args.operands.count, dir, dir);
out:
	results_close(results);
	args_fini(&args, &spec);
	return err->code;
}
