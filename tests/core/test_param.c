/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test_param.c - one row a parameter: read strictly, written back the same, explained, and washed
 */
#include "param.h"

#include <check.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (int)(sizeof(array) / sizeof((array)[0]))

enum { LAYOUT_SPLIT, LAYOUT_BUNDLE, LAYOUT_ORDERED };

static const struct param_word layout_words[] = {
	[LAYOUT_SPLIT] = {"split", "row and column apart"},
	[LAYOUT_BUNDLE] = {"bundle", "row and column | adjacent"},
	[LAYOUT_ORDERED] = {"ordered", NULL},
	{NULL, NULL},
};

static const struct param_word chunk_words[] = {{"row", "one row"}, {NULL, NULL}};

struct flash {
/* clang-format off */
#include "param_fields.h"
#include "param_test_params.h"
#include "param_end.h"
	/* clang-format on */
};

static const struct param flash_rows[] = {
/* clang-format off */
#define PARAM_OWNER flash
#include "param_rows.h"
#include "param_test_params.h"
#include "param_end.h"
	/* clang-format on */
};

static const struct param_table flash_table = {
	.name = "device.flash",
	.about = "How flash answers.",
	.rows = flash_rows,
	.count = sizeof(flash_rows) / sizeof(flash_rows[0]),
};

/* A second table over the same mapping. */
struct window {
	uint64_t window;
	double cap_frac;
};

static const struct param window_rows[] = {
	{"window", PARAM_U64, DIM_COUNT, offsetof(struct window, window), 1, 64, NULL, "5", "k"},
	{"cap_frac", PARAM_F64, DIM_FRAC, offsetof(struct window, cap_frac), 0, 1, NULL, "1",
	 "cap"},
};

static const struct param_table window_table = {"policy.window", "A window.", window_rows, 2};

static struct ynode *parse(const char *text)
{
	struct ynode *root = NULL;
	struct err err = {0};

	ck_assert_msg(yaml_parse(&root, text, "f.yaml", &err) == 0, "%s", err.msg);
	return root;
}

static int flash_read(struct flash *flash, const char *yaml, struct err *err)
{
	const struct param_dest dest = {&flash_table, flash};
	struct ynode *map = parse(yaml);
	int rc = param_read(&dest, 1, map, NULL, err);

	ynode_free(map);
	return rc;
}

/* ---- reading ---- */

START_TEST(test_what_is_absent_gets_its_default)
{
	struct flash flash;
	struct err err = {0};

	memset(&flash, 0xa5, sizeof(flash));
	ck_assert_msg(flash_read(&flash, "bw_bytes_per_s: 6.1GB/s\n", &err) == 0, "%s", err.msg);
	ck_assert_uint_eq(flash.read_lat_ns, 80000);
	ck_assert_uint_eq(flash.seed, 7);
	ck_assert_uint_eq(flash.chunk, 0);
	ck_assert(flash.bw_bytes_per_s == 6.1e9);
	ck_assert(flash.bias == -0.5);
	ck_assert(flash.hot_frac == 0.2);
	ck_assert_uint_eq(flash.layout, LAYOUT_BUNDLE);
	ck_assert(flash.tied);
	for (size_t i = 0; i < sizeof(flash.about); i++)
		ck_assert_int_eq(flash.about[i], 0); /* all of it: structs are digested */
}
END_TEST

START_TEST(test_what_is_there_is_read)
{
	struct flash flash;
	struct err err = {0};

	ck_assert_msg(flash_read(&flash,
				 "about: \"5\"\nlayout: split\ntied: false\nhot_frac: 12.5%\n"
				 "bias: +3e-2\nbw_bytes_per_s: 1\nchunk: 16KiB\n"
				 "seed: 18446744073709551615\nread_lat_ns: 0.1ms\n",
				 &err) == 0,
		      "%s", err.msg);
	ck_assert_uint_eq(flash.read_lat_ns, 100000);
	ck_assert_uint_eq(flash.seed, UINT64_MAX);
	ck_assert_uint_eq(flash.chunk, 16384);
	ck_assert(flash.bw_bytes_per_s == 1);
	ck_assert(flash.bias == 0.03);
	ck_assert(flash.hot_frac == 0.125);
	ck_assert_uint_eq(flash.layout, LAYOUT_SPLIT);
	ck_assert(!flash.tied);
	ck_assert_str_eq(flash.about, "5");
}
END_TEST

