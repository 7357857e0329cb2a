/* SPDX-License-Identifier: GPL-3.0-or-later */
/* checkpoint.c - finds what form a checkpoint has, reads its files, and keeps their tensors sorted */
#include "checkpoint.h"
#include "checkpoint_inside.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What a folder is searched for, in this order: the first that is there is read. */
static const struct {
	const char *name;
	checkpoint_reader *reader;
	bool is_index;
} forms[] = {
	{"model.safetensors", checkpoint_read_safetensors, false},
	{"model.safetensors.index.json", checkpoint_read_safetensors, true},
	{"pytorch_model.bin", checkpoint_read_torch, false},
	{"pytorch_model.bin.index.json", checkpoint_read_torch, true},
};
enum { FORM_COUNT = sizeof(forms) / sizeof(forms[0]) };

/* Room for one more item; doubles, so only with what was read. */
static void *room_for(void *items, size_t count, size_t each, struct err *err)
{
	size_t room = count < 16 ? 16 : count * 2;
	void *grown;

	if (count < 16 ? count != 0 : (count & (count - 1)) != 0)
		return items;
	grown = realloc(items, room * each);
	if (!grown)
		err_nomem(err, "the tensors of a checkpoint", room * each);
	return grown;
}

int checkpoint_keep(struct checkpoint *checkpoint, struct checkpoint_part *part, struct err *err)
{
	struct checkpoint_part **parts = room_for(checkpoint->parts, checkpoint->part_count,
						  sizeof(struct checkpoint_part *), err);

	if (!parts) {
		part->ops->close(part);
		return err->code;
	}
	checkpoint->parts = parts;
	parts[checkpoint->part_count++] = part;
	return 0;
}

int checkpoint_add(struct checkpoint *checkpoint, const struct checkpoint_entry *entry,
		   struct err *err)
{
	struct checkpoint_entry *entries =
		room_for(checkpoint->entries, checkpoint->entry_count, sizeof(*entries), err);

	if (!entries)
		return err->code;
	checkpoint->entries = entries;
	entries[checkpoint->entry_count++] = *entry;
	return 0;
}

int checkpoint_name(char name[CHECKPOINT_NAME], const char *path, const char *from, size_t bytes,
		    struct err *err)
{
	if (bytes == 0 || bytes >= CHECKPOINT_NAME)
		return err_set(err, EBADMSG,
			       "%s: a tensor name of %zu bytes, expected 1 to %d bytes", path,
			       bytes, CHECKPOINT_NAME - 1);
	for (size_t i = 0; i < bytes; i++)
		if ((unsigned char)from[i] < 0x20 || from[i] == 0x7f)
			return err_set(err, EBADMSG,
				       "%s: byte %zu of a tensor name is 0x%02x, a control "
				       "character, expected printable text",
				       path, i, (unsigned)(unsigned char)from[i]);
	memset(name, 0, CHECKPOINT_NAME);
	memcpy(name, from, bytes);
	return 0;
}

int checkpoint_size(struct checkpoint_tensor *tensor, const char *path, struct err *err)
{
	int64_t bytes = weight_bytes(tensor->type);
	bool empty = false;

	for (uint32_t i = 0; i < CHECKPOINT_DIMS; i++)
		empty = empty || tensor->dims[i] == 0;
	for (uint32_t i = 0; i < CHECKPOINT_DIMS && !empty; i++)
		if (__builtin_mul_overflow(bytes, tensor->dims[i], &bytes))
			return err_set(err, EBADMSG,
				       "%s: tensor '%s': dimension %u is %" PRIu64
				       ", expected at most 2^63 bytes in all",
				       path, tensor->name, i, tensor->dims[i]);
	tensor->bytes = empty ? 0 : (uint64_t)bytes;
	return 0;
}

static int by_name(const void *a, const void *b)
{
	const struct checkpoint_entry *x = a, *y = b;

	return strcmp(x->tensor.name, y->tensor.name);
}

static int finish(struct checkpoint *checkpoint, struct err *err)
{
	const struct checkpoint_entry *entries = checkpoint->entries;

	if (checkpoint->entry_count == 0)
		return err_set(err, EBADMSG, "%s: holds no tensor", checkpoint->path);
	qsort(checkpoint->entries, checkpoint->entry_count, sizeof(*entries), by_name);
	for (size_t i = 1; i < checkpoint->entry_count; i++)
		if (strcmp(entries[i - 1].tensor.name, entries[i].tensor.name) == 0)
			return err_set(err, EBADMSG, "%s: tensor '%s' stands twice, expected once",
				       entries[i].part->path, entries[i].tensor.name);
	return 0;
}

/* dir/name, to be freed; NULL when out of memory. */
static char *join(const char *dir, const char *name, struct err *err)
{
	size_t dir_bytes = strlen(dir), bytes = dir_bytes + strlen(name) + 2;
	const char *slash = dir_bytes > 0 && dir[dir_bytes - 1] == '/' ? "" : "/";
	char *path = malloc(bytes);

	if (!path) {
		err_nomem(err, "a path", bytes);
		return NULL;
	}
	snprintf(path, bytes, "%s%s%s", dir, slash, name);
	return path;
}

