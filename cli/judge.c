/* SPDX-License-Identifier: GPL-3.0-or-later */
/* judge.c - what a store's rows say: a comparison where trials ran in both worlds, else the rows */
#include "cli.h"

#include "compare.h"

#include <errno.h>
#include <stdlib.h>

static void print_report(const struct comparison_report *report, enum judge_form form)
{
	if (form == JUDGE_JSON)
		compare_json(stdout, report);
	else if (form == JUDGE_MARKDOWN)
		compare_markdown(stdout, report);
	else
		compare_print(stdout, report);
}

static int judge_rows(const char *dir, const struct result_row *rows, size_t count,
		      enum judge_form form, enum judge_want want, struct err *err)
{
	struct comparison_report report;

	if (compare_report_make(&report, rows, count, dir, err))
		return err->code;
	if (report.pair_count)
		print_report(&report, form);
	else if (want == JUDGE_PAIRS)
		err_set(err, ENODATA, "'%s' holds no trial that ran in both worlds", dir);
	else if (form == JUDGE_JSON)
		print_rows_json(stdout, rows, count);
	else
		print_rows(stdout, rows, count);
	compare_report_fini(&report);
	return err->code;
}

int judge(const char *dir, enum judge_form form, enum judge_want want, struct err *err)
{
	struct results *results = NULL;
	struct result_row *rows = NULL;
	size_t count = 0;

	if (store_wanted(dir, err) || results_open(&results, dir, err) ||
	    results_all(results, &rows, &count, err))
		goto out;
	(void)!judge_rows(dir, rows, count, form, want, err);
out:
	free(rows);
	results_close(results);
	return err->code;
}

int judge_form_read(enum judge_form *form, bool json, bool markdown, struct err *err)
{
	if (json && markdown)
		return err_set(err, EINVAL, "--json and --markdown: one of them, please");
	*form = json ? JUDGE_JSON : markdown ? JUDGE_MARKDOWN : JUDGE_TEXT;
	return 0;
}
