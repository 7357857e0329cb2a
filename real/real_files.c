/* SPDX-License-Identifier: GPL-3.0-or-later */
/* real_files.c - order and places of a model's tensors in its two files */
#include "real_files.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

const struct file_key file_keys[] = {
	{"block_count", offsetof(struct model, layer_count)},
	{"embedding_length", offsetof(struct model, d_model)},
	{"feed_forward_length", offsetof(struct model, d_ffn)},
	{"attention.head_count", offsetof(struct model, head_count)},
	{"attention.head_count_kv", offsetof(struct model, kv_head_count)},
	{"context_length", offsetof(struct model, position_count)},
	{"vocab_size", offsetof(struct model, vocab_count)},
	{NULL, 0},
};

char *file_key_name(char key[FILE_KEY], const struct model *model, const struct file_key *row)
{
	snprintf(key, FILE_KEY, "%s.%s", model_family_words[model->family].text, row->part);
	return key;
}

char *file_path(const char *dir, const struct layout_ops *layout)
{
	const char *name = layout ? layout->name : "";
	size_t size = strlen(dir) + strlen(name) + sizeof("/base.gguf") + sizeof("/ffn..gguf");
	char *path = malloc(size);

	if (path && layout)
		snprintf(path, size, "%s/ffn.%s.gguf", dir, name);
	else if (path)
		snprintf(path, size, "%s/base.gguf", dir);
	return path;
}

static uint64_t layer_bytes(const struct file_map *map)
{
	uint64_t bytes = 0;

	if (!map->layout)
		return model_region_bytes(map->model, map->weights, REGION_ATTENTION);
	for (unsigned i = 0; i < map->layout->region_count; i++)
		bytes += model_region_bytes(map->model, map->weights, map->layout->regions[i]);
	return bytes;
}

static uint64_t first_layer_at(const struct file_map *map)
{
	return map->layout ? 0 : model_region_bytes(map->model, map->weights, REGION_EMBED);
}

uint64_t file_region_at(const struct file_map *map, enum region region, uint32_t layer)
{
	uint64_t at = first_layer_at(map) + layer * layer_bytes(map);

	if (region == REGION_EMBED) {
		assert(!map->layout);
		return 0;
	}
	if (region == REGION_ATTENTION) {
		assert(!map->layout);
		return at;
	}
	assert(map->layout);
	for (unsigned i = 0; i < map->layout->region_count; i++) {
		if (map->layout->regions[i] == region)
			return at;
		at += model_region_bytes(map->model, map->weights, map->layout->regions[i]);
	}
	assert(0 && "a region of this file");
	return 0;
}

uint64_t file_data_bytes(const struct file_map *map)
{
	return first_layer_at(map) + map->model->layer_count * layer_bytes(map);
}

/* The regions of one "layer" of the walk; of the base file, walk layer 0 is the embedding. */
static bool walk_region(const struct file_tensors *it, enum region *region, uint32_t *layer)
{
	const struct file_map *map = it->map;
	uint64_t steps = map->model->layer_count + (map->layout ? 0 : 1);

	if (it->next_layer >= steps)
		return false;
	if (map->layout) {
		*region = map->layout->regions[it->next_region];
		*layer = it->next_layer;
	} else {
		*region = it->next_layer == 0 ? REGION_EMBED : REGION_ATTENTION;
		*layer = it->next_layer == 0 ? 0 : it->next_layer - 1;
	}
	return true;
}

bool file_tensors_next(struct file_tensors *it)
{
	unsigned regions = it->map->layout ? it->map->layout->region_count : 1;

	while (walk_region(it, &it->region, &it->layer)) {
		it->index = it->next_index++;
		if (model_tensor_at(&it->tensor, it->map->model, it->map->weights, it->region,
				    it->layer, it->index)) {
			it->at = file_region_at(it->map, it->region, it->layer) + it->tensor.offset;
			return true;
		}
		it->next_index = 0;
		if (++it->next_region == regions) {
			it->next_region = 0;
			it->next_layer++;
		}
	}
	return false;
}

void file_tensor_gguf(struct gguf_tensor *to, const struct file_tensors *it)
{
	static const enum gguf_type gguf_types[WEIGHT_TYPES] = {
		[WEIGHT_F32] = GGUF_F32, [WEIGHT_F16] = GGUF_F16, [WEIGHT_BF16] = GGUF_BF16};
	const struct model_tensor *t = &it->tensor;

	memset(to, 0, sizeof(*to));
	memcpy(to->name, t->name, sizeof(t->name));
	to->type = gguf_types[t->type];
	to->dim_count = t->dims[1] == 1 ? 1 : 2;
	for (unsigned i = 0; i < GGUF_DIMS; i++)
		to->dims[i] = i < 2 ? t->dims[i] : 1;
	to->offset = it->at;
	to->bytes = t->row_stride * t->dims[1];
}

int shape_check(const struct model *m, const char *path, struct err *err)
{
	for (size_t i = 0; i < model_table.count; i++) {
		const struct param *row = &model_table.rows[i];
		uint64_t value;

		if (row->type != PARAM_U64)
			continue;
		memcpy(&value, (const char *)m + row->offset, sizeof(value));
		if ((double)value < row->min || (double)value > row->max)
			return err_set(err, EBADMSG,
				       "%s: %s: got %" PRIu64 ", expected %.0f to %.0f", path,
				       row->name, value, row->min, row->max);
	}
	if (m->d_model % 32 || m->d_ffn % 64 || m->d_model % m->head_count ||
	    m->d_model / m->head_count % 2 || m->head_count % m->kv_head_count ||
	    (m->row_align != 512 && m->row_align != 4096) ||
	    (m->family == MODEL_OPT && m->kv_head_count != m->head_count))
		return err_set(
			err, EBADMSG,
			"%s: d_model %" PRIu64 ", d_ffn %" PRIu64 ", heads %" PRIu64 " and %" PRIu64
			", row_align %" PRIu64 " do not fit together (model_params.h)",
			path, m->d_model, m->d_ffn, m->head_count, m->kv_head_count, m->row_align);
	return 0;
}