/* A double has 53 bits; digits keep 64. */
static const struct {
	const char *text;
	uint64_t value;
} wholes[] = {
	{"0", 0},
	{"9007199254740993", UINT64_C(9007199254740993)},
	{"18446744073709551614", UINT64_MAX - 1},
	{"1e6", 1000000},
	{"2.5e3", 2500},
	{"1e19", UINT64_C(10000000000000000000)},
};

START_TEST(test_whole_numbers_keep_every_bit)
{
	struct flash flash;
	struct err err = {0};
	char yaml[96];

	snprintf(yaml, sizeof(yaml), "bw_bytes_per_s: 1\nseed: %s\n", wholes[_i].text);
	ck_assert_msg(flash_read(&flash, yaml, &err) == 0, "%s", err.msg);
	ck_assert_uint_eq(flash.seed, wholes[_i].value);
}
END_TEST

#define BW "bw_bytes_per_s: 1GB/s\n"

static const struct {
	const char *why, *yaml, *says;
} bad[] = {
	{"a read is never free", "read_lat_ns: 0\n" BW,
	 "f.yaml:1:14: read_lat_ns: 0 is outside [1, 1e+09] ns"},
	{"nor takes it two seconds", BW "read_lat_ns: 2s\n",
	 "f.yaml:2:14: read_lat_ns: 2s is outside [1, 1e+09] ns"},
	{"no wrong dimension", "read_lat_ns: 80MB\n" BW,
	 "f.yaml:1:14: read_lat_ns: '80MB' is bytes, wanted a time"},
	{"no unknown unit", "read_lat_ns: 80msec\n" BW,
	 "f.yaml:1:14: read_lat_ns: '80msec' has an unknown unit 'msec', wanted a time in ns, us, "
	 "ms, s, min"},
	{"no part of a nanosecond", "read_lat_ns: 1.5\n" BW,
	 "f.yaml:1:14: read_lat_ns: 1.5 is not a whole number of ns"},
	{"nor with a unit", "read_lat_ns: 1.0005us\n" BW,
	 "f.yaml:1:14: read_lat_ns: 1.0005us is not a whole number of ns"},
	{"no part of a count", "seed: 3.5\n" BW, "f.yaml:1:7: seed: 3.5 is not a whole number"},
	{"no negative count", "seed: -1\n" BW,
	 "f.yaml:1:7: seed: '-1' has a sign, wanted a whole number"},
	{"no octal", "seed: 010\n" BW,
	 "f.yaml:1:7: seed: '010' has a leading zero, wanted a whole number"},
	{"more than 64 bits of digits", "seed: 18446744073709551616\n" BW,
	 "f.yaml:1:7: seed: 18446744073709551616 is outside [0, 1.8446744073709552e19]"},
	{"more than 64 bits otherwise", "seed: 1e20\n" BW,
	 "f.yaml:1:7: seed: 1e20 is outside [0, 1.8446744073709552e19]"},
	{"a size below the least", "chunk: 512\n" BW,
	 "f.yaml:1:8: chunk: 512 is outside [4096, 1048576] B"},
	{"a size in the wrong case", "chunk: 4kb\n" BW,
	 "f.yaml:1:8: chunk: '4kb' has an unknown unit 'kb', wanted bytes in B, kB, KiB, MB, MiB, "
	 "GB, GiB, TB, TiB"},
	{"neither a number nor its word", "chunk: rwo\n" BW,
	 "f.yaml:1:8: chunk: 'rwo' is neither bytes nor row (did you mean row?)"},
	{"nothing like its word", "chunk: everything\n" BW,
	 "f.yaml:1:8: chunk: 'everything' is neither bytes nor row"},
	{"a number in quotes is text", "seed: \"5\"\n" BW,
	 "f.yaml:1:7: seed: \"5\" is quoted text, wanted a whole number"},
	{"a size in quotes is text", "chunk: '16KiB'\n" BW,
	 "f.yaml:1:8: chunk: \"16KiB\" is quoted text, wanted bytes or row"},
	{"a fraction above one", "hot_frac: 120%\n" BW,
	 "f.yaml:1:11: hot_frac: 120% is outside [0, 1]"},
	{"a number that is none", "bias: nan\n" BW,
	 "f.yaml:1:7: bias: 'nan' is not a number, wanted a number"},
	{"a number too low", "bias: -10.5\n" BW, "f.yaml:1:7: bias: -10.5 is outside [-10, 10]"},
	{"a misspelt word", "layout: bundel\n" BW,
	 "f.yaml:1:9: layout: 'bundel' is none of split, bundle, ordered (did you mean bundle?)"},
	{"a foreign word", "layout: striped-over-disks\n" BW,
	 "f.yaml:1:9: layout: 'striped-over-disks' is none of split, bundle, ordered"},
	{"a word in capitals", "layout: Split\n" BW,
	 "f.yaml:1:9: layout: 'Split' is none of split, bundle, ordered (did you mean split?)"},
	{"YAML's other truths", "tied: yes\n" BW,
	 "f.yaml:1:7: tied: 'yes' is neither true nor false"},
	{"quoted truth", "tied: \"true\"\n" BW,
	 "f.yaml:1:7: tied: \"true\" is quoted text, wanted true or false"},
	{"no value for a word", "layout:\n" BW,
	 "f.yaml:1:8: layout: no value, wanted one of split, bundle, ordered"},
	{"no value for a number", BW "seed:\n",
	 "f.yaml:2:6: seed: no value, wanted a whole number"},
	{"no value for text", BW "about:\n", "f.yaml:2:7: about: no value, wanted text"},
	{"a list for a value", "seed: [1, 2]\n" BW, "f.yaml:1:7: seed: wanted a value, got a list"},
	{"a mapping for a value", "about: {a: 1}\n" BW,
	 "f.yaml:1:8: about: wanted a value, got a mapping"},
	{"no key is ignored", "read_lat_us: 80\n" BW,
	 "f.yaml:1:1: unknown key read_lat_us (did you mean read_lat_ns?)"},
	{"a swap is near", "sede: 80\n" BW, "f.yaml:1:1: unknown key sede (did you mean seed?)"},
	{"what is near to nothing lists what there is", BW "temperature: 80\n",
	 "f.yaml:2:1: unknown key temperature (there are read_lat_ns, seed, chunk, bw_bytes_per_s, "
	 "bias, hot_frac, layout, tied, about)"},
	{"what must be given", "seed: 1\n",
	 "f.yaml:1:1: device.flash: bw_bytes_per_s is missing (a bandwidth: large sequential "
	 "reads)"},
	{"a list for the mapping", "- 1\n",
	 "f.yaml:1:1: device.flash: wanted a mapping, got a list"},
	{"a value for the mapping", "fast\n",
	 "f.yaml:1:1: device.flash: wanted a mapping, got a value"},
	{"the first mistake in the file is named", "tied: 1\nseed: x\n",
	 "f.yaml:1:7: tied: '1' is neither true nor false"},
};

