/* SPDX-License-Identifier: GPL-3.0-or-later */
/* fuzz_yaml.c - YAML texts: parsed, written, parsed again; and read as a model */
#include "fuzz.h"
#include "model.h"
#include "yaml.h"

static bool same_text(const char *a, const char *b)
{
	return (!a && !b) || (a && b && strcmp(a, b) == 0);
}

static bool same(const struct ynode *a, const struct ynode *b)
{
	if (a->kind != b->kind || a->count != b->count || !same_text(a->text, b->text))
		return false;
	for (size_t i = 0; i < a->count; i++) {
		if (a->kind == YNODE_MAP && !same_text(a->keys[i]->text, b->keys[i]->text))
			return false;
		if (!same(a->items[i], b->items[i]))
			return false;
	}
	return true;
}

static void check_tree(const struct ynode *root)
{
	struct err err = {0}, again_err = {0}, model_err = {0};
	struct ynode *again;
	struct model model;
	char *text;

	FUZZ_CHECK(ynode_text(&text, root, &err) == 0);
	FUZZ_CHECK(yaml_parse(&again, text, "again.yaml", &again_err) == 0);
	FUZZ_CHECK(same(root, again));
	ynode_free(again);
	free(text);
	if (root->kind == YNODE_MAP && model_read(&model, root, &model_err))
		FUZZ_CHECK(model_err.msg[0] != '\0');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ynode *root;
	struct err err = {0};
	char *text = malloc(size + 1);

	FUZZ_CHECK(text);
	memcpy(text, data, size);
	text[size] = '\0';
	if (yaml_parse(&root, text, "x.yaml", &err) == 0) {
		check_tree(root);
		ynode_free(root);
	} else {
		FUZZ_CHECK(err.code != 0 && err.msg[0] != '\0');
	}
	free(text);
	return 0;
}
