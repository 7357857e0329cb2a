/* SPDX-License-Identifier: GPL-3.0-or-later */
/* safetensors.c - reads safetensors headers without trusting them */
#include "safetensors.h"
#include "checkpoint_json.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LENGTH_BYTES = 8 };

static const struct {
	const char *name;
	enum weight_type type;
} dtypes[] = {{"F32", WEIGHT_F32}, {"F16", WEIGHT_F16}, {"BF16", WEIGHT_BF16}};

/* Where a tensor is being read: its file and name, for messages. */
struct place {
	const char *path, *name;
};

static int bad_kind(const struct place *place, const char *what, const json_t *value,
		    const char *expected, struct err *err)
{
	return err_set(err, EBADMSG, "%s: tensor '%s': %s is %s, expected %s", place->path,
		       place->name, what, checkpoint_json_kind(value), expected);
}

static int take_dtype(enum weight_type *type, const struct place *place, const json_t *value,
		      struct err *err)
{
	if (!json_is_string(value))
		return bad_kind(place, "dtype", value, "a text", err);
	for (size_t i = 0; i < sizeof(dtypes) / sizeof(dtypes[0]); i++) {
		if (strcmp(json_string_value(value), dtypes[i].name) == 0) {
			*type = dtypes[i].type;
			return 0;
		}
	}
	return err_set(err, ENOTSUP, "%s: tensor '%s': dtype '%.32s', expected F32, F16 or BF16",
		       place->path, place->name, json_string_value(value));
}

static int take_count(uint64_t *count, const struct place *place, const char *what,
		      const json_t *value, struct err *err)
{
	if (!json_is_integer(value))
		return bad_kind(place, what, value, "an integer", err);
	if (json_integer_value(value) < 0)
		return err_set(err, EBADMSG,
			       "%s: tensor '%s': %s is %" JSON_INTEGER_FORMAT
			       ", expected 0 or more",
			       place->path, place->name, what, json_integer_value(value));
	*count = (uint64_t)json_integer_value(value);
	return 0;
}

static int take_shape(struct checkpoint_tensor *tensor, const struct place *place,
		      const json_t *value, struct err *err)
{
	size_t count = json_array_size(value); /* 0 of what is no array */

	if (!json_is_array(value))
		return bad_kind(place, "shape", value, "an array", err);
	if (count > CHECKPOINT_DIMS)
		return err_set(err, ENOTSUP,
			       "%s: tensor '%s': shape has %zu dimensions, expected at most %d",
			       place->path, place->name, count, CHECKPOINT_DIMS);
	tensor->dim_count = (uint32_t)count;
	for (size_t i = 0; i < CHECKPOINT_DIMS; i++) {
		tensor->dims[i] = 1;
		if (i < count && take_count(&tensor->dims[i], place, "a dimension of its shape",
					    json_array_get(value, i), err))
			return err->code;
	}
	return checkpoint_size(tensor, place->path, err);
}

static int take_offsets(struct checkpoint_entry *entry, const struct place *place,
			uint64_t data_bytes, const json_t *value, struct err *err)
{
	uint64_t end, bytes = entry->tensor.bytes;

	if (!json_is_array(value) || json_array_size(value) != 2)
		return bad_kind(place, "data_offsets", value, "an array of two", err);
	if (take_count(&entry->at, place, "data_offsets[0]", json_array_get(value, 0), err) ||
	    take_count(&end, place, "data_offsets[1]", json_array_get(value, 1), err))
		return err->code;
	if (entry->at > end || end > data_bytes)
		return err_set(err, EBADMSG,
			       "%s: tensor '%s': data_offsets [%" PRIu64 ", %" PRIu64
			       "], expected an ascending pair within %" PRIu64 " bytes of data",
			       place->path, place->name, entry->at, end, data_bytes);
	if (end - entry->at != bytes)
		return err_set(err, EBADMSG,
			       "%s: tensor '%s': data_offsets span %" PRIu64
			       " bytes, expected %" PRIu64 " from dtype and shape",
			       place->path, place->name, end - entry->at, bytes);
	return 0;
}

static int check_keys(const struct place *place, json_t *info, struct err *err)
{
	const char *key;
	json_t *value;

	json_object_foreach(info, key,
			    value) if (strcmp(key, "dtype") != 0 && strcmp(key, "shape") != 0 &&
				       strcmp(key, "data_offsets") !=
					       0) return err_set(err, EBADMSG,
								 "%s: tensor '%s': unknown key "
								 "'%.32s', expected dtype, shape "
								 "and data_offsets",
								 place->path, place->name, key);
	return 0;
}

static int take_tensor(struct checkpoint_entry *entry, const char *name, json_t *info,
		       uint64_t data_bytes, struct err *err)
{
	struct checkpoint_tensor *tensor = &entry->tensor;
	struct place place = {.path = entry->part->path, .name = tensor->name};

	if (checkpoint_name(tensor->name, place.path, name, strlen(name), err))
		return err->code;
	if (!json_is_object(info))
		return bad_kind(&place, "its value", info, "an object", err);
	if (check_keys(&place, info, err) ||
	    take_dtype(&tensor->type, &place, json_object_get(info, "dtype"), err) ||
	    take_shape(tensor, &place, json_object_get(info, "shape"), err))
		return err->code;
	return take_offsets(entry, &place, data_bytes, json_object_get(info, "data_offsets"), err);
}

static int check_metadata(const char *path, json_t *metadata, struct err *err)
{
	const char *key;
	json_t *value;

	if (!json_is_object(metadata))
		return err_set(err, EBADMSG, "%s: __metadata__ is %s, expected an object", path,
			       checkpoint_json_kind(metadata));
	json_object_foreach(metadata, key, value) if (!json_is_string(value)) return err_set(
		err, EBADMSG, "%s: __metadata__: '%.64s' is %s, expected a text", path, key,
		checkpoint_json_kind(value));
	return 0;
}