START_TEST(test_a_bad_parameter_is_refused_by_place_and_name)
{
	struct flash flash;
	struct err err = {0};

	ck_assert_msg(flash_read(&flash, bad[_i].yaml, &err) == EINVAL, "%s", bad[_i].why);
	ck_assert_str_eq(err.msg, bad[_i].says);
}
END_TEST

START_TEST(test_text_must_fit)
{
	char yaml[PARAM_STR + 64], text[PARAM_STR + 1];
	struct flash flash;
	struct err err = {0};

	memset(text, 'x', PARAM_STR);
	text[PARAM_STR] = '\0';
	snprintf(yaml, sizeof(yaml), BW "about: %s\n", text + 1);
	ck_assert_int_eq(flash_read(&flash, yaml, &err), 0);
	ck_assert_str_eq(flash.about, text + 1);
	snprintf(yaml, sizeof(yaml), BW "about: %s\n", text);
	ck_assert_int_eq(flash_read(&flash, yaml, &err), EINVAL);
	ck_assert_str_eq(err.msg, "f.yaml:2:8: about: text of 256 bytes, at most 255 fit");
}
END_TEST

START_TEST(test_long_texts_are_cut_in_messages)
{
	char yaml[600], *at = yaml + sprintf(yaml, "layout: ");
	struct flash flash;
	struct err err = {0};

	memset(at, 'b', 500);
	strcpy(at + 500, "\n" BW);
	ck_assert_int_eq(flash_read(&flash, yaml, &err), EINVAL);
	ck_assert_uint_lt(strlen(err.msg), 160);
	ck_assert_ptr_nonnull(strstr(err.msg, "bbb' is none of split, bundle, ordered"));
}
END_TEST

