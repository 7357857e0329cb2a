/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test_tokenizer_big.c - hazard: text of a megabyte, be it one word, and characters of every class
 *
 * The texts are made here and in make_fixtures.py by one rule and a seed; ids are held against the
 * reference's by count and digest. */
#include "text_fixture.h"

enum { BIG_BYTES = 1 << 20, POINTS_END = 0x38000, POINTS_PART = 0x8000 };

/* What make_fixtures.py calls RANGES. */
static const uint32_t big_ranges[][2] = {
	// clang-format off
	{0x20, 0x7E}, {0xA0, 0xFF}, {0x100, 0x17F}, {0x250, 0x2AF}, {0x300, 0x36F}, {0x370, 0x3FF}, {0x400, 0x4FF},
	{0x531, 0x58F}, {0x591, 0x5F4}, {0x600, 0x6FF}, {0x700, 0x74F}, {0x900, 0x97F}, {0x980, 0x9FF},
	{0xA00, 0xA7F}, {0xB80, 0xBFF}, {0xC00, 0xC7F}, {0xE00, 0xE7F}, {0xE80, 0xEFF}, {0xF00, 0xFFF},
	{0x1000, 0x109F}, {0x10A0, 0x10FF}, {0x1100, 0x11FF}, {0x1200, 0x137F}, {0x13A0, 0x13FF}, {0x1680, 0x169C},
	{0x1780, 0x17FF}, {0x1800, 0x18AF}, {0x1E00, 0x1EFF}, {0x1F00, 0x1FFF}, {0x2000, 0x206F}, {0x2070, 0x209C},
	{0x20A0, 0x20C0}, {0x2100, 0x218B}, {0x2190, 0x22FF}, {0x2460, 0x24FF}, {0x2500, 0x257F}, {0x2600, 0x27BF},
	{0x2C00, 0x2C5F}, {0x3000, 0x303F}, {0x3041, 0x30FF}, {0x3130, 0x318E}, {0x4E00, 0x9FFF}, {0xA000, 0xA48C},
	{0xAC00, 0xD7A3}, {0xE000, 0xF8FF}, {0xFB00, 0xFB4F}, {0xFE00, 0xFE0F}, {0xFE20, 0xFE6F}, {0xFF01, 0xFFEF},
	{0x10000, 0x100FA}, {0x10330, 0x1034A}, {0x10400, 0x1044F}, {0x10D40, 0x10D8F}, {0x11300, 0x113E2},
	{0x12000, 0x1246E}, {0x16A40, 0x16AC9}, {0x1D400, 0x1D7FF}, {0x1E030, 0x1E08F}, {0x1E4D0, 0x1E5FF},
	{0x1F1E6, 0x1F1FF}, {0x1F300, 0x1FAFF}, {0x20000, 0x2A6DF}, {0x2EBF0, 0x2EE5D}, {0x31350, 0x323AF},
	{0xE0001, 0xE007F}, {0xF0000, 0xF00FF}, {0x10FF00, 0x10FFFD},
	// clang-format on
};

static uint32_t big_draw(uint64_t *state, uint32_t below)
{
	*state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)((*state >> 33) % below);
}

static void big_mixed(struct fixture_text *text, uint64_t *state)
{
	uint32_t kind = big_draw(state, 16), count;
	char *at = text->bytes + text->count;

	if (kind < 9) {
		count = 1 + big_draw(state, 9);
		for (uint32_t i = 0; i < count; i++)
			*at++ = (char)('a' + big_draw(state, 26));
		*at++ = ' ';
	} else if (kind < 11) {
		at += sprintf(at, "%u.", big_draw(state, 1000000));
	} else if (kind == 11) {
		char space = " \n\t"[big_draw(state, 3)];

		count = 1 + big_draw(state, 12);
		memset(at, space, count);
		at += count;
	} else {
		const uint32_t *range =
			big_ranges[big_draw(state, sizeof(big_ranges) / sizeof(big_ranges[0]))];

		count = 1 + big_draw(state, 8);
		for (uint32_t i = 0; i < count; i++)
			at += utf8_put((unsigned char *)at,
				       range[0] + big_draw(state, range[1] - range[0] + 1));
	}
	text->count = (size_t)(at - text->bytes);
}

