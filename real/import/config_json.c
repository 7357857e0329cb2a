/* SPDX-License-Identifier: GPL-3.0-or-later */
/* config_json.c - pairs of surrogates become one escape of YAML's, and YAML reads the rest */
#include "config_json.h"

#include "checkpoint_inside.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CONFIG_MAX = 16 * 1024 * 1024, ESCAPE = 6, PAIR = 2 * ESCAPE }; /* \ud83d is 6 bytes */

static int read_text(char **text, size_t *bytes, const char *path, struct err *err)
{
	uint64_t size;
	int fd;

	*text = NULL;
	if (checkpoint_open_file(&fd, &size, path, err))
		return err->code;
	if (size > CONFIG_MAX)
		err_set(err, EINVAL, "%s: %" PRIu64 " bytes, expected at most %d", path, size,
			CONFIG_MAX);
	else if (!(*text = malloc(size + 1)))
		err_nomem(err, "a config", size + 1);
	else if (checkpoint_pread(fd, path, 0, *text, size, err) == 0) {
		(*text)[size] = '\0';
		*bytes = (size_t)size;
	}
	close(fd);
	return err->code;
}

/* The unit that an escape at 'at' gives, or 0 where none of a surrogate from 'least' on stands. */
static uint32_t surrogate_at(const char *at, uint32_t least)
{
	char digits[5] = {0};
	uint32_t unit;

	if (at[0] != '\\' || at[1] != 'u')
		return 0;
	for (size_t i = 0; i < 4; i++) {
		digits[i] = at[2 + i];
		if (!digits[i] || !strchr("0123456789abcdefABCDEF", digits[i]))
			return 0;
	}
	unit = (uint32_t)strtoul(digits, NULL, 16);
	return unit >= least && unit < least + 0x400 ? unit : 0;
}

/* In place: \ud83d\ude00 becomes \U0001f600. */
static void join_pairs(char *text)
{
	char *to = text, escape[ESCAPE + 8];

	for (const char *at = text; *at;) {
		uint32_t high = surrogate_at(at, 0xd800);
		uint32_t low = high ? surrogate_at(at + ESCAPE, 0xdc00) : 0;
		size_t taken =
			at[0] == '\\' && at[1] ? 2 : 1; /* an escaped backslash begins none */

		if (low) {
			int length = snprintf(escape, sizeof(escape), "\\U%08" PRIx32,
					      0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00));

			memcpy(to, escape, (size_t)length);
			to += length;
			at += PAIR;
			continue;
		}
		memmove(to, at, taken);
		to += taken;
		at += taken;
	}
	*to = '\0';
}

int config_json_load(struct ynode **out, const char *path, struct err *err)
{
	size_t bytes = 0;
	char *text;

	*out = NULL;
	if (read_text(&text, &bytes, path, err))
		goto fail;
	if (strlen(text) != bytes) {
		err_set(err, EINVAL, "%s: byte %zu is 0, expected text", path, strlen(text));
		goto fail;
	}
	join_pairs(text);
	(void)!yaml_parse(out, text, path, err);
fail:
	free(text);
	return err->code;
}
