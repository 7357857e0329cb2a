/* SPDX-License-Identifier: GPL-3.0-or-later */
/* param.c - reads, writes and explains rows of parameters */
#include "param.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_MAX_LEN = 64, VALUE_TEXT = 512, LIST_TEXT = 400, SHOWN_MAX = 64 };

/* ---- near names ---- */

static size_t min_of(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Edits between two names, a swap of neighbours being one (optimal string alignment). */
static size_t edit_distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
	size_t rows[3][NAME_MAX_LEN + 1];

	for (size_t j = 0; j <= b_len; j++)
		rows[0][j] = j;
	for (size_t i = 1; i <= a_len; i++) {
		const size_t *above2 = rows[(i + 1) % 3], *above = rows[(i + 2) % 3];
		size_t *row = rows[i % 3];

		row[0] = i;
		for (size_t j = 1; j <= b_len; j++) {
			row[j] = above[j - 1] + (a[i - 1] != b[j - 1]);
			row[j] = min_of(row[j], min_of(above[j], row[j - 1]) + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				row[j] = min_of(row[j], above2[j - 2] + 1);
		}
	}
	return rows[a_len % 3][b_len];
}

const char *near_name(const char *got, const char *const *names, size_t count)
{
	size_t length = strlen(got);
	size_t least = (length / 3 ? length / 3 : 1) + 1;
	const char *nearest = NULL;

	if (length > NAME_MAX_LEN)
		return NULL;
	for (size_t i = 0; i < count; i++) {
		size_t name_len = strlen(names[i]), distance;

		if (name_len > NAME_MAX_LEN)
			continue;
		distance = edit_distance(got, length, names[i], name_len);
		/* A name of which no letter stays is not near, however short it is. */
		if (distance < least && distance < name_len) {
			least = distance;
			nearest = names[i];
		}
	}
	return nearest;
}

/* Names joined by ", " into 'text'; "..." when they do not fit. */
static void names_join(char *text, size_t size, const char *const *names, size_t count)
{
	size_t used = 0;

	text[0] = '\0';
	for (size_t i = 0; i < count; i++) {
		size_t need = strlen(names[i]) + 2;

		if (used + need + sizeof("...") > size) {
			snprintf(text + used, size - used, "...");
			return;
		}
		used += (size_t)snprintf(text + used, size - used, "%s%s", i ? ", " : "", names[i]);
	}
}

/* ---- words ---- */

enum { WORDS_MAX = 64 };

static size_t words_names(const char *names[WORDS_MAX], const struct param_word *words)
{
	size_t count = 0;

	while (words[count].text && count < WORDS_MAX) {
		names[count] = words[count].text;
		count++;
	}
	return count;
}

int word_value(const struct param_word *words, const char *text)
{
	for (int i = 0; words[i].text; i++) {
		if (strcmp(words[i].text, text) == 0)
			return i;
	}
	return -1;
}

static int word_unknown(const struct param *row, const char *text, struct err *err)
{
	const char *names[WORDS_MAX], *near;
	size_t count = words_names(names, row->words);
	char list[LIST_TEXT];

	names_join(list, sizeof(list), names, count);
	near = near_name(text, names, count);
	if (near)
		return err_set(err, EINVAL, "'%.*s' is none of %s (did you mean %s?)", SHOWN_MAX,
			       text, list, near);
	return err_set(err, EINVAL, "'%.*s' is none of %s", SHOWN_MAX, text, list);
}

/* ---- reading one value ---- */

/* What a row wants, for messages and help. */
static const char *row_wants(const struct param *row, char *text, size_t size)
{
	const char *names[WORDS_MAX];
	char list[LIST_TEXT];

	switch (row->type) {
	case PARAM_U64:
	case PARAM_F64:
		list[0] = '\0';
		if (row->words)
			names_join(list, sizeof(list), names, words_names(names, row->words));
		snprintf(text, size, "%s%s%s", dim_name(row->dim), list[0] ? " or " : "", list);
		break;
	case PARAM_WORD:
		names_join(list, sizeof(list), names, words_names(names, row->words));
		snprintf(text, size, "one of %s", list);
		break;
	case PARAM_BOOL:
		snprintf(text, size, "true or false");
		break;
	case PARAM_TEXT:
		snprintf(text, size, "text");
		break;
	}
	return text;
}

/* A bound as people write it: 1e+09 and not 1000000000, but 1048576 and not 1.04858e+06. */
static void bound_text(char *text, size_t size, double bound)
{
	snprintf(text, size, "%g", bound);
	if (strtod(text, NULL) != bound)
		unit_format(text, size, bound, DIM_NONE);
}

static int outside(const struct param *row, const char *text, struct err *err)
{
	const char *base = dim_base(row->dim);
	char min[64], max[64];

	bound_text(min, sizeof(min), row->min);
	bound_text(max, sizeof(max), row->max);
	return err_set(err, EINVAL, "%.*s is outside [%s, %s]%s%s", SHOWN_MAX, text, min, max,
		       base[0] ? " " : "", base);
}

static int u64_parse(uint64_t *value, const struct param *row, const char *text, struct err *err)
{
	double number;
	int rc;

	/* Plain digits keep all 64 bits, which a double would not. */
	if (text[0] != '\0' && (text[0] != '0' || text[1] == '\0') &&
	    text[strspn(text, "0123456789")] == '\0') {
		errno = 0;
		*value = strtoull(text, NULL, 10);
		return errno == ERANGE ? outside(row, text, err) : 0;
	}
	rc = unit_parse(&number, text, row->dim, err);
	if (rc)
		return rc;
	if (number < 0 || number >= 0x1p64)
		return outside(row, text, err);
	if (number != floor(number)) {
		const char *base = dim_base(row->dim);

		return err_set(err, EINVAL, "%.*s is not a whole number%s%s", SHOWN_MAX, text,
			       base[0] ? " of " : "", base);
	}
	*value = (uint64_t)number;
	return 0;
}

static int number_or_word_unknown(const struct param *row, const char *text, struct err *err)
{
	const char *names[WORDS_MAX], *near;
	size_t count = words_names(names, row->words);
	char list[LIST_TEXT];

	names_join(list, sizeof(list), names, count);
	near = near_name(text, names, count);
	return err_set(err, EINVAL, "'%.*s' is neither %s nor %s%s%s%s", SHOWN_MAX, text,
		       dim_name(row->dim), list, near ? " (did you mean " : "", near ? near : "",
		       near ? "?)" : "");
}

static int read_u64(const struct param *row, const char *text, void *at, struct err *err)
{
	int word = row->words ? word_value(row->words, text) : -1;
	uint64_t value = (uint64_t)word;
	int rc;

	if (word >= 0) {
		memcpy(at, &value, sizeof(value));
		return 0;
	}
	if (row->words && !(text[0] >= '0' && text[0] <= '9'))
		return number_or_word_unknown(row, text, err);
	rc = u64_parse(&value, row, text, err);
	if (rc)
		return rc;
	if ((double)value < row->min || (double)value > row->max)
		return outside(row, text, err);
	memcpy(at, &value, sizeof(value));
	return 0;
}

static int read_f64(const struct param *row, const char *text, void *at, struct err *err)
{
	double value = 0;
	int rc = unit_parse(&value, text, row->dim, err);

	if (rc)
		return rc;
	if (value < row->min || value > row->max)
		return outside(row, text, err);
	memcpy(at, &value, sizeof(value));
	return 0;
}

static int read_word(const struct param *row, const char *text, void *at, struct err *err)
{
	int found = word_value(row->words, text);
	unsigned value = (unsigned)found;

	if (found < 0)
		return word_unknown(row, text, err);
	memcpy(at, &value, sizeof(value));
	return 0;
}

static int read_bool(const char *text, void *at, struct err *err)
{
	bool value = strcmp(text, "true") == 0;

	if (!value && strcmp(text, "false") != 0)
		return err_set(err, EINVAL, "'%.*s' is neither true nor false", SHOWN_MAX, text);
	memcpy(at, &value, sizeof(value));
	return 0;
}

static int read_text(const char *text, void *at, struct err *err)
{
	size_t size = strlen(text) + 1;

	if (size > PARAM_STR)
		return err_set(err, EINVAL, "text of %zu bytes, at most %d fit", size - 1,
			       PARAM_STR - 1);
	memset(at, 0, PARAM_STR); /* structs are digested and compared whole */
	memcpy(at, text, size);
	return 0;
}

/* One value from its text into the struct; the message has neither place nor name yet. */
static int row_read(const struct param *row, const char *text, void *to, struct err *err)
{
	void *at = (char *)to + row->offset;

	switch (row->type) {
	case PARAM_U64:
		return read_u64(row, text, at, err);
	case PARAM_F64:
		return read_f64(row, text, at, err);
	case PARAM_WORD:
		return read_word(row, text, at, err);
	case PARAM_BOOL:
		return read_bool(text, at, err);
	case PARAM_TEXT:
		return read_text(text, at, err);
	}
	assert(row->type <= PARAM_TEXT); /* a row of no type is a bug */
	return EINVAL;
}

static int node_read(const struct param *row, const struct ynode *node, void *to, struct err *err)
{
	char wants[LIST_TEXT + 16];
	struct err what = {0};
	int rc;

	if (node->kind != YNODE_SCALAR)
		return ynode_err(node, err, "%s: wanted a value, got a %s", row->name,
				 node->kind == YNODE_LIST ? "list" : "mapping");
	row_wants(row, wants, sizeof(wants));
	if (!node->quoted && !node->text[0])
		return ynode_err(node, err, "%s: no value, wanted %s", row->name, wants);
	/* A word may be quoted, a number may not: "5" is text. */
	if (node->quoted && row->type != PARAM_TEXT && row->type != PARAM_WORD &&
	    !(row->words && word_value(row->words, node->text) >= 0))
		return ynode_err(node, err, "%s: \"%.*s\" is quoted text, wanted %s", row->name,
				 SHOWN_MAX, node->text, wants);
	rc = row_read(row, node->text, to, &what);
	if (rc == EINVAL)
		return ynode_err(node, err, "%s: %s", row->name, what.msg);
	return rc ? err_set(err, rc, "%s", what.msg) : 0;
}

/* ---- reading a mapping ---- */

const struct param *param_find(const struct param_table *table, const char *name)
{
	for (size_t i = 0; i < table->count; i++) {
		if (strcmp(table->rows[i].name, name) == 0)
			return &table->rows[i];
	}
	return NULL;
}

struct param_set {
	const struct param_dest *dests;
	size_t count;
	const char *const *also;
};

static size_t also_count(const char *const *also)
{
	size_t count = 0;

	while (also && also[count])
		count++;
	return count;
}

/* All names that a mapping may hold, for hints; *count of them, the caller frees the array. */
static const char **set_names(const struct param_set *set, size_t *count, struct err *err)
{
	size_t most = also_count(set->also), used = 0;
	const char **names;

	for (size_t d = 0; d < set->count; d++)
		most += set->dests[d].table->count;
	names = malloc((most + 1) * sizeof(*names));
	if (!names) {
		err_nomem(err, "names of parameters", (most + 1) * sizeof(*names));
		return NULL;
	}
	for (size_t d = 0; d < set->count; d++) {
		for (size_t i = 0; i < set->dests[d].table->count; i++)
			names[used++] = set->dests[d].table->rows[i].name;
	}
	for (size_t i = 0; i < also_count(set->also); i++)
		names[used++] = set->also[i];
	*count = used;
	return names;
}

static int key_unknown(const struct param_set *set, const struct ynode *key, struct err *err)
{
	size_t count = 0;
	const char **names = set_names(set, &count, err);
	char list[LIST_TEXT];
	const char *near;

	if (!names)
		return err->code;
	near = near_name(key->text, names, count);
	names_join(list, sizeof(list), names, count);
	free(names);
	if (near)
		return ynode_err(key, err, "unknown key %.*s (did you mean %s?)", SHOWN_MAX,
				 key->text, near);
	if (!list[0])
		return ynode_err(key, err, "unknown key %.*s (no key fits here)", SHOWN_MAX,
				 key->text);
	return ynode_err(key, err, "unknown key %.*s (there are %s)", SHOWN_MAX, key->text, list);
}

static int pair_read(const struct param_set *set, const struct ynode *key,
		     const struct ynode *value, struct err *err)
{
	int known = 0;

	for (size_t d = 0; d < set->count; d++) {
		const struct param *row = param_find(set->dests[d].table, key->text);

		if (row && node_read(row, value, set->dests[d].to, err))
			return err->code;
		known |= row != NULL;
	}
	for (size_t i = 0; !known && i < also_count(set->also); i++)
		known = strcmp(set->also[i], key->text) == 0;
	return known ? 0 : key_unknown(set, key, err);
}

static int row_missing(const struct param_table *table, const struct param *row,
		       const struct ynode *map, struct err *err)
{
	char wants[LIST_TEXT + 16];

	row_wants(row, wants, sizeof(wants));
	if (!map)
		return err_set(err, EINVAL, "%s: %s is missing (%s: %s)", table->name, row->name,
			       wants, row->help);
	return ynode_err(map, err, "%s: %s is missing (%s: %s)", table->name, row->name, wants,
			 row->help);
}

/* What 'map' does not say. */
static int dest_default(const struct param_dest *dest, const struct ynode *map, struct err *err)
{
	const struct param_table *table = dest->table;

	for (size_t i = 0; i < table->count; i++) {
		const struct param *row = &table->rows[i];

		if (map && ynode_get(map, row->name))
			continue;
		if (!row->dflt)
			return row_missing(table, row, map, err);
		if (row_read(row, row->dflt, dest->to, err))
			return err_where(err, "%s: default of %s", table->name, row->name);
	}
	return 0;
}

int param_read(const struct param_dest *dests, size_t count, const struct ynode *map,
	       const char *const *also, struct err *err)
{
	const struct param_set set = {dests, count, also};

	if (map && map->kind != YNODE_MAP)
		return ynode_err(map, err, "%s: wanted a mapping, got a %s",
				 count ? dests[0].table->name : "here",
				 map->kind == YNODE_LIST ? "list" : "value");
	for (size_t i = 0; map && i < map->count; i++) {
		int rc = pair_read(&set, map->keys[i], map->items[i], err);

		if (rc)
			return rc;
	}
	for (size_t d = 0; d < count; d++) {
		int rc = dest_default(&dests[d], map, err);

		if (rc)
			return rc;
	}
	return 0;
}

/* ---- writing ---- */

static void u64_text(char *text, size_t size, uint64_t value, const struct param *row)
{
	const char *names[WORDS_MAX];

	if (row->words && value < words_names(names, row->words))
		snprintf(text, size, "%s", row->words[value].text);
	else if (value <= UINT64_C(1) << 53)
		unit_format(text, size, (double)value, row->dim);
	else
		snprintf(text, size, "%" PRIu64, value); /* digits keep all bits */
}

char *param_text(char *text, size_t size, const struct param *row, const void *from)
{
	const char *at = (const char *)from + row->offset;
	uint64_t u64;
	double f64;
	unsigned word;

	switch (row->type) {
	case PARAM_U64:
		memcpy(&u64, at, sizeof(u64));
		u64_text(text, size, u64, row);
		break;
	case PARAM_F64:
		memcpy(&f64, at, sizeof(f64));
		unit_format(text, size, f64, row->dim);
		break;
	case PARAM_WORD:
		memcpy(&word, at, sizeof(word));
		for (unsigned i = 0; i <= word; i++)
			assert(row->words[i].text);
		snprintf(text, size, "%s", row->words[word].text);
		break;
	case PARAM_BOOL:
		snprintf(text, size, "%s", *(const bool *)(const void *)at ? "true" : "false");
		break;
	case PARAM_TEXT:
		snprintf(text, size, "%s", at);
		break;
	}
	return text;
}

int param_write_into(struct ynode *map, const struct param_table *table, const void *from,
		     struct err *err)
{
	for (size_t i = 0; i < table->count; i++) {
		const struct param *row = &table->rows[i];
		char text[VALUE_TEXT];
		struct ynode *value;
		int rc;

		param_text(text, sizeof(text), row, from);
		value = ynode_new_scalar(table->name, text, row->type == PARAM_TEXT);
		if (!value)
			return err_nomem(err, table->name, sizeof(*value));
		rc = ynode_put(map, row->name, value, err);
		if (rc)
			return rc;
	}
	return 0;
}

struct ynode *param_write(const struct param_table *table, const void *from)
{
	struct ynode *map = ynode_new_map(table->name);
	struct err err = {0};

	if (map && param_write_into(map, table, from, &err)) {
		assert(err.code == ENOMEM);
		ynode_free(map);
		map = NULL;
	}
	return map;
}

/* ---- help ---- */

/* A cell of a Markdown table: a bar would end it. */
static void cell_write(const char *text, FILE *out)
{
	for (; *text; text++) {
		if (*text == '|')
			fputc('\\', out);
		fputc(*text == '\n' ? ' ' : *text, out);
	}
}

static void words_help(const struct param_word *words, FILE *out)
{
	for (size_t i = 0; words[i].text; i++) {
		fprintf(out, "%s`%s`", i ? "; " : "", words[i].text);
		if (words[i].help && words[i].help[0]) {
			fputs(" (", out);
			cell_write(words[i].help, out);
			fputc(')', out);
		}
	}
}

/* Two cells: what the value is, and between which bounds. */
static void value_help(const struct param *row, FILE *out)
{
	char min[64], max[64], wants[LIST_TEXT + 16];
	const char *base = dim_base(row->dim);

	if (row->type == PARAM_WORD) {
		words_help(row->words, out);
		fputs(" | ", out);
		return;
	}
	fputs(row->words ? dim_name(row->dim) : row_wants(row, wants, sizeof(wants)), out);
	if (base[0])
		fprintf(out, " (%s)", base);
	if (row->words) {
		fputs("; ", out);
		words_help(row->words, out);
	}
	if (row->type == PARAM_BOOL || row->type == PARAM_TEXT) {
		fputs(" | ", out);
		return;
	}
	unit_format(min, sizeof(min), row->min, row->dim);
	unit_format(max, sizeof(max), row->max, row->dim);
	fprintf(out, " | %s to %s", min, max);
}

static void row_help(const struct param *row, FILE *out)
{
	fprintf(out, "| `%s` | ", row->name);
	value_help(row, out);
	if (!row->dflt)
		fputs(" | required | ", out);
	else
		fprintf(out, " | `%s` | ", row->dflt[0] ? row->dflt : "\"\"");
	cell_write(row->help, out);
	fputs(" |\n", out);
}

void param_help(const struct param_table *table, FILE *out)
{
	fprintf(out, "## %s\n\n%s\n\n", table->name, table->about);
	fputs("| key | value | range | default | meaning |\n|---|---|---|---|---|\n", out);
	for (size_t i = 0; i < table->count; i++)
		row_help(&table->rows[i], out);
	fputc('\n', out);
}

/* ---- washing a table ---- */

static int name_check(const struct param_table *table, size_t at, struct err *err)
{
	const char *name = table->rows[at].name;

	if (!name || !name[0] || name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_")])
		return err_set(err, EINVAL, "wanted a name of a-z, 0-9 and _");
	for (size_t i = 0; i < at; i++) {
		if (strcmp(table->rows[i].name, name) == 0)
			return err_set(err, EINVAL, "the name stands twice");
	}
	if (!table->rows[at].help || !table->rows[at].help[0])
		return err_set(err, EINVAL, "no help");
	return 0;
}

static int words_check(const struct param *row, struct err *err)
{
	const struct param_word *words = row->words;

	if (!words || !words[0].text)
		return err_set(err, EINVAL, "no words");
	for (int i = 0; words[i].text; i++) {
		if (i == WORDS_MAX)
			return err_set(err, EINVAL, "more than %d words", WORDS_MAX);
		if (!words[i].text[0])
			return err_set(err, EINVAL, "an empty word");
		if (row->type == PARAM_U64 && !((double)i < row->min))
			return err_set(err, EINVAL, "word %s stands for %d, a number in range",
				       words[i].text, i);
		if (word_value(words, words[i].text) != i)
			return err_set(err, EINVAL, "word %s stands twice", words[i].text);
	}
	return 0;
}

/* Each bound written and read back by the row itself: a bound that no value can reach is a slip. */
static int bounds_check(const struct param *row, void *scratch, struct err *err)
{
	const double bounds[] = {row->min, row->max};

	if (!isfinite(row->min) || !isfinite(row->max))
		return err_set(err, EINVAL, "min %g and max %g are not both finite", row->min,
			       row->max);
	if (row->min > row->max)
		return err_set(err, EINVAL, "min %g is above max %g", row->min, row->max);
	for (size_t i = 0; i < 2; i++) {
		char text[VALUE_TEXT];

		if (row->type == PARAM_U64 && bounds[i] >= 0x1p64)
			continue; /* UINT64_MAX as a double: the type itself is the bound */
		unit_format(text, sizeof(text), bounds[i], row->dim);
		if (row_read(row, text, scratch, err))
			return err_where(err, i ? "max" : "min");
	}
	return 0;
}

static int row_check(const struct param *row, struct err *err)
{
	union {
		uint64_t u64;
		double f64;
		char text[PARAM_STR];
	} scratch;
	struct param alone = *row;
	int rc = 0;

	alone.offset = 0;
	if (row->type == PARAM_WORD || row->words)
		rc = words_check(row, err);
	if (rc == 0 && (row->type == PARAM_U64 || row->type == PARAM_F64))
		rc = bounds_check(&alone, &scratch, err);
	if (rc || !row->dflt)
		return rc;
	if (row_read(&alone, row->dflt, &scratch, err))
		return err_where(err, "default");
	return 0;
}

int param_table_check(const struct param_table *table, struct err *err)
{
	if (!table->name || !table->name[0] || !table->about || !table->about[0])
		return err_set(err, EINVAL, "a table without a name or without a line about it");
	for (size_t i = 0; i < table->count; i++) {
		if (name_check(table, i, err) || row_check(&table->rows[i], err))
			return err_where(err, "%s: row %s", table->name,
					 table->rows[i].name ? table->rows[i].name : "?");
	}
	return 0;
}