START_TEST(test_no_mapping_at_all_is_an_empty_one)
{
	struct window window = {0};
	struct flash flash;
	const struct param_dest good = {&window_table, &window}, missing = {&flash_table, &flash};
	struct err err = {0};

	ck_assert_int_eq(param_read(&good, 1, NULL, NULL, &err), 0);
	ck_assert_uint_eq(window.window, 5);
	ck_assert_int_eq(param_read(&missing, 1, NULL, NULL, &err), EINVAL);
	ck_assert_str_eq(err.msg, "device.flash: bw_bytes_per_s is missing (a bandwidth: large "
				  "sequential reads)");
}
END_TEST

/* Two tables and the caller's own keys over one mapping. */
static const struct {
	const char *yaml, *says; /* says NULL: fine */
} shared[] = {
	{BW "window: 3\nsweep: {a: 1}\n", NULL},
	{BW "window: 0\n", "f.yaml:2:9: window: 0 is outside [1, 64]"},
	{BW "windo: 3\n", "f.yaml:2:1: unknown key windo (did you mean window?)"},
	{BW "swep: 3\n", "f.yaml:2:1: unknown key swep (did you mean sweep?)"},
	{BW "lay-out: 3\n", "f.yaml:2:1: unknown key lay-out (did you mean layout?)"},
};

START_TEST(test_tables_share_a_mapping_and_its_hints)
{
	static const char *const also[] = {"sweep", "base", NULL};
	struct window window = {0};
	struct flash flash;
	const struct param_dest dests[] = {{&flash_table, &flash}, {&window_table, &window}};
	struct ynode *map = parse(shared[_i].yaml);
	struct err err = {0};
	int rc = param_read(dests, 2, map, also, &err);

	ck_assert_int_eq(rc, shared[_i].says ? EINVAL : 0);
	ck_assert_str_eq(err.msg, shared[_i].says ? shared[_i].says : "");
	if (rc == 0) {
		ck_assert_uint_eq(window.window, 3);
		ck_assert(window.cap_frac == 1);
		ck_assert_uint_eq(flash.seed, 7);
	}
	ynode_free(map);
}
END_TEST

START_TEST(test_a_mapping_without_keys_says_so)
{
	struct ynode *map = parse("a: 1\n");
	struct err err = {0};

	ck_assert_int_eq(param_read(NULL, 0, map, NULL, &err), EINVAL);
	ck_assert_str_eq(err.msg, "f.yaml:1:1: unknown key a (no key fits here)");
	ynode_free(map);
}
END_TEST

/* ---- writing ---- */

START_TEST(test_what_is_written_reads_as_people_would_write_it)
{
	struct flash flash = {.read_lat_ns = 80000,
			      .seed = 7,
			      .chunk = 16384,
			      .bw_bytes_per_s = 6.1e9,
			      .bias = -0.5,
			      .hot_frac = 0.2,
			      .layout = LAYOUT_SPLIT,
			      .tied = false,
			      .about = "yes: \"no\""};
	struct ynode *map = param_write(&flash_table, &flash);
	struct err err = {0};
	char *text = NULL;

	ck_assert_ptr_nonnull(map);
	ck_assert_int_eq(ynode_text(&text, map, &err), 0);
	ck_assert_str_eq(text, "read_lat_ns: 80us\nseed: 7\nchunk: 16KiB\n"
			       "bw_bytes_per_s: 6.1GB/s\nbias: -0.5\nhot_frac: 0.2\n"
			       "layout: split\ntied: false\nabout: \"yes: \\\"no\\\"\"\n");
	free(text);
	ynode_free(map);
}
END_TEST

