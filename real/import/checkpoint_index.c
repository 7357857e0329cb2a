/* SPDX-License-Identifier: GPL-3.0-or-later */
/* checkpoint_index.c - a checkpoint in shards: which tensor the index places in which file
 *
 * The index is an object with `weight_map`: a tensor's name to a file's.  What the shards hold must
 * be what it says, no more and no less. */
#include "checkpoint_inside.h"
#include "checkpoint_json.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	INDEX_MAX = 16 * 1024 * 1024, /* bytes; a model of 100 layers has some 100 KiB */
	SHARD_NAME_MAX = 255,
};

static int read_text(char **text, size_t *bytes, const char *path, struct err *err)
{
	uint64_t size;
	int fd;

	*text = NULL;
	if (checkpoint_open_file(&fd, &size, path, err))
		return err->code;
	if (size > INDEX_MAX)
		err_set(err, EBADMSG, "%s: %" PRIu64 " bytes, expected an index of at most %d",
			path, size, INDEX_MAX);
	else if (!(*text = malloc(size + 1)))
		err_nomem(err, "an index", size + 1);
	else if (checkpoint_pread(fd, path, 0, *text, size, err) == 0)
		*bytes = (size_t)size;
	close(fd);
	return err->code;
}

/* A shard lies beside its index: its name may not lead anywhere else. */
static int check_shard_name(const char *path, const char *tensor, const json_t *value,
			    struct err *err)
{
	const char *name = json_string_value(value);

	if (!name)
		return err_set(err, EBADMSG, "%s: tensor '%.*s': shard is %s, expected a text",
			       path, CHECKPOINT_NAME, tensor, checkpoint_json_kind(value));
	if (name[0] == '\0' || strlen(name) > SHARD_NAME_MAX || strpbrk(name, "/\\") ||
	    strstr(name, "..") || strcmp(name, ".") == 0)
		return err_set(err, EBADMSG,
			       "%s: tensor '%.*s': shard '%.64s', expected the name of a file in "
			       "the same folder",
			       path, CHECKPOINT_NAME, tensor, name);
	for (const char *c = name; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			return err_set(err, EBADMSG,
				       "%s: tensor '%.*s': its shard's name holds a control "
				       "character",
				       path, CHECKPOINT_NAME, tensor);
	return 0;
}

static int by_text(const void *a, const void *b)
{
	const char *const *x = a, *const *y = b;

	return strcmp(*x, *y);
}

/* Each shard's name once, in order; they live in 'map'. */
static int list_shards(const char ***out, size_t *out_count, json_t *map, const char *path,
		       struct err *err)
{
	size_t count = 0, unique = 0, bytes = (json_object_size(map) + 1) * sizeof(char *);
	const char **shards = malloc(bytes), *name;
	json_t *value;

	*out = shards;
	if (!shards)
		return err_nomem(err, "the shards of a checkpoint", bytes);
	json_object_foreach(map, name, value)
	{
		char ours[CHECKPOINT_NAME];

		if (checkpoint_name(ours, path, name, strlen(name), err) ||
		    check_shard_name(path, name, value, err))
			return err->code;
		shards[count++] = json_string_value(value);
	}
	qsort(shards, count, sizeof(*shards), by_text);
	for (size_t i = 0; i < count; i++)
		if (unique == 0 || strcmp(shards[unique - 1], shards[i]) != 0)
			shards[unique++] = shards[i];
	*out_count = unique;
	return 0;
}

/* Tensors from 'first' on came from 'shard'. */
static int check_placed(const struct checkpoint *checkpoint, size_t first, const json_t *map,
			const char *shard, const char *path, struct err *err)
{
	for (size_t i = first; i < checkpoint->entry_count; i++) {
		const char *name = checkpoint->entries[i].tensor.name;
		const char *said = json_string_value(json_object_get(map, name));

		if (!said)
			return err_set(err, EBADMSG,
				       "%s: tensor '%s' of shard '%s' is missing in the index",
				       path, name, shard);
		if (strcmp(said, shard) != 0)
			return err_set(err, EBADMSG,
				       "%s: tensor '%s' stands in shard '%s', expected it in '%s'",
				       path, name, shard, said);
	}
	return 0;
}

static int read_shard(struct checkpoint *checkpoint, const char *path, const char *shard,
		      checkpoint_reader *reader, struct err *err)
{
	size_t folder_bytes = (size_t)(strrchr(path, '/') - path) + 1;
	size_t bytes = folder_bytes + strlen(shard) + 1;
	char *file = malloc(bytes);

	if (!file)
		return err_nomem(err, "a path", bytes);
	memcpy(file, path, folder_bytes);
	memcpy(file + folder_bytes, shard, bytes - folder_bytes);
	if (access(file, F_OK) != 0)
		err_set(err, ENOENT, "%s: shard '%s' is missing, expected it beside the index",
			path, shard);
	else
		(void)reader(checkpoint, file, err);
	free(file);
	return err->code;
}

/* Each tensor of the map was found; takes those that were out of it. */
static int check_all(const struct checkpoint *checkpoint, json_t *map, const char *path,
		     struct err *err)
{
	void *left;

	for (size_t i = 0; i < checkpoint->entry_count; i++)
		json_object_del(map, checkpoint->entries[i].tensor.name);
	left = json_object_iter(map);
	if (left)
		return err_set(err, EBADMSG,
			       "%s: tensor '%s' is missing in shard '%s', where it is expected",
			       path, json_object_iter_key(left),
			       json_string_value(json_object_iter_value(left)));
	return 0;
}

static int read_map(struct checkpoint *checkpoint, const char *path, json_t *map,
		    checkpoint_reader *reader, struct err *err)
{
	const char **shards = NULL;
	size_t count = 0;

	if (!json_is_object(map))
		return err_set(err, EBADMSG, "%s: weight_map is %s, expected an object", path,
			       checkpoint_json_kind(map));
	(void)list_shards(&shards, &count, map, path, err);
	for (size_t i = 0; i < count && !err->code; i++) {
		size_t first = checkpoint->entry_count;

		if (!read_shard(checkpoint, path, shards[i], reader, err))
			(void)check_placed(checkpoint, first, map, shards[i], path, err);
	}
	if (!err->code)
		(void)check_all(checkpoint, map, path, err);
	free(shards);
	return err->code;
}

int checkpoint_read_index(struct checkpoint *checkpoint, const char *path,
			  checkpoint_reader *reader, struct err *err)
{
	json_t *root = NULL;
	char *text;
	size_t bytes;

	assert(strchr(path, '/'));
	if (!read_text(&text, &bytes, path, err) &&
	    !checkpoint_json(&root, text, bytes, path, "index", err))
		(void)read_map(checkpoint, path, json_object_get(root, "weight_map"), reader, err);
	json_decref(root);
	free(text);
	return err->code;
}
