/* SPDX-License-Identifier: GPL-3.0-or-later */
/* config_json.h - a checkpoint's config.json as nodes that know their places
 *
 * JSON is YAML in flow style, but for one thing: characters beyond U+FFFF, which JSON escapes as two
 * surrogates and YAML does not know so.  A pair is read as the character it stands for; a surrogate
 * that stands alone is refused. */
#ifndef FLASH_CONFIG_JSON_H
#define FLASH_CONFIG_JSON_H

#include "yaml.h"

/* As yaml_load(). */
MUST_CHECK int config_json_load(struct ynode **out, const char *path, struct err *err);

#endif