static uint64_t next_u64(uint64_t *state)
{
	uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static double next_frac(uint64_t *state)
{
	return (double)(next_u64(state) >> 11) * 0x1p-53;
}

static void flash_random(struct flash *flash, uint64_t *state)
{
	memset(flash, 0, sizeof(*flash));
	flash->read_lat_ns = 1 + next_u64(state) % 1000000000;
	flash->seed = next_u64(state) >> next_u64(state) % 64;
	flash->chunk = next_u64(state) % 4 ? 4096 + next_u64(state) % (1048576 - 4095) : 0;
	flash->bw_bytes_per_s = 1 + next_frac(state) * 1e11;
	flash->bias = next_frac(state) * 20 - 10;
	flash->hot_frac = next_frac(state);
	flash->layout = (unsigned)(next_u64(state) % 3);
	flash->tied = next_u64(state) % 2;
	for (size_t i = 0; i < next_u64(state) % 40; i++)
		flash->about[i] = (char)(1 + next_u64(state) % 126);
}

static void assert_same(const struct flash *a, const struct flash *b)
{
	ck_assert_uint_eq(a->read_lat_ns, b->read_lat_ns);
	ck_assert_uint_eq(a->seed, b->seed);
	ck_assert_uint_eq(a->chunk, b->chunk);
	ck_assert(a->bw_bytes_per_s == b->bw_bytes_per_s);
	ck_assert(a->bias == b->bias);
	ck_assert(a->hot_frac == b->hot_frac);
	ck_assert_uint_eq(a->layout, b->layout);
	ck_assert_int_eq(a->tied, b->tied);
	ck_assert_str_eq(a->about, b->about);
}

/* Through nodes, through text, and through nodes again: a resolved config is what was run. */
START_TEST(test_what_is_written_is_read_back_the_same)
{
	uint64_t state = 4242;

	for (int round = 0; round < 500; round++) {
		struct flash flash, back;
		const struct param_dest dest = {&flash_table, &back};
		struct ynode *map, *again = NULL;
		struct err err = {0};
		char *text = NULL;

		flash_random(&flash, &state);
		map = param_write(&flash_table, &flash);
		ck_assert_ptr_nonnull(map);
		ck_assert_msg(param_read(&dest, 1, map, NULL, &err) == 0, "%s", err.msg);
		assert_same(&flash, &back);
		ck_assert_int_eq(ynode_text(&text, map, &err), 0);
		ck_assert_msg(yaml_parse(&again, text, "g", &err) == 0, "%s\n%s", err.msg, text);
		ck_assert_msg(param_read(&dest, 1, again, NULL, &err) == 0, "%s", err.msg);
		assert_same(&flash, &back);
		free(text);
		ynode_free(again);
		ynode_free(map);
	}
}
END_TEST

START_TEST(test_writing_into_a_map_replaces_and_keeps)
{
	const struct window window = {.window = 3, .cap_frac = 0.5};
	struct ynode *map = parse("about: x\nwindow: 9\n");
	struct err err = {0};
	char *text = NULL;

	ck_assert_int_eq(param_write_into(map, &window_table, &window, &err), 0);
	ck_assert_int_eq(ynode_text(&text, map, &err), 0);
	ck_assert_str_eq(text, "about: x\nwindow: 3\ncap_frac: 0.5\n");
	free(text);
	ynode_free(map);
}
END_TEST

START_TEST(test_a_row_is_found_by_name_and_shown_as_text)
{
	const struct window window = {.window = 3, .cap_frac = 0.5};
	const struct param *row = param_find(&window_table, "cap_frac");
	char text[64];

	ck_assert_ptr_eq(row, &window_rows[1]);
	ck_assert_ptr_null(param_find(&window_table, "cap"));
	ck_assert_str_eq(param_text(text, sizeof(text), row, &window), "0.5");
	ck_assert_str_eq(param_text(text, sizeof(text), &window_rows[0], &window), "3");
}
END_TEST

/* ---- help ---- */

START_TEST(test_help_is_a_markdown_section)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	ck_assert_ptr_nonnull(out);
	param_help(&flash_table, out);
	ck_assert_int_eq(fclose(out), 0);
	ck_assert_str_eq(
		text,
		"## device.flash\n"
		"\n"
		"How flash answers.\n"
		"\n"
		"| key | value | range | default | meaning |\n"
		"|---|---|---|---|---|\n"
		"| `read_lat_ns` | a time (ns) | 1ns to 1s | `80us` | one 4 KiB random read, queue "
		"depth 1 |\n"
		"| `seed` | a whole number | 0 to 1.8446744073709552e19 | `7` | of the trial |\n"
		"| `chunk` | bytes (B); `row` (one row) | 4KiB to 1MiB | `row` | request size |\n"
		"| `bw_bytes_per_s` | a bandwidth (B/s) | 1B/s to 1TB/s | required | large "
		"sequential reads |\n"
		"| `bias` | a number | -10 to 10 | `-0.5` | of the fit, a \\| b |\n"
		"| `hot_frac` | a fraction | 0 to 1 | `20%` | share of hot neurons |\n"
		"| `layout` | `split` (row and column apart); `bundle` (row and column \\| "
		"adjacent); `ordered` |  | `bundle` | how a neuron lies on flash |\n"
		"| `tied` | true or false |  | `true` | the head is the embedding matrix |\n"
		"| `about` | text |  | `\"\"` | one sentence |\n"
		"\n");
	free(text);
}
END_TEST