/* By where they begin; empty tensors before the one that begins there. */
static int by_place(const void *a, const void *b)
{
	const struct checkpoint_entry *x = a, *y = b;

	if (x->at != y->at)
		return (x->at > y->at) - (x->at < y->at);
	return (x->tensor.bytes > y->tensor.bytes) - (x->tensor.bytes < y->tensor.bytes);
}

/* Each byte of the data belongs to one of the tensors from 'first' on. */
static int check_cover(const struct checkpoint *checkpoint, size_t first, uint64_t data_bytes,
		       const char *path, struct err *err)
{
	struct checkpoint_entry *entries = checkpoint->entries; /* NULL when there are none */
	uint64_t end = 0;

	if (checkpoint->entry_count > first)
		qsort(entries + first, checkpoint->entry_count - first, sizeof(*entries), by_place);
	for (size_t i = first; i < checkpoint->entry_count; i++) {
		if (entries[i].at < end)
			return err_set(err, EBADMSG,
				       "%s: tensor '%s' begins at data byte %" PRIu64
				       ", expected %" PRIu64 ", where '%s' ends: they overlap",
				       path, entries[i].tensor.name, entries[i].at, end,
				       entries[i - 1].tensor.name);
		if (entries[i].at > end)
			return err_set(err, EBADMSG,
				       "%s: tensor '%s' begins at data byte %" PRIu64
				       ", expected %" PRIu64 ": a hole that no tensor covers",
				       path, entries[i].tensor.name, entries[i].at, end);
		end += entries[i].tensor.bytes;
	}
	if (end != data_bytes)
		return err_set(err, EBADMSG,
			       "%s: tensors end at data byte %" PRIu64 ", expected %" PRIu64
			       ", the end of the file",
			       path, end, data_bytes);
	return 0;
}

static int take_header(struct checkpoint *checkpoint, struct checkpoint_part *part, json_t *root,
		       const struct safetensors_header *header, struct err *err)
{
	size_t first = checkpoint->entry_count;
	const char *name;
	json_t *info;

	json_object_foreach(root, name, info)
	{
		struct checkpoint_entry entry = {.part = part};

		if (strcmp(name, "__metadata__") == 0) {
			if (check_metadata(part->path, info, err))
				return err->code;
			continue;
		}
		if (take_tensor(&entry, name, info, header->data_bytes, err) ||
		    checkpoint_add(checkpoint, &entry, err))
			return err->code;
	}
	if (check_cover(checkpoint, first, header->data_bytes, part->path, err))
		return err->code;
	for (size_t i = first; i < checkpoint->entry_count; i++)
		checkpoint->entries[i].at += LENGTH_BYTES + header->text_bytes;
	return 0;
}

int safetensors_parse(struct checkpoint *checkpoint, struct checkpoint_part *part,
		      const struct safetensors_header *header, struct err *err)
{
	json_t *root;

	/* The format wants it at the first byte, where JSON would allow spaces. */
	if (header->text_bytes == 0 || header->text[0] != '{')
		return err_set(err, EBADMSG,
			       "%s: no safetensors file: the header begins with no '{'",
			       part->path);
	if (checkpoint_json(&root, header->text, header->text_bytes, part->path, "header", err))
		return err->code;
	(void)take_header(checkpoint, part, root, header, err);
	json_decref(root);
	return err->code;
}

static int read_length(uint64_t *length, int fd, uint64_t file_bytes, const char *path,
		       struct err *err)
{
	unsigned char raw[LENGTH_BYTES];

	if (file_bytes < LENGTH_BYTES)
		return err_set(err, EBADMSG,
			       "%s: %" PRIu64 " bytes, expected %d or more: the file is cut off",
			       path, file_bytes, LENGTH_BYTES);
	if (checkpoint_pread(fd, path, 0, raw, sizeof(raw), err))
		return err->code;
	*length = 0;
	for (unsigned i = 0; i < LENGTH_BYTES; i++)
		*length |= (uint64_t)raw[i] << (8 * i);
	if (*length > SAFETENSORS_HEADER_MAX)
		return err_set(err, EBADMSG, "%s: header length %" PRIu64 ", expected at most %d",
			       path, *length, SAFETENSORS_HEADER_MAX);
	if (*length > file_bytes - LENGTH_BYTES)
		return err_set(err, EBADMSG,
			       "%s: header length %" PRIu64 ", expected at most %" PRIu64
			       ", what is left of the file",
			       path, *length, file_bytes - LENGTH_BYTES);
	return 0;
}

int checkpoint_read_safetensors(struct checkpoint *checkpoint, const char *path, struct err *err)
{
	struct safetensors_header header = {.text = NULL};
	struct checkpoint_part *part;
	uint64_t file_bytes, length;
	char *text;
	int fd, code;

	if (checkpoint_open_file(&fd, &file_bytes, path, err) ||
	    checkpoint_keep_plain(&part, checkpoint, path, fd, err) ||
	    read_length(&length, fd, file_bytes, path, err))
		return err->code;
	text = malloc(length + 1);
	if (!text)
		return err_nomem(err, "a safetensors header", length + 1);
	header = (struct safetensors_header){.text = text,
					     .text_bytes = length,
					     .data_bytes = file_bytes - LENGTH_BYTES - length};
	code = checkpoint_pread(fd, path, LENGTH_BYTES, text, length, err);
	if (!code)
		code = safetensors_parse(checkpoint, part, &header, err);
	free(text);
	return code;
}
