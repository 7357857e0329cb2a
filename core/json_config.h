/* SPDX-License-Identifier: GPL-3.0-or-later */
/* json_config.h - parameters and YAML trees as JSON */
#ifndef FLASH_JSON_CONFIG_H
#define FLASH_JSON_CONFIG_H

#include "json_out.h"
#include "param.h"

/* An object with a member for each row: numbers in the base unit, words as texts. */
void json_put_params(struct json *json, const char *key, const struct param_table *table,
		     const void *from);
/* A tree as it stands: what is not quoted and reads as a number is one. */
void json_put_ynode(struct json *json, const char *key, const struct ynode *node);

#endif