/* ---- names ---- */

static const struct {
	const char *got, *near;
} names[] = {
	{"window", "window"},
	{"windwo", "window"},
	{"windo", "window"},
	{"windows", "window"},
	{"wndw", NULL},
	{"chnk", "chunk"},
	{"chukn", "chunk"},
	{"kchun", NULL},
	{"x", NULL},
	{"io", "iq"},
	{"", NULL},
	{"in-flight", "in_flight"},
	{"inflight", "in_flight"},
	{"completely_else", NULL},
	{"a_name_that_is_much_longer_than_any_parameter_of_this_project_could_ever_be", NULL},
};

START_TEST(test_the_nearest_name_is_hinted)
{
	static const char *const known[] = {"chunk", "window", "in_flight", "iq"};
	const char *near = near_name(names[_i].got, known, 4);

	ck_assert_msg(!near == !names[_i].near, "%s: %s", names[_i].got, near ? near : "nothing");
	if (near)
		ck_assert_str_eq(near, names[_i].near);
}
END_TEST

START_TEST(test_words_have_values)
{
	ck_assert_int_eq(word_value(layout_words, "split"), LAYOUT_SPLIT);
	ck_assert_int_eq(word_value(layout_words, "ordered"), LAYOUT_ORDERED);
	ck_assert_int_eq(word_value(layout_words, ""), -1);
	ck_assert_int_eq(word_value(layout_words, "bun"), -1);
}
END_TEST

/* ---- washing ---- */

START_TEST(test_good_tables_pass_the_wash)
{
	struct err err = {0};

	ck_assert_msg(param_table_check(&flash_table, &err) == 0, "%s", err.msg);
	ck_assert_msg(param_table_check(&window_table, &err) == 0, "%s", err.msg);
}
END_TEST

static const struct param_word no_words[] = {{NULL, NULL}};
static const struct param_word twice[] = {{"a", ""}, {"b", ""}, {"a", ""}, {NULL, NULL}};
static const struct param_word hole[] = {{"a", ""}, {"", ""}, {NULL, NULL}};

/* Each the second row of a table whose first is fine and named "first". */
static const struct {
	struct param row;
	const char *says;
} dirty[] = {
	{{"first", PARAM_BOOL, DIM_NONE, 0, 0, 1, NULL, "true", "h"},
	 "t: row first: the name stands twice"},
	{{"Upper", PARAM_BOOL, DIM_NONE, 0, 0, 1, NULL, "true", "h"},
	 "t: row Upper: wanted a name of a-z, 0-9 and _"},
	{{NULL, PARAM_BOOL, DIM_NONE, 0, 0, 1, NULL, "true", "h"},
	 "t: row ?: wanted a name of a-z, 0-9 and _"},
	{{"x", PARAM_BOOL, DIM_NONE, 0, 0, 1, NULL, "true", ""}, "t: row x: no help"},
	{{"x", PARAM_BOOL, DIM_NONE, 0, 0, 1, NULL, "on", "h"},
	 "t: row x: default: 'on' is neither true nor false"},
	{{"x", PARAM_U64, DIM_COUNT, 0, 5, 4, NULL, "5", "h"}, "t: row x: min 5 is above max 4"},
	{{"x", PARAM_F64, DIM_NONE, 0, 0, INFINITY, NULL, "5", "h"},
	 "t: row x: min 0 and max inf are not both finite"},
	{{"x", PARAM_U64, DIM_COUNT, 0, -1, 4, NULL, "1", "h"},
	 "t: row x: min: '-1' has a sign, wanted a whole number"},
	{{"x", PARAM_F64, DIM_TIME, 0, -1, 4, NULL, "1", "h"},
	 "t: row x: min: '-1ns' has a sign, wanted a time"},
	{{"x", PARAM_U64, DIM_BYTES, 0, 0, 10.5, NULL, "1", "h"},
	 "t: row x: max: 10.5B is not a whole number of B"},
	{{"x", PARAM_U64, DIM_BYTES, 0, 0, 10, NULL, "11", "h"},
	 "t: row x: default: 11 is outside [0, 10] B"},
	{{"x", PARAM_U64, DIM_BYTES, 0, 0, 10, NULL, "1us", "h"},
	 "t: row x: default: '1us' is a time, wanted bytes"},
	{{"x", PARAM_U64, DIM_BYTES, 0, 0, 10, NULL, "", "h"},
	 "t: row x: default: '' is not a number, wanted bytes"},
	{{"x", PARAM_WORD, DIM_NONE, 0, 0, 0, NULL, "a", "h"}, "t: row x: no words"},
	{{"x", PARAM_WORD, DIM_NONE, 0, 0, 0, no_words, "a", "h"}, "t: row x: no words"},
	{{"x", PARAM_WORD, DIM_NONE, 0, 0, 0, twice, "a", "h"}, "t: row x: word a stands twice"},
	{{"x", PARAM_WORD, DIM_NONE, 0, 0, 0, hole, "a", "h"}, "t: row x: an empty word"},
	{{"x", PARAM_WORD, DIM_NONE, 0, 0, 0, layout_words, "b", "h"},
	 "t: row x: default: 'b' is none of split, bundle, ordered"},
	{{"x", PARAM_U64, DIM_BYTES, 0, 2, 10, layout_words, "split", "h"},
	 "t: row x: word ordered stands for 2, a number in range"},
};