static bool ends_in(const char *text, const char *end)
{
	size_t bytes = strlen(text), end_bytes = strlen(end);

	return bytes >= end_bytes && strcmp(text + bytes - end_bytes, end) == 0;
}

int checkpoint_gguf_found(const char *dir, struct err *err)
{
	char first[256] = "";
	unsigned count = 0;
	bool ours = false;
	DIR *folder = opendir(dir);

	for (const struct dirent *e; folder && (e = readdir(folder));) {
		if (!ends_in(e->d_name, ".gguf"))
			continue;
		ours = ours || strcmp(e->d_name, "base.gguf") == 0;
		/* The first by name: the order of a folder is nobody's. */
		if (count++ == 0 || strcmp(e->d_name, first) < 0)
			snprintf(first, sizeof(first), "%s", e->d_name);
	}
	if (folder)
		closedir(folder);
	if (ours)
		return err_set(
			err, ENOENT,
			"%s: no checkpoint in this folder: got base.gguf, a model's own file, "
			"which needs no import: give the folder to generate or score",
			dir);
	if (count > 0)
		return err_set(err, ENOENT,
			       "%s: no checkpoint in this folder: got %u GGUF file%s and no "
			       "config.json with weights, expected the file's path: %s%s%s",
			       dir, count, count > 1 ? "s" : "", dir, ends_in(dir, "/") ? "" : "/",
			       first);
	return 0;
}

static int nothing_found(const char *dir, struct err *err)
{
	if (checkpoint_gguf_found(dir, err))
		return err->code;
	return err_set(
		err, ENOENT,
		"%s: no checkpoint in this folder, expected one of %s, %s, %s, %s (or the path "
		"of a .gguf file)",
		dir, forms[0].name, forms[1].name, forms[2].name, forms[3].name);
}

static int open_folder(struct checkpoint *checkpoint, struct err *err)
{
	for (size_t i = 0; i < FORM_COUNT; i++) {
		char *path = join(checkpoint->path, forms[i].name, err);
		bool is_there = path && access(path, F_OK) == 0;
		int code = err->code;

		if (is_there)
			code = forms[i].is_index ? checkpoint_read_index(checkpoint, path,
									 forms[i].reader, err)
						 : forms[i].reader(checkpoint, path, err);
		free(path);
		if (is_there || code)
			return code;
	}
	return nothing_found(checkpoint->path, err);
}

static int open_path(struct checkpoint *checkpoint, struct err *err)
{
	const char *path = checkpoint->path;
	struct stat st;

	if (stat(path, &st) != 0)
		return err_errno(err, "%s: cannot open the checkpoint", path);
	if (S_ISDIR(st.st_mode))
		return open_folder(checkpoint, err);
	if (ends_in(path, ".gguf"))
		return checkpoint_read_gguf(checkpoint, path, err);
	return err_set(err, EINVAL, "%s: a file, expected the folder it is in, or a .gguf file",
		       path);
}

int checkpoint_open(struct checkpoint **out, const char *path, struct err *err)
{
	struct checkpoint *checkpoint = calloc(1, sizeof(*checkpoint));

	*out = NULL;
	if (!checkpoint || !(checkpoint->path = strdup(path))) {
		err_nomem(err, "a checkpoint", sizeof(*checkpoint) + strlen(path));
		goto fail;
	}
	if (open_path(checkpoint, err) || finish(checkpoint, err))
		goto fail;
	*out = checkpoint;
	return 0;
fail:
	checkpoint_close(checkpoint);
	return err->code;
}

void checkpoint_close(struct checkpoint *checkpoint)
{
	if (!checkpoint)
		return;
	for (size_t i = 0; i < checkpoint->part_count; i++)
		checkpoint->parts[i]->ops->close(checkpoint->parts[i]);
	free(checkpoint->parts);
	free(checkpoint->entries);
	free(checkpoint->path);
	free(checkpoint);
}

size_t checkpoint_tensor_count(const struct checkpoint *checkpoint)
{
	return checkpoint->entry_count;
}

const struct checkpoint_tensor *checkpoint_tensor_at(const struct checkpoint *checkpoint, size_t i)
{
	assert(i < checkpoint->entry_count);
	return &checkpoint->entries[i].tensor;
}

static const struct checkpoint_entry *entry_find(const struct checkpoint *checkpoint,
						 const char *name)
{
	size_t low = 0, high = checkpoint->entry_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(name, checkpoint->entries[middle].tensor.name);

		if (order == 0)
			return &checkpoint->entries[middle];
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

const struct checkpoint_tensor *checkpoint_find(const struct checkpoint *checkpoint,
						const char *name)
{
	const struct checkpoint_entry *entry = entry_find(checkpoint, name);

	return entry ? &entry->tensor : NULL;
}

int checkpoint_read(struct checkpoint *checkpoint, const struct checkpoint_tensor *tensor,
		    uint64_t from, void *to, size_t bytes, struct err *err)
{
	const struct checkpoint_entry *entry = entry_find(checkpoint, tensor->name);

	assert(entry); /* of this checkpoint, or a copy */
	assert(from <= entry->tensor.bytes && bytes <= entry->tensor.bytes - from);
	if (bytes == 0)
		return 0;
	if (entry->part->ops->read(entry->part, entry, from, to, bytes, err))
		return err_where(err, "tensor '%s'", tensor->name);
	return 0;
}
