/* SPDX-License-Identifier: GPL-3.0-or-later */
/* json_config.c - a row by its type, a node by its kind */
#include "json_config.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void json_param(struct json *json, const struct param *row, const void *from)
{
	const char *at = (const char *)from + row->offset;
	char text[PARAM_STR];
	uint64_t whole;
	double number;

	switch (row->type) {
	case PARAM_U64:
		memcpy(&whole, at, sizeof(whole));
		if (row->words && (double)whole < row->min)
			break; /* a word stands for it */
		json_put_count(json, row->name, whole);
		return;
	case PARAM_F64:
		memcpy(&number, at, sizeof(number));
		json_put_number(json, row->name, number);
		return;
	case PARAM_BOOL:
		json_put_flag(json, row->name, *(const bool *)(const void *)at);
		return;
	case PARAM_WORD:
	case PARAM_TEXT:
		break;
	}
	json_put_text(json, row->name, param_text(text, sizeof(text), row, from));
}

void json_put_params(struct json *json, const char *key, const struct param_table *table,
		     const void *from)
{
	json_put_object(json, key);
	for (size_t i = 0; i < table->count; i++)
		json_param(json, &table->rows[i], from);
	json_put_end(json);
}

static void json_scalar(struct json *json, const char *key, const struct ynode *node)
{
	char *end;
	double value = strtod(node->text, &end);

	/* Not what strtod() takes and YAML readers do not: "0x10", "inf". */
	if (!node->quoted && node->text[0] && !*end && isfinite(value) &&
	    strspn(node->text, "+-.0123456789eE") == strlen(node->text))
		json_put_number(json, key, value);
	else
		json_put_text(json, key, node->text);
}

void json_put_ynode(struct json *json, const char *key, const struct ynode *node)
{
	if (node->kind == YNODE_SCALAR) {
		json_scalar(json, key, node);
		return;
	}
	if (node->kind == YNODE_LIST)
		json_put_list(json, key);
	else
		json_put_object(json, key);
	for (size_t i = 0; i < node->count; i++)
		json_put_ynode(json, node->kind == YNODE_MAP ? node->keys[i]->text : NULL,
			       node->items[i]);
	json_put_end(json);
}
