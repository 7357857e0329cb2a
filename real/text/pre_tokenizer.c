/* SPDX-License-Identifier: GPL-3.0-or-later */
/* pre_tokenizer.c - cuts a text into the pieces that merges may not cross */
#include "pre_tokenizer.h"

#include "checkpoint_json.h"
#include "text_regex.h"
#include "unicode.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { STEPS_MAX = 32, NESTED_MAX = 8 };

/* GPT-2's rule, which ByteLevel has built in. */
static const char gpt2_rule[] =
	"'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

/* What becomes of the hits among the stretches of a piece. */
enum behavior { REMOVED, ISOLATED, MERGED_WITH_PREVIOUS, MERGED_WITH_NEXT, CONTIGUOUS, BEHAVIORS };

static const char *const behaviors[BEHAVIORS] = {
	[REMOVED] = "Removed",
	[ISOLATED] = "Isolated",
	[MERGED_WITH_PREVIOUS] = "MergedWithPrevious",
	[MERGED_WITH_NEXT] = "MergedWithNext",
	[CONTIGUOUS] = "Contiguous",
};

struct step {
	/* How hits are found: each run of characters of one class, each single character, a regex;
	 * or none, and the piece stays whole. */
	enum { FIND_NONE, FIND_WORDS, FIND_CHARACTERS, FIND_REGEX } find;
	bool (*is_hit)(uint32_t point); /* FIND_CHARACTERS */
	struct text_regex *regex;
	enum behavior behavior;
	bool invert, to_bytes, add_prefix_space;
};

struct pre_tokenizer {
	struct step steps[STEPS_MAX];
	size_t count;
	bool has_bytes;
};

static bool is_punctuation(uint32_t point)
{
	return unicode_is(&unicode_punctuation, point);
}

static bool is_numeric(uint32_t point)
{
	return unicode_is(&unicode_numeric, point);
}

/* A member that may be absent. */
static int take_bool(const json_t *json, const char *name, bool absent, bool *value,
		     const char *where, struct err *err)
{
	const json_t *member = json_object_get(json, name);

	*value = member ? json_is_true(member) : absent;
	if (member && !json_is_boolean(member))
		return err_set(err, EBADMSG, "%s: %s is %s, expected true or false", where, name,
			       checkpoint_json_kind(member));
	return 0;
}

static int take_behavior(const json_t *json, enum behavior absent, struct step *step,
			 const char *where, struct err *err)
{
	const json_t *member = json_object_get(json, "behavior");
	const char *text = json_string_value(member);

	step->behavior = absent;
	if (!member)
		return 0;
	for (unsigned b = 0; text && b < BEHAVIORS; b++)
		if (strcmp(text, behaviors[b]) == 0) {
			step->behavior = (enum behavior)b;
			return 0;
		}
	return err_set(err, text ? ENOTSUP : EBADMSG, "%s: behavior '%s' is not supported", where,
		       text ? text_quote(text, strlen(text)).text : checkpoint_json_kind(member));
}

static int read_byte_level(struct pre_tokenizer *pre, struct step *step, const json_t *json,
			   const char *where, struct err *err)
{
	bool use_regex;

	if (pre->has_bytes)
		return err_set(err, ENOTSUP, "%s: a second ByteLevel is not supported", where);
	pre->has_bytes = true;
	step->to_bytes = true;
	step->behavior = ISOLATED;
	if (take_bool(json, "add_prefix_space", true, &step->add_prefix_space, where, err) ||
	    take_bool(json, "use_regex", true, &use_regex, where, err))
		return err->code;
	step->find = use_regex ? FIND_REGEX : FIND_NONE;
	return use_regex ? text_regex_open(&step->regex, gpt2_rule, PATTERN_REGEX, where, err) : 0;
}

static int read_digits(struct pre_tokenizer *pre, struct step *step, const json_t *json,
		       const char *where, struct err *err)
{
	bool single;

	(void)pre;
	step->find = FIND_CHARACTERS;
	step->is_hit = is_numeric;
	if (take_bool(json, "individual_digits", false, &single, where, err))
		return err->code;
	step->behavior = single ? ISOLATED : CONTIGUOUS;
	return 0;
}

