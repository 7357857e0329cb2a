/* SPDX-License-Identifier: GPL-3.0-or-later */
/* json_out.h - JSON onto a stream: the one place that knows commas, quotes and what JSON cannot say
 *
 *	struct json json = {.out = stdout};
 *
 *	json_put_object(&json, NULL);
 *	json_put_text(&json, "model", name);
 *	json_put_list(&json, "aggregated_frac");
 *	json_put_number(&json, NULL, 0.24);
 *	json_put_end(&json);
 *	json_put_end(&json);
 *
 * (json_put_*, since jansson, which reads JSON elsewhere here, has json_object() and its like.)
 *
 * A member of an object has a key, an item of a list has NULL.  Objects inside a list and the end
 * of the whole stand on lines of their own.  Texts may hold anything: what is no UTF-8 becomes
 * U+FFFD.  The stream remembers whether writing failed. */
#ifndef FLASH_JSON_OUT_H
#define FLASH_JSON_OUT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum { JSON_DEPTH_MAX = 80 }; /* deeper than any YAML tree */

struct json {
	FILE *out;
	unsigned depth;
	bool is_list[JSON_DEPTH_MAX], has_items[JSON_DEPTH_MAX + 1];
};

void json_put_object(struct json *json, const char *key);
void json_put_list(struct json *json, const char *key);
void json_put_end(struct json *json); /* of the innermost object or list */

void json_put_text(struct json *json, const char *key, const char *text);
/* The shortest that reads back exactly; null for what is not finite. */
void json_put_number(struct json *json, const char *key, double value);
void json_put_count(struct json *json, const char *key, uint64_t value);
void json_put_null(struct json *json, const char *key);
void json_put_flag(struct json *json, const char *key, bool value);

#endif
