/* SPDX-License-Identifier: GPL-3.0-or-later */
/* gguf_keys.c - reads the keys of a GGUF header without trusting them, and answers for them */
#include "gguf_keys.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
	KEY_MAX = 65535,	     /* longest key name, as the format says */
	TEXT_KEPT = 4 * 1024 * 1024, /* longer texts are passed over */
};

static const struct {
	const char *name;
	unsigned char bytes; /* 0: of no fixed size */
} values[VALUE__COUNT] = {
	[VALUE_U8] = {"u8", 1},	      [VALUE_I8] = {"i8", 1},	  [VALUE_U16] = {"u16", 2},
	[VALUE_I16] = {"i16", 2},     [VALUE_U32] = {"u32", 4},	  [VALUE_I32] = {"i32", 4},
	[VALUE_F32] = {"f32", 4},     [VALUE_BOOL] = {"bool", 1}, [VALUE_TEXT] = {"text", 0},
	[VALUE_ARRAY] = {"array", 0}, [VALUE_U64] = {"u64", 8},	  [VALUE_I64] = {"i64", 8},
	[VALUE_F64] = {"f64", 8},
};

static bool is_signed(enum value_type type)
{
	return type == VALUE_I8 || type == VALUE_I16 || type == VALUE_I32 || type == VALUE_I64;
}

static bool is_integer(enum value_type type)
{
	return type == VALUE_U8 || type == VALUE_U16 || type == VALUE_U32 || type == VALUE_U64 ||
	       is_signed(type);
}

static bool is_float(enum value_type type)
{
	return type == VALUE_F32 || type == VALUE_F64;
}

/* 64 bits from the low bytes of 'raw', the sign spread where the type has one. */
static uint64_t widen(uint64_t raw, enum value_type type)
{
	unsigned bits = 8U * values[type].bytes;

	if (is_signed(type) && bits < 64 && raw >> (bits - 1) != 0)
		raw |= UINT64_MAX << bits;
	return raw;
}

static double as_double(uint64_t raw, enum value_type type)
{
	uint32_t low = (uint32_t)raw;
	float single;
	double value;

	if (type == VALUE_F64) {
		memcpy(&value, &raw, sizeof(value));
		return value;
	}
	memcpy(&single, &low, sizeof(single));
	return (double)single;
}

/* One text of an array behind the others; 'size' is what 'bytes' has room for. */
static int take_item(struct cursor *c, struct gguf_array *a, size_t *used, size_t *size,
		     struct err *err)
{
	uint64_t length;
	size_t *ends;

	if (cursor_number(c, &length, 8, "text length in an array", err))
		return err->code;
	if (length > cursor_left(c))
		return cursor_bad(c, err, "text in an array", length, cursor_left(c));
	if (length + 1 > *size - *used) {
		size_t wanted = (*used + length + 1) * 2;
		unsigned char *grown = realloc(a->bytes, wanted);

		if (!grown)
			return err_nomem(err, "texts of a GGUF header", wanted);
		a->bytes = grown;
		*size = wanted;
	}
	ends = cursor_room(a->ends, a->count, sizeof(*ends), err);
	if (!ends)
		return err->code;
	a->ends = ends;
	if (cursor_take(c, a->bytes + *used, length, "text in an array", err))
		return err->code;
	*used += length;
	a->bytes[*used] = 0;
	a->ends[a->count++] = (*used)++;
	return 0;
}

static int take_items(struct cursor *c, struct gguf_array *a, uint64_t count, struct err *err)
{
	size_t used = 0, size = 0;

	for (uint64_t i = 0; i < count; i++)
		if (take_item(c, a, &used, &size, err))
			return err->code;
	return 0;
}

static int take_array(struct cursor *c, struct gguf_array *a, struct err *err)
{
	uint64_t type, count, each;

	if (cursor_number(c, &type, 4, "array type", err) ||
	    cursor_number(c, &count, 8, "array length", err))
		return err->code;
	if (type >= VALUE__COUNT || type == VALUE_ARRAY)
		return err_set(err, EBADMSG,
			       "%s: array type at byte %" PRIu64 ": got %" PRIu64
			       ", expected a scalar's type, 0 to 12 and not 9",
			       c->path, c->at, type);
	a->type = (enum value_type)type;
	each = type == VALUE_TEXT ? 8 : values[type].bytes;
	if (count > cursor_left(c) / each)
		return cursor_bad(c, err, "array length", count, cursor_left(c) / each);
	if (type == VALUE_TEXT)
		return take_items(c, a, count, err);
	a->bytes = malloc(count * each + 1);
	if (!a->bytes)
		return err_nomem(err, "an array of a GGUF header", count * each + 1);
	a->count = count;
	return cursor_take(c, a->bytes, count * each, "array", err);
}

