/* SPDX-License-Identifier: GPL-3.0-or-later */
/* verb_merge.c - `merge`: the stores of a sweep's shards become one */
#include "cli.h"

#include "results.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* How many rows there are now. */
static int count_rows(size_t *count, struct results *results, struct err *err)
{
	struct result_row *rows = NULL;

	if (!results_all(results, &rows, count, err))
		free(rows);
	return err->code;
}

static void tell(const char *dir, const struct arg_list *stores, size_t before, size_t after)
{
	printf("merged %zu stores, %zu rows new and %zu in all, into %s/results.sqlite and "
	       "%s/results.csv\n",
	       stores->count, after - before, after, dir, dir);
}

static void tell_json(const char *dir, const struct arg_list *stores, size_t before, size_t after)
{
	struct json json = {.out = stdout};

	json_put_object(&json, NULL);
	json_put_text(&json, "dir", dir);
	json_put_list(&json, "merged");
	for (size_t i = 0; i < stores->count; i++)
		json_put_text(&json, NULL, stores->items[i]);
	json_put_end(&json);
	json_put_count(&json, "rows_new", after - before);
	json_put_count(&json, "rows", after);
	json_put_end(&json);
}

static int merge(const char *dir, const struct arg_list *stores, bool as_json, struct err *err)
{
	struct results *results = NULL;
	size_t before = 0, after = 0;

	if (!dir)
		return err_set(err, EINVAL, "-o DIR is missing: the store that takes the rows in");
	for (size_t i = 0; i < stores->count; i++)
		if (store_wanted(stores->items[i], err))
			return err->code;
	if (results_open(&results, dir, err) || count_rows(&before, results, err))
		goto out;
	for (size_t i = 0; i < stores->count; i++)
		if (results_merge(results, stores->items[i], err))
			goto out;
	if (count_rows(&after, results, err) || results_export_csv(results, dir, err))
		goto out;
	if (as_json)
		tell_json(dir, stores, before, after);
	else
		tell(dir, stores, before, after);
out:
	results_close(results);
	return err->code;
}

int verb_merge(int argc, char **argv, struct err *err)
{
	const char *dir = NULL;
	bool json = false;
	const struct opt opts[] = {
		{"out", 'o', OPT_TEXT, &dir, "DIR",
		 "the store that takes the rows in; made when missing", 0, 0},
		{"json", 0, OPT_FLAG, &json, NULL, "what was merged as JSON", 0, 0},
	};
	const struct verb_spec spec = {
		.usage = "merge DIR... -o DIR [OPTIONS]",
		.about = "Takes every row of the given stores into one. A trial and world that "
			 "stands there already stays.",
		.opts = opts,
		.opt_count = sizeof(opts) / sizeof(opts[0]),
		.operands_least = 1,
		.operands_most = 100000,
	};
	struct args args;

	if (!args_parse(&args, &spec, argc, argv, err) && !args.helped)
		(void)!merge(dir, &args.operands, json, err);
	args_fini(&args, &spec);
	return err->code;
}
