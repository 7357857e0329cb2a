/* SPDX-License-Identifier: GPL-3.0-or-later */
/* checkpoint_json.c - strict JSON of bounded size */
#include "checkpoint_json.h"

#include <errno.h>

/* A tensor of a header takes about 10 values, and no model has 100,000 tensors. */
enum { VALUES_MAX = 1 << 20 };

/* Every value but the first follows one of these; those inside texts are counted too. */
static size_t count_values(const char *text, size_t bytes)
{
	size_t count = 1;

	for (size_t i = 0; i < bytes; i++)
		count += text[i] == ',' || text[i] == '[' || text[i] == '{' || text[i] == ':';
	return count;
}

const char *checkpoint_json_kind(const json_t *value)
{
	static const char *const kinds[] = {
		[JSON_OBJECT] = "an object",   [JSON_ARRAY] = "an array",  [JSON_STRING] = "a text",
		[JSON_INTEGER] = "an integer", [JSON_REAL] = "a fraction", [JSON_TRUE] = "true",
		[JSON_FALSE] = "false",	       [JSON_NULL] = "null",
	};

	return value ? kinds[json_typeof(value)] : "nothing";
}

/* A message quotes the text, which a terminal may not obey. */
static void tame(char *message)
{
	for (char *c = message; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = '?';
}

int checkpoint_json(json_t **out, const char *text, size_t bytes, const char *path,
		    const char *what, struct err *err)
{
	size_t count = count_values(text, bytes);
	json_error_t error;

	*out = NULL;
	if (count > VALUES_MAX)
		return err_set(err, EBADMSG, "%s: %s: some %zu values, expected at most %d", path,
			       what, count, VALUES_MAX);
	*out = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, &error);
	/* transformers writes model_max_length: 1e30 in all its digits where there is no limit.  Whole
	 * numbers are fractions then, and whoever wants one of them says so. */
	if (!*out && json_error_code(&error) == json_error_numeric_overflow)
		*out = json_loadb(text, bytes, JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL,
				  &error);
	if (!*out && json_error_code(&error) == json_error_out_of_memory)
		return err_nomem(err, what, bytes);
	if (!*out) {
		tame(error.text);
		return err_set(err, EBADMSG, "%s: %s, line %d, column %d: %s", path, what,
			       error.line, error.column, error.text);
	}
	if (!json_is_object(*out)) {
		err_set(err, EBADMSG, "%s: %s is %s, expected an object", path, what,
			checkpoint_json_kind(*out));
		json_decref(*out);
		*out = NULL;
		return err->code;
	}
	return 0;
}