START_TEST(test_a_bad_row_dies_in_the_wash)
{
	const struct param rows[] = {{"first", PARAM_U64, DIM_COUNT, 0, 0, 10, NULL, NULL, "fine"},
				     dirty[_i].row};
	const struct param_table table = {"t", "About t.", rows, 2};
	struct err err = {0};

	ck_assert_int_eq(param_table_check(&table, &err), EINVAL);
	ck_assert_str_eq(err.msg, dirty[_i].says);
}
END_TEST

START_TEST(test_a_table_has_a_name_and_a_line)
{
	const struct param_table nameless = {"", "About.", window_rows, 2};
	const struct param_table silent = {"t", NULL, window_rows, 2};
	struct err err = {0};

	ck_assert_int_eq(param_table_check(&nameless, &err), EINVAL);
	err = (struct err){0};
	ck_assert_int_eq(param_table_check(&silent, &err), EINVAL);
	ck_assert_str_eq(err.msg, "a table without a name or without a line about it");
}
END_TEST

static TCase *tcase_reading(void)
{
	TCase *tcase = tcase_create("reading");

	tcase_add_test(tcase, test_what_is_absent_gets_its_default);
	tcase_add_test(tcase, test_what_is_there_is_read);
	tcase_add_loop_test(tcase, test_whole_numbers_keep_every_bit, 0, COUNT(wholes));
	tcase_add_loop_test(tcase, test_a_bad_parameter_is_refused_by_place_and_name, 0,
			    COUNT(bad));
	tcase_add_test(tcase, test_text_must_fit);
	tcase_add_test(tcase, test_long_texts_are_cut_in_messages);
	tcase_add_test(tcase, test_no_mapping_at_all_is_an_empty_one);
	tcase_add_loop_test(tcase, test_tables_share_a_mapping_and_its_hints, 0, COUNT(shared));
	tcase_add_test(tcase, test_a_mapping_without_keys_says_so);
	return tcase;
}

static TCase *tcase_writing(void)
{
	TCase *tcase = tcase_create("writing");

	tcase_add_test(tcase, test_what_is_written_reads_as_people_would_write_it);
	tcase_add_test(tcase, test_what_is_written_is_read_back_the_same);
	tcase_add_test(tcase, test_writing_into_a_map_replaces_and_keeps);
	tcase_add_test(tcase, test_a_row_is_found_by_name_and_shown_as_text);
	tcase_add_test(tcase, test_help_is_a_markdown_section);
	return tcase;
}

static TCase *tcase_tables(void)
{
	TCase *tcase = tcase_create("tables");

	tcase_add_loop_test(tcase, test_the_nearest_name_is_hinted, 0, COUNT(names));
	tcase_add_test(tcase, test_words_have_values);
	tcase_add_test(tcase, test_good_tables_pass_the_wash);
	tcase_add_loop_test(tcase, test_a_bad_row_dies_in_the_wash, 0, COUNT(dirty));
	tcase_add_test(tcase, test_a_table_has_a_name_and_a_line);
	return tcase;
}

int main(void)
{
	Suite *suite = suite_create("param");
	SRunner *runner;
	int failed;

	suite_add_tcase(suite, tcase_reading());
	suite_add_tcase(suite, tcase_writing());
	suite_add_tcase(suite, tcase_tables());
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
