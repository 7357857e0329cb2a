/* SPDX-License-Identifier: GPL-3.0-or-later */
/* checkpoint_json.h - JSON from files that nobody vouches for: headers and indexes of checkpoints
 *
 * libjansson parses it, strictly: a repeated key, a NUL in a text, bytes after the end and invalid
 * UTF-8 are refused.  Ours is a cap on how many values there are, since a parsed value takes some
 * hundred times the bytes of its text. */
#ifndef FLASH_CHECKPOINT_JSON_H
#define FLASH_CHECKPOINT_JSON_H

#include "err.h"

#include <jansson.h>
#include <stddef.h>

/* '*out': an object, to be json_decref()ed.  EBADMSG with "path: what, line, column". */
MUST_CHECK int checkpoint_json(json_t **out, const char *text, size_t bytes, const char *path,
			       const char *what, struct err *err);
/* The kind of a value, for messages: "a text", "an object", ... */
const char *checkpoint_json_kind(const json_t *value);

#endif