static int read_punctuation(struct pre_tokenizer *pre, struct step *step, const json_t *json,
			    const char *where, struct err *err)
{
	(void)pre;
	step->find = FIND_CHARACTERS;
	step->is_hit = is_punctuation;
	return take_behavior(json, ISOLATED, step, where, err);
}

static int read_white_space_split(struct pre_tokenizer *pre, struct step *step, const json_t *json,
				  const char *where, struct err *err)
{
	(void)pre;
	(void)json;
	(void)where;
	(void)err;
	step->find = FIND_CHARACTERS;
	step->is_hit = unicode_is_space;
	step->behavior = REMOVED;
	return 0;
}

/* Runs of word characters and runs of others, white space dropped. */
static int read_white_space(struct pre_tokenizer *pre, struct step *step, const json_t *json,
			    const char *where, struct err *err)
{
	(void)pre;
	(void)json;
	(void)where;
	(void)err;
	step->find = FIND_WORDS;
	step->behavior = REMOVED;
	return 0;
}

static int read_split(struct pre_tokenizer *pre, struct step *step, const json_t *json,
		      const char *where, struct err *err)
{
	const json_t *pattern = json_object_get(json, "pattern");
	const char *regex = json_string_value(json_object_get(pattern, "Regex"));
	const char *literal = json_string_value(json_object_get(pattern, "String"));

	(void)pre;
	step->find = FIND_REGEX;
	if (!regex == !literal)
		return err_set(err, EBADMSG, "%s: pattern is %s, expected a Regex or a String",
			       where, checkpoint_json_kind(pattern));
	if (!json_object_get(json, "behavior"))
		return err_set(err, EBADMSG, "%s: behavior is missing", where);
	if (take_behavior(json, ISOLATED, step, where, err) ||
	    take_bool(json, "invert", false, &step->invert, where, err))
		return err->code;
	return text_regex_open(&step->regex, regex ? regex : literal,
			       regex ? PATTERN_REGEX : PATTERN_LITERAL, where, err);
}

static const struct {
	const char *type;
	int (*read)(struct pre_tokenizer *pre, struct step *step, const json_t *json,
		    const char *where, struct err *err);
} readers[] = {
	{"ByteLevel", read_byte_level},	   {"Digits", read_digits},
	{"Punctuation", read_punctuation}, {"Split", read_split},
	{"Whitespace", read_white_space},  {"WhitespaceSplit", read_white_space_split},
};

static int read_step(struct pre_tokenizer *pre, const json_t *json, const char *type,
		     const char *where, struct err *err)
{
	if (pre->count == STEPS_MAX)
		return err_set(err, ENOTSUP, "%s: more than %d steps", where, STEPS_MAX);
	for (size_t i = 0; i < sizeof(readers) / sizeof(readers[0]); i++)
		if (strcmp(type, readers[i].type) == 0)
			return readers[i].read(pre, &pre->steps[pre->count++], json, where, err);
	return err_set(err, ENOTSUP, "%s: pre_tokenizer '%s' is not supported", where,
		       text_quote(type, strlen(type)).text);
}

static int read_any(struct pre_tokenizer *pre, const json_t *json, unsigned depth,
		    const char *where, struct err *err)
{
	const char *type = json_string_value(json_object_get(json, "type"));
	const json_t *inner = json_object_get(json, "pretokenizers");

	if (!type)
		return err_set(err, EBADMSG,
			       "%s: pre_tokenizer is %s, expected an object with a type", where,
			       checkpoint_json_kind(json));
	if (strcmp(type, "Sequence") != 0)
		return read_step(pre, json, type, where, err);
	if (!json_is_array(inner))
		return err_set(err, EBADMSG, "%s: pretokenizers is %s, expected an array", where,
			       checkpoint_json_kind(inner));
	if (depth == NESTED_MAX)
		return err_set(err, ENOTSUP, "%s: sequences nested more than %d deep", where,
			       NESTED_MAX);
	for (size_t i = 0; i < json_array_size(inner); i++)
		if (read_any(pre, json_array_get(inner, i), depth + 1, where, err))
			return err->code;
	return 0;
}

