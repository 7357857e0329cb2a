/* SPDX-License-Identifier: GPL-3.0-or-later */
/* fuzz_config.c - a checkpoint's config.json: read as a geometry, and its texts as a JSON parser of
 * others reads them */
#include "config_json.h"
#include "fuzz.h"
#include "hf_config.h"
#include "real_files.h"

#include <jansson.h>

/* YAML takes these for the end of a line, JSON for characters. */
static bool breaks_lines(const char *text)
{
	return strstr(text, "\xc2\x85") || strstr(text, "\xe2\x80\xa8") ||
	       strstr(text, "\xe2\x80\xa9");
}

static void check_texts(const struct ynode *map, const char *text, size_t size)
{
	json_t *root = json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL), *value;
	const char *key;

	json_object_foreach(root, key, value)
	{
		const char *want = json_string_value(value);
		const struct ynode *got = ynode_get(map, key);

		/* "<<" merges in YAML, and other keys may be spelt with such line ends. */
		if (want && got && !breaks_lines(want) && !breaks_lines(key))
			FUZZ_CHECK(got->kind == YNODE_SCALAR && strcmp(got->text, want) == 0);
	}
	json_decref(root);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *path = fuzz_file(data, size);
	struct err err = {0}, map_err = {0}, shape_err = {0};
	struct hf_config config;
	struct ynode *map;

	if (config_json_load(&map, path, &map_err) == 0) {
		if (map->kind == YNODE_MAP)
			check_texts(map, (const char *)data, size);
		ynode_free(map);
	} else {
		FUZZ_CHECK(map_err.code != 0 && map_err.msg[0] != '\0');
	}
	if (hf_config_read(&config, path, &err)) {
		FUZZ_CHECK(err.code != 0 && err.msg[0] != '\0');
		return 0;
	}
	FUZZ_CHECK(map_err.code == 0);
	FUZZ_CHECK(shape_check(&config.model, "x", &shape_err) == 0);
	FUZZ_CHECK(memchr(config.model.name, 0, sizeof(config.model.name)));
	FUZZ_CHECK(memchr(config.note, 0, sizeof(config.note)));
	return 0;
}