/* About 1 MB by a rule and a seed; free(.bytes). */
static struct fixture_text big_text(const char *rule, uint64_t seed)
{
	struct fixture_text text = {.bytes = malloc(BIG_BYTES + 64)};
	uint64_t state = seed;

	ck_assert_ptr_nonnull(text.bytes);
	while (text.count < BIG_BYTES) {
		if (strcmp(rule, "mixed") == 0) {
			big_mixed(&text, &state);
			continue;
		}
		if (strcmp(rule, "spaces") == 0)
			text.bytes[text.count++] = ' ';
		else if (strcmp(rule, "word") == 0)
			text.bytes[text.count++] = (char)('a' + big_draw(&state, 26));
		else
			text.count += (size_t)sprintf(text.bytes + text.count, "ab");
	}
	return text;
}

/* Every code point of the planes that have letters, alone and behind a letter. */
static uint64_t hash_points(const struct tokenizer *tokenizer, size_t *count)
{
	char *text = malloc(POINTS_PART * 5);
	uint64_t hash = FNV_START;

	ck_assert_ptr_nonnull(text);
	*count = 0;
	for (uint32_t part = 0; part < POINTS_END / POINTS_PART * 2; part++) {
		uint32_t first = part / 2 * POINTS_PART, *ids;
		size_t bytes = 0, got;

		for (uint32_t c = first; c < first + POINTS_PART; c++) {
			if (c >= 0xd800 && c < 0xe000)
				continue;
			if (part % 2)
				text[bytes++] = 'a';
			bytes += utf8_put((unsigned char *)text + bytes, c);
		}
		ids = encode(tokenizer, text, bytes, false, &got);
		hash = ids_fnv(hash, ids, got);
		*count += got;
		free(ids);
	}
	free(text);
	return hash;
}

static uint64_t hash_big(const struct tokenizer *tokenizer, const char *rule, uint64_t seed,
			 size_t *count)
{
	struct fixture_text text = big_text(rule, seed), decoded;
	uint32_t *ids = encode(tokenizer, text.bytes, text.count, false, count);
	uint64_t hash = ids_fnv(FNV_START, ids, *count);

	decoded = decode(tokenizer, ids, *count);
	ck_assert_uint_eq(decoded.count, text.count);
	ck_assert_mem_eq(decoded.bytes, text.bytes, text.count);
	free(decoded.bytes);
	free(ids);
	free(text.bytes);
	return hash;
}

static const struct {
	const char *folder, *rule;
} rows[] = {
	{"opt", "mixed"},    {"opt", "word"},	   {"opt", "points"},	 {"falcon", "mixed"},
	{"falcon", "pairs"}, {"falcon", "spaces"}, {"falcon", "points"},
};

START_TEST(a_megabyte_gets_the_ids_of_the_reference)
{
	const char *folder = rows[_i].folder, *rule = rows[_i].rule;
	struct fixture_text lines = fixture_file(folder, "big.txt");
	const char *line = strstr(lines.bytes, rule);
	struct tokenizer *tokenizer = tokenizer_from(folder);
	uint64_t seed, want, got;
	size_t want_count, count;

	ck_assert_msg(line && sscanf(line + strlen(rule), "%" SCNu64 " %zu %" SCNx64, &seed,
				     &want_count, &want) == 3,
		      "no line for %s", rule);
	got = strcmp(rule, "points") == 0 ? hash_points(tokenizer, &count)
					  : hash_big(tokenizer, rule, seed, &count);
	ck_assert_msg(count == want_count && got == want,
		      "%s, %s: %zu ids, the reference has %zu: or others", folder, rule, count,
		      want_count);
	tokenizer_close(tokenizer);
	free(lines.bytes);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("tokenizer_big");
	TCase *tcase = tcase_create("tokenizer_big");

	tcase_add_loop_test(tcase, a_megabyte_gets_the_ids_of_the_reference, 0,
			    sizeof(rows) / sizeof(rows[0]));
	tcase_set_timeout(tcase, 100);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