static int take_text(struct cursor *c, char **text, struct err *err)
{
	uint64_t length, back = c->at;

	if (cursor_number(c, &length, 8, "text length", err))
		return err->code;
	if (length > TEXT_KEPT)
		return cursor_take(c, NULL, length, "text", err);
	c->at = back;
	return cursor_text(c, text, TEXT_KEPT, "text", err);
}

static int take_value(struct cursor *c, struct gguf_key *key, struct err *err)
{
	uint64_t type;

	if (cursor_number(c, &type, 4, "key type", err))
		return err->code;
	if (type >= VALUE__COUNT)
		return err_set(err, EBADMSG, "%s: key '%s': type %" PRIu64 ", expected 0 to 12",
			       c->path, key->name, type);
	key->type = (enum value_type)type;
	if (type == VALUE_ARRAY)
		return take_array(c, &key->array, err);
	if (type == VALUE_TEXT)
		return take_text(c, &key->text, err);
	if (cursor_number(c, &key->raw, values[type].bytes, "key value", err))
		return err->code;
	if (type == VALUE_BOOL && key->raw > 1)
		return err_set(err, EBADMSG, "%s: key '%s': bool %" PRIu64 ", expected 0 or 1",
			       c->path, key->name, key->raw);
	key->raw = widen(key->raw, key->type);
	return 0;
}

static int by_name(const void *a, const void *b)
{
	const char *const *x = a, *const *y = b;

	return strcmp(*x, *y);
}

static int check_names(const struct gguf_keys *keys, const char *path, struct err *err)
{
	const char **names = malloc((keys->count + 1) * sizeof(*names));

	if (!names)
		return err_nomem(err, "GGUF keys", (keys->count + 1) * sizeof(*names));
	for (size_t i = 0; i < keys->count; i++)
		names[i] = keys->items[i].name;
	qsort(names, keys->count, sizeof(*names), by_name);
	for (size_t i = 1; i < keys->count && !err->code; i++)
		if (strcmp(names[i - 1], names[i]) == 0)
			err_set(err, EBADMSG, "%s: key '%s' stands twice", path, names[i]);
	free(names);
	return err->code;
}

int keys_take(struct gguf_keys *keys, struct cursor *c, uint64_t count, struct err *err)
{
	for (uint64_t i = 0; i < count; i++) {
		struct gguf_key *items = cursor_room(keys->items, keys->count, sizeof(*items), err);

		if (!items)
			return err->code;
		keys->items = items;
		items += keys->count++; /* counted from here, so that it is freed */
		memset(items, 0, sizeof(*items));
		if (cursor_text(c, &items->name, KEY_MAX, "key", err) || take_value(c, items, err))
			return err->code;
	}
	return check_names(keys, c->path, err);
}

void keys_fini(struct gguf_keys *keys)
{
	for (size_t i = 0; i < keys->count; i++) {
		free(keys->items[i].name);
		free(keys->items[i].text);
		free(keys->items[i].array.bytes);
		free(keys->items[i].array.ends);
	}
	free(keys->items);
	memset(keys, 0, sizeof(*keys));
}

const struct gguf_key *keys_find(const struct gguf_keys *keys, const char *name)
{
	for (size_t i = 0; i < keys->count; i++)
		if (strcmp(keys->items[i].name, name) == 0)
			return &keys->items[i];
	return NULL;
}

bool gguf_has(const struct gguf *gguf, const char *key)
{
	return keys_find(gguf_keys(gguf), key) != NULL;
}

static const struct gguf_key *find(const struct gguf *gguf, const char *key, struct err *err)
{
	const struct gguf_key *found = keys_find(gguf_keys(gguf), key);

	if (!found)
		err_set(err, EBADMSG, "%s: key %s is missing", gguf_path(gguf), key);
	return found;
}

static int wrong_type(const struct gguf *gguf, const struct gguf_key *key, const char *expected,
		      struct err *err)
{
	bool array = key->type == VALUE_ARRAY;

	return err_set(err, EBADMSG, "%s: key %s is %s: got %s%s", gguf_path(gguf), key->name,
		       expected, array ? "an array of " : "",
		       values[array ? key->array.type : key->type].name);
}

int gguf_number(const struct gguf *gguf, const char *key, uint64_t *value, struct err *err)
{
	const struct gguf_key *found = find(gguf, key, err);

	if (!found)
		return err->code;
	if (!is_integer(found->type))
		return wrong_type(gguf, found, "no unsigned number", err);
	if (is_signed(found->type) && found->raw >> 63)
		return err_set(err, EBADMSG, "%s: key %s is no unsigned number: got %" PRIi64,
			       gguf_path(gguf), key, (int64_t)found->raw);
	*value = found->raw;
	return 0;
}

