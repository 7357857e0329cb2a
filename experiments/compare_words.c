/* SPDX-License-Identifier: GPL-3.0-or-later */
/* compare_words.c - the names, numbers and reasons that all printed forms of a comparison use */
#include "compare_table.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

const char *const component_names[COMPONENT__COUNT] = {
	[COMPONENT_IO] = "io",		 [COMPONENT_WAIT] = "io_wait", [COMPONENT_MEM] = "mem",
	[COMPONENT_COMPUTE] = "compute", [COMPONENT_TOTAL] = "total",
};

const char *const component_titles[COMPONENT__COUNT] = {
	[COMPONENT_IO] = "flash I/O",	 [COMPONENT_WAIT] = "I/O wait", [COMPONENT_MEM] = "memory",
	[COMPONENT_COMPUTE] = "compute", [COMPONENT_TOTAL] = "total",
};

const char *const quantile_names[QUANTILE__COUNT] = {
	[QUANTILE_P50] = "p50", [QUANTILE_P95] = "p95", [QUANTILE_P99] = "p99"};

/* Most of what is swept is the policy's: 'policy=bundle policy.window=5' is 'bundle window=5'. */
const char *compare_name(char name[RESULT_TEXT], const struct comparison *pair)
{
	const char *from = pair->sim->trial[0] ? pair->sim->trial : pair->sim->policy;
	char *to = name;

	for (bool is_first = true; *from;) {
		if (is_first && strncmp(from, "policy", 6) == 0 &&
		    (from[6] == '.' || from[6] == '='))
			from += 7;
		is_first = *from == ' ';
		if (*from)
			*to++ = *from++;
	}
	*to = '\0';
	return name;
}

const char *compare_why(char why[WHY_TEXT], const struct comparison *pair)
{
	uint64_t clean = compare_clean_repeats(pair->real);

	why[0] = '\0';
	if (pair->judged)
		return why;
	if (clean < COMPARE_REPEATS_MIN)
		snprintf(why, WHY_TEXT, "%" PRIu64 " clean repeats, %d wanted", clean,
			 COMPARE_REPEATS_MIN);
	else
		snprintf(why, WHY_TEXT, "noise above %.0f %%", 100 * COMPARE_NOISE_MAX);
	return why;
}

void compare_put_remarks(FILE *out, const struct comparison *pair, const char *before)
{
	char why[WHY_TEXT];

	if (!pair->same_decisions)
		fprintf(out, "%sDECISIONS DIFFER", before);
	if (!pair->same_threads)
		fprintf(out, "%sthreads: profile %" PRIu64 ", measured %" PRIu64, before,
			pair->sim->threads, pair->real->threads);
	if (!pair->same_engine)
		fprintf(out, "%sread engine: profile %s, measured %s", before,
			pair->sim->read_engine, pair->real->read_engine);
	if (!pair->judged)
		fprintf(out, "%snot judged: %s", before, compare_why(why, pair));
}

double compare_dram_bytes(const struct result_row *row)
{
	return row->dram_weights_bytes == COL_NONE ? (double)NAN : (double)row->dram_weights_bytes;
}

const char *compare_cell(char text[CELL_TEXT], double value)
{
	if (isnan(value))
		snprintf(text, CELL_TEXT, "-");
	else if (fabs(value) >= 99.95)
		snprintf(text, CELL_TEXT, "%.0f", value);
	else
		snprintf(text, CELL_TEXT, "%.*f", fabs(value) >= 9.995 ? 1 : 2, value);
	return text;
}

const char *compare_percent(char text[CELL_TEXT], double frac, const char *sign)
{
	if (isnan(frac))
		snprintf(text, CELL_TEXT, "-");
	else
		snprintf(text, CELL_TEXT, "%s%.1f", frac >= 0 ? sign : "", 100 * frac);
	return text;
}