int pre_tokenizer_read(struct pre_tokenizer **out, const json_t *json, const char *where,
		       struct err *err)
{
	struct pre_tokenizer *pre = calloc(1, sizeof(*pre));

	*out = NULL;
	if (!pre)
		return err_nomem(err, "a pre-tokenizer", sizeof(*pre));
	if (!read_any(pre, json, 0, where, err) && !pre->has_bytes)
		err_set(err, ENOTSUP, "%s: pre_tokenizer without ByteLevel is not supported",
			where);
	if (err->code) {
		pre_tokenizer_close(pre);
		return err->code;
	}
	*out = pre;
	return 0;
}

void pre_tokenizer_close(struct pre_tokenizer *pre)
{
	if (!pre)
		return;
	for (size_t i = 0; i < pre->count; i++)
		text_regex_close(pre->steps[i].regex);
	free(pre);
}

/* Every hit character by itself, and the stretches between. */
static int find_characters(const struct step *step, const unsigned char *text, size_t bytes,
			   struct text_spans *found, struct err *err)
{
	size_t told = 0;
	unsigned length;

	for (size_t at = 0; at < bytes; at += length) {
		uint32_t point = 0;

		length = utf8_take(text + at, bytes - at, &point);
		assert(length > 0);
		if (!step->is_hit(point))
			continue;
		if ((at > told && text_spans_add(found, told, at, false, err)) ||
		    text_spans_add(found, at, at + length, true, err))
			return err->code;
		told = at + length;
	}
	return told < bytes ? text_spans_add(found, told, bytes, false, err) : 0;
}

enum kind { KIND_SPACE, KIND_WORD, KIND_OTHER };

static enum kind kind_of(uint32_t point)
{
	if (unicode_is(&unicode_word, point))
		return KIND_WORD;
	return unicode_is_space(point) ? KIND_SPACE : KIND_OTHER;
}

/* Runs of one kind; those of white space are the hits, to be removed. */
static int find_words(const unsigned char *text, size_t bytes, struct text_spans *found,
		      struct err *err)
{
	size_t from = 0, at = 0;
	enum kind run = KIND_SPACE;

	while (at < bytes) {
		uint32_t point = 0;
		unsigned length = utf8_take(text + at, bytes - at, &point);
		enum kind kind = kind_of(point);

		assert(length > 0);
		if (kind != run && at > from) {
			if (text_spans_add(found, from, at, run == KIND_SPACE, err))
				return err->code;
			from = at;
		}
		run = kind;
		at += length;
	}
	return text_spans_add(found, from, bytes, run == KIND_SPACE, err);
}

static int find(const struct step *step, const unsigned char *text, size_t bytes,
		struct text_spans *found, struct err *err)
{
	found->count = 0;
	switch (step->find) {
	case FIND_CHARACTERS:
		return find_characters(step, text, bytes, found, err);
	case FIND_WORDS:
		return find_words(text, bytes, found, err);
	case FIND_REGEX:
		return text_regex_spans(step->regex, text, bytes, found, err);
	default:
		return text_spans_add(found, 0, bytes, false, err);
	}
}

/* Join in place what belongs together; 'hit' says then what is to be removed. */
static void join(struct text_spans *found, enum behavior behavior)
{
	size_t kept = 0;
	bool before = false;

	for (size_t i = 0; i < found->count; i++) {
		struct text_span span = found->items[i];
		bool joins = kept > 0 &&
			     (behavior == CONTIGUOUS ? span.hit == before : span.hit && !before);

		before = span.hit;
		if (behavior != REMOVED)
			span.hit = false;
		if (joins && (behavior == CONTIGUOUS || behavior == MERGED_WITH_PREVIOUS))
			found->items[kept - 1].to = span.to;
		else
			found->items[kept++] = span;
	}
	found->count = kept;
}