int gguf_signed(const struct gguf *gguf, const char *key, int64_t *value, struct err *err)
{
	const struct gguf_key *found = find(gguf, key, err);

	if (!found)
		return err->code;
	if (!is_integer(found->type))
		return wrong_type(gguf, found, "no integer", err);
	if (found->type == VALUE_U64 && found->raw > INT64_MAX)
		return err_set(err, EBADMSG, "%s: key %s: got %" PRIu64 ", expected below 2^63",
			       gguf_path(gguf), key, found->raw);
	*value = (int64_t)found->raw;
	return 0;
}

int gguf_float(const struct gguf *gguf, const char *key, double *value, struct err *err)
{
	const struct gguf_key *found = find(gguf, key, err);

	if (!found)
		return err->code;
	if (!is_float(found->type))
		return wrong_type(gguf, found, "no floating-point number", err);
	*value = as_double(found->raw, found->type);
	return 0;
}

int gguf_bool(const struct gguf *gguf, const char *key, bool *value, struct err *err)
{
	const struct gguf_key *found = find(gguf, key, err);

	if (!found)
		return err->code;
	if (found->type != VALUE_BOOL)
		return wrong_type(gguf, found, "no bool", err);
	*value = found->raw != 0;
	return 0;
}

int gguf_text(const struct gguf *gguf, const char *key, const char **value, struct err *err)
{
	const struct gguf_key *found = find(gguf, key, err);

	if (!found)
		return err->code;
	if (found->type != VALUE_TEXT)
		return wrong_type(gguf, found, "no text", err);
	if (!found->text)
		return err_set(err, EBADMSG, "%s: key %s: more than %d bytes", gguf_path(gguf), key,
			       TEXT_KEPT);
	*value = found->text;
	return 0;
}

static int find_array(const struct gguf *gguf, const char *key, const struct gguf_array **array,
		      struct err *err)
{
	const struct gguf_key *found = find(gguf, key, err);

	if (!found)
		return err->code;
	if (found->type != VALUE_ARRAY)
		return wrong_type(gguf, found, "no array", err);
	*array = &found->array;
	return 0;
}

int gguf_texts(const struct gguf *gguf, const char *key, const struct gguf_array **array,
	       struct err *err)
{
	if (find_array(gguf, key, array, err))
		return err->code;
	if ((*array)->type != VALUE_TEXT)
		return wrong_type(gguf, keys_find(gguf_keys(gguf), key), "no array of texts", err);
	return 0;
}

int gguf_integers(const struct gguf *gguf, const char *key, const struct gguf_array **array,
		  struct err *err)
{
	if (find_array(gguf, key, array, err))
		return err->code;
	if (!is_integer((*array)->type) && (*array)->type != VALUE_BOOL)
		return wrong_type(gguf, keys_find(gguf_keys(gguf), key), "no array of integers",
				  err);
	for (size_t i = 0; (*array)->type == VALUE_U64 && i < (*array)->count; i++)
		if (gguf_integer_at(*array, i) < 0)
			return err_set(err, EBADMSG, "%s: key %s: item %zu: expected below 2^63",
				       gguf_path(gguf), key, i);
	return 0;
}

int gguf_floats(const struct gguf *gguf, const char *key, const struct gguf_array **array,
		struct err *err)
{
	if (find_array(gguf, key, array, err))
		return err->code;
	if (!is_float((*array)->type))
		return wrong_type(gguf, keys_find(gguf_keys(gguf), key),
				  "no array of floating-point numbers", err);
	return 0;
}

size_t gguf_array_count(const struct gguf_array *array)
{
	return array->count;
}

const char *gguf_text_at(const struct gguf_array *array, size_t i, size_t *bytes)
{
	size_t from;

	assert(array->type == VALUE_TEXT && i < array->count);
	from = i == 0 ? 0 : array->ends[i - 1] + 1;
	*bytes = array->ends[i] - from;
	return (const char *)array->bytes + from;
}

static uint64_t raw_at(const struct gguf_array *array, size_t i)
{
	unsigned bytes = values[array->type].bytes;
	uint64_t raw = 0;

	assert(i < array->count);
	for (unsigned b = 0; b < bytes; b++)
		raw |= (uint64_t)array->bytes[i * bytes + b] << (8 * b);
	return widen(raw, array->type);
}

int64_t gguf_integer_at(const struct gguf_array *array, size_t i)
{
	assert(is_integer(array->type) || array->type == VALUE_BOOL);
	return (int64_t)raw_at(array, i);
}

double gguf_float_at(const struct gguf_array *array, size_t i)
{
	assert(is_float(array->type));
	return as_double(raw_at(array, i), array->type);
}