/* The mirror of MERGED_WITH_PREVIOUS: from the end, a hit takes in what follows it. */
static void join_with_next(struct text_spans *found)
{
	size_t kept = found->count;
	bool before = false;

	for (size_t i = found->count; i-- > 0;) {
		struct text_span span = found->items[i];
		bool joins = kept < found->count && span.hit && !before;

		before = span.hit;
		span.hit = false;
		if (joins)
			found->items[kept].from = span.from;
		else
			found->items[--kept] = span;
	}
	memmove(found->items, found->items + kept, (found->count - kept) * sizeof(*found->items));
	found->count -= kept;
}

static void apply_behavior(const struct step *step, struct text_spans *found)
{
	for (size_t i = 0; step->invert && i < found->count; i++)
		found->items[i].hit = !found->items[i].hit;
	if (step->behavior == MERGED_WITH_NEXT)
		join_with_next(found);
	else
		join(found, step->behavior);
}

/* 'bytes' bytes in the byte alphabet, behind what 'to' holds. */
static int write_alphabet(struct text_bytes *to, const unsigned char *from, size_t bytes,
			  struct err *err)
{
	unsigned char *at = text_room(to->at, to->used, bytes * 2, &to->room, 1, err);

	if (!at)
		return err->code;
	to->at = at;
	for (size_t i = 0; i < bytes; i++)
		to->used += utf8_put(at + to->used, alphabet_point(from[i]));
	return 0;
}

struct pass {
	const struct step *step;
	enum text_prefix prefix;
	struct text_spans found;
	struct text_bytes prefixed;
	struct text_pieces next;
};

/* Cut one piece, and write its parts behind the others. */
static int pass_piece(struct pass *pass, const unsigned char *text, size_t bytes, struct err *err)
{
	const struct step *step = pass->step;

	if (step->add_prefix_space && pass->prefix == PREFIX_AS_TOLD && text[0] != ' ') {
		pass->prefixed.used = 0;
		if (text_bytes_add(&pass->prefixed, " ", 1, err) ||
		    text_bytes_add(&pass->prefixed, text, bytes, err))
			return err->code;
		text = pass->prefixed.at;
		bytes = pass->prefixed.used;
	}
	if (find(step, text, bytes, &pass->found, err))
		return err->code;
	apply_behavior(step, &pass->found);
	for (size_t i = 0; i < pass->found.count; i++) {
		const struct text_span *part = &pass->found.items[i];
		struct text_bytes *to = &pass->next.text;
		size_t from = to->used, count = part->to - part->from;

		if (part->hit || count == 0)
			continue;
		if (step->to_bytes ? write_alphabet(to, text + part->from, count, err)
				   : text_bytes_add(to, text + part->from, count, err))
			return err->code;
		if (text_spans_add(&pass->next.spans, from, to->used, false, err))
			return err->code;
	}
	return 0;
}

static int pass_all(struct pass *pass, struct text_pieces *pieces, struct err *err)
{
	struct text_pieces swapped = *pieces;

	pass->next.text.used = 0;
	pass->next.spans.count = 0;
	for (size_t i = 0; i < pieces->spans.count; i++) {
		const struct text_span *piece = &pieces->spans.items[i];

		if (pass_piece(pass, pieces->text.at + piece->from, piece->to - piece->from, err))
			return err->code;
	}
	*pieces = pass->next;
	pass->next = swapped;
	return 0;
}

int pre_tokenizer_split(const struct pre_tokenizer *pre, const unsigned char *text, size_t bytes,
			enum text_prefix prefix, struct text_pieces *pieces, struct err *err)
{
	struct pass pass = {.prefix = prefix};

	pieces->text.used = 0;
	pieces->spans.count = 0;
	if (bytes > 0 && (text_bytes_add(&pieces->text, text, bytes, err) ||
			  text_spans_add(&pieces->spans, 0, bytes, false, err)))
		return err->code;
	for (size_t i = 0; i < pre->count && !err->code; i++) {
		pass.step = &pre->steps[i];
		(void)pass_all(&pass, pieces, err);
	}
	free(pass.found.items);
	free(pass.prefixed.at);
	text_pieces_fini(&pass.next);
	return err->code;
}

void text_pieces_fini(struct text_pieces *pieces)
{
	free(pieces->text.at);
	free(pieces->spans.items);
	memset(pieces, 0, sizeof(*pieces));
}
