/* SPDX-License-Identifier: GPL-3.0-or-later */
/* configs.c - finds parts by name and puts a part on top of the one it starts from */
#include "configs.h"
#include "param.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CHAIN_MAX = 8, PATH_BYTES = 4096, NAME_BYTES = 258, LIST_TEXT = 400 };

static const char *const kind_names[] = {
	[CONFIG_DEVICE] = "device",
	[CONFIG_MODEL] = "model",
	[CONFIG_POLICY] = "policy",
	[CONFIG_EXPERIMENT] = "experiment",
};

const char *config_kind_name(enum config_kind kind)
{
	assert((unsigned)kind < sizeof(kind_names) / sizeof(kind_names[0]));
	return kind_names[kind];
}

void config_name(char name[PARAM_STR], const char *file)
{
	static const char ending[] = ".yaml";
	const char *slash = strrchr(file, '/');
	const char *base = slash ? slash + 1 : file;
	size_t length = strlen(base), end = sizeof(ending) - 1;

	if (length > end && strcmp(base + length - end, ending) == 0)
		length -= end;
	snprintf(name, PARAM_STR, "%.*s", (int)(length < PARAM_STR ? length : PARAM_STR - 1), base);
}

/* ---- the names that there are ---- */

enum { ROOTS = 2 };

/* Where words are looked up, in this order; NULL: nowhere. */
struct roots {
	const char *at[ROOTS];
	char beside[PATH_BYTES]; /* what at[1] may point to */
};

static bool is_dir(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* The data folder of the prefix that the running program lies in, wherever that was moved to;
 * false when it lies in none, or the system does not say. */
static bool beside_program(char beside[PATH_BYTES])
{
	static const char from_bin[] = "/" FLASH_CONFIGS_FROM_BIN;
	ssize_t length = readlink("/proc/self/exe", beside, PATH_BYTES - sizeof(from_bin));
	char *slash;

	if (length <= 0)
		return false;
	beside[length] = '\0';
	slash = strrchr(beside, '/');
	if (!slash)
		return false;
	memcpy(slash, from_bin, sizeof(from_bin));
	return is_dir(beside);
}

static void roots_fill(struct roots *roots)
{
	const char *from_env = getenv("FLASHCAST_CONFIGS");

	roots->at[0] = from_env && from_env[0] ? from_env : NULL;
	/* One shipped folder and never two: a name must not come from another version. */
	if (beside_program(roots->beside))
		roots->at[1] = roots->beside;
	else if (is_dir(FLASH_CONFIGS_SOURCE))
		roots->at[1] = FLASH_CONFIGS_SOURCE;
	else
		roots->at[1] = FLASH_CONFIGS_INSTALLED;
}

struct names {
	char **all;
	size_t count;
};

static void names_free(struct names *names)
{
	for (size_t i = 0; i < names->count; i++)
		free(names->all[i]);
	free(names->all);
}

/* 'file' of subfolder 'prefix' ("" or "paper/") without its ".yaml", once.  Returns 0 or ENOMEM. */
static int names_add(struct names *names, const char *prefix, const char *file)
{
	size_t length = strlen(file), stem = length - strlen(".yaml"), size;
	char **grown, *copy;

	if (length <= strlen(".yaml") || strcmp(file + stem, ".yaml") != 0)
		return 0;
	grown = realloc(names->all, (names->count + 1) * sizeof(*grown));
	if (!grown)
		return ENOMEM;
	names->all = grown;
	size = strlen(prefix) + stem + 1;
	copy = malloc(size);
	if (!copy)
		return ENOMEM;
	snprintf(copy, size, "%s%.*s", prefix, (int)stem, file);
	for (size_t i = 0; i < names->count; i++) {
		if (strcmp(names->all[i], copy) == 0) {
			free(copy);
			return 0;
		}
	}
	names->all[names->count++] = copy;
	return 0;
}

/* The names in a folder and, where 'prefix' is "", in its subfolders. */
static int names_scan(struct names *names, const char *folder, const char *prefix)
{
	char path[PATH_BYTES], below[NAME_BYTES];
	const struct dirent *entry;
	struct stat st;
	DIR *dir = opendir(folder);
	int rc = 0;

	while (dir && rc == 0 && (entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] == '.' || fstatat(dirfd(dir), entry->d_name, &st, 0) != 0)
			continue;
		if (!S_ISDIR(st.st_mode))
			rc = names_add(names, prefix, entry->d_name);
		else if (!prefix[0] &&
			 snprintf(below, sizeof(below), "%s/", entry->d_name) <
				 (int)sizeof(below) &&
			 snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name) <
				 (int)sizeof(path))
			rc = names_scan(names, path, below);
	}
	if (dir)
		closedir(dir);
	return rc;
}

static int names_gather(struct names *names, enum config_kind kind, struct err *err)
{
	struct roots roots;
	char folder[PATH_BYTES];

	roots_fill(&roots);
	for (size_t i = 0; i < ROOTS; i++) {
		if (!roots.at[i] || snprintf(folder, sizeof(folder), "%s/%s", roots.at[i],
					     config_kind_name(kind)) >= (int)sizeof(folder))
			continue;
		if (names_scan(names, folder, ""))
			return err_nomem(err, "names of configs",
					 (names->count + 1) * sizeof(*names->all));
	}
	return 0;
}

static int name_compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void names_join(char *text, size_t size, const struct names *names)
{
	size_t used = 0;

	text[0] = '\0';
	for (size_t i = 0; i < names->count; i++) {
		if (used + strlen(names->all[i]) + sizeof(", ...") > size) {
			snprintf(text + used, size - used, "...");
			return;
		}
		used += (size_t)snprintf(text + used, size - used, "%s%s", i ? ", " : "",
					 names->all[i]);
	}
}

static int word_unknown(enum config_kind kind, const char *word, struct err *err)
{
	const char *what = config_kind_name(kind), *near;
	struct names names = {0};
	char list[LIST_TEXT];

	if (names_gather(&names, kind, err))
		goto out;
	if (names.count)
		qsort(names.all, names.count, sizeof(*names.all), name_compare);
	names_join(list, sizeof(list), &names);
	near = near_name(word, (const char *const *)names.all, names.count);
	if (near)
		err_set(err, EINVAL, "no %s '%.64s' (did you mean %s?); there are %s", what, word,
			near, list);
	else if (names.count)
		err_set(err, EINVAL, "no %s '%.64s'; there are %s", what, word, list);
	else
		err_set(err, EINVAL,
			"no %s '%.64s', nor any other (set FLASHCAST_CONFIGS to the folder that "
			"holds %s/)",
			what, word, what);
out:
	names_free(&names);
	return err->code;
}

/* ---- one file ---- */

static int is_file(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && !S_ISDIR(st.st_mode);
}

static int has_ending(const char *name)
{
	size_t length = strlen(name);

	return length >= 5 && strcmp(name + length - 5, ".yaml") == 0;
}

/* A word may name a subfolder: `paper/table2`. */
static int is_word(const char *name)
{
	return name[0] != '/' && name[0] != '.' && !has_ending(name);
}

static int find_word(char *path, size_t size, enum config_kind kind, const char *name)
{
	struct roots roots;

	roots_fill(&roots);
	for (size_t i = 0; i < ROOTS; i++) {
		if (roots.at[i] &&
		    snprintf(path, size, "%s/%s/%s.yaml", roots.at[i], config_kind_name(kind),
			     name) < (int)size &&
		    is_file(path))
			return 1;
	}
	return 0;
}

/* Relative to the folder of the file that names it. */
static int find_path(char *path, size_t size, enum config_kind kind, const char *name,
		     const char *from_file, struct err *err)
{
	const char *slash = from_file && name[0] != '/' ? strrchr(from_file, '/') : NULL;
	int folder = slash ? (int)(slash - from_file) + 1 : 0;

	if (snprintf(path, size, "%.*s%s", folder, folder ? from_file : "", name) >= (int)size)
		return err_set(err, EINVAL, "%s '%.64s...': the path is too long",
			       config_kind_name(kind), name);
	if (!is_file(path))
		return err_set(err, EINVAL, "no %s file '%.256s'", config_kind_name(kind), path);
	return 0;
}

int config_find(char *path, size_t size, enum config_kind kind, const char *name,
		const char *from_file, struct err *err)
{
	struct err no_path = {0};

	if (!name[0])
		return err_set(err, EINVAL, "an empty name, wanted a %s", config_kind_name(kind));
	if (!is_word(name))
		return find_path(path, size, kind, name, from_file, err);
	if (find_word(path, size, kind, name))
		return 0;
	if (strchr(name, '/') && find_path(path, size, kind, name, from_file, &no_path) == 0)
		return 0;
	return word_unknown(kind, name, err);
}

/* ---- chains of `base:` ---- */

/* The files that led here, each on the stack of the call that opened it. */
struct link {
	const struct link *prev;
	char path[PATH_BYTES];
	dev_t dev;
	ino_t ino;
};

static int resolve(struct ynode **out, enum config_kind kind, const struct ynode *named,
		   const struct link *chain, unsigned base_count, struct err *err);

static int circle_check(const struct link *self, const struct ynode *named, struct err *err)
{
	for (const struct link *l = self->prev; l; l = l->prev) {
		if (l->dev == self->dev && l->ino == self->ino)
			return named ? ynode_err(named, err, "base: %.256s starts from itself",
						 l->path)
				     : err_set(err, EINVAL, "base: %.256s starts from itself",
					       l->path);
	}
	return 0;
}

/* Replace 'map', which may say `base:`, by that base overlaid with it. */
static int base_apply(struct ynode **map, enum config_kind kind, const struct link *chain,
		      unsigned base_count, struct err *err)
{
	const struct ynode *named = ynode_get(*map, "base");
	struct ynode *base = NULL;
	int rc;

	if (!named)
		return 0;
	if (base_count == CHAIN_MAX)
		return ynode_err(named, err, "base: more than %d parts start from each other",
				 CHAIN_MAX);
	rc = resolve(&base, kind, named, chain, base_count + 1, err);
	if (rc)
		return rc;
	ynode_remove(*map, "base");
	rc = ynode_merge(base, *map, err);
	if (rc) {
		ynode_free(base);
		return rc;
	}
	ynode_free(*map);
	*map = base;
	return 0;
}

static int resolve_file(struct ynode **out, enum config_kind kind, const struct ynode *named,
			struct link *link, unsigned base_count, struct err *err)
{
	struct ynode *map = NULL;
	struct stat st;
	int rc;

	if (stat(link->path, &st) != 0)
		return err_errno(err, "cannot read '%s'", link->path);
	link->dev = st.st_dev;
	link->ino = st.st_ino;
	rc = circle_check(link, named, err);
	if (rc)
		return rc;
	rc = yaml_load(&map, link->path, err);
	if (rc)
		return rc;
	if (map->kind != YNODE_MAP)
		rc = ynode_err(map, err, "wanted a %s's mapping, got a %s", config_kind_name(kind),
			       map->kind == YNODE_LIST ? "list" : "value");
	if (rc == 0)
		rc = base_apply(&map, kind, link, base_count, err);
	if (rc) {
		ynode_free(map);
		return rc;
	}
	*out = map;
	return 0;
}

static int resolve_map(struct ynode **out, enum config_kind kind, const struct ynode *named,
		       const struct link *chain, unsigned base_count, struct err *err)
{
	struct ynode *map = ynode_clone(named);
	int rc;

	if (!map)
		return err_nomem(err, config_kind_name(kind), sizeof(*map));
	rc = base_apply(&map, kind, chain, base_count, err);
	if (rc) {
		ynode_free(map);
		return rc;
	}
	*out = map;
	return 0;
}

static int resolve(struct ynode **out, enum config_kind kind, const struct ynode *named,
		   const struct link *chain, unsigned base_count, struct err *err)
{
	struct link link = {.prev = chain};
	struct err what = {0};

	if (named->kind == YNODE_MAP)
		return resolve_map(out, kind, named, chain, base_count, err);
	if (named->kind == YNODE_LIST)
		return ynode_err(named, err,
				 "wanted a %s (a name, a path or a mapping), got a list",
				 config_kind_name(kind));
	if (config_find(link.path, sizeof(link.path), kind, named->text, named->file, &what))
		return what.code == EINVAL ? ynode_err(named, err, "%s", what.msg)
					   : err_set(err, what.code, "%s", what.msg);
	return resolve_file(out, kind, named, &link, base_count, err);
}

int config_resolve(struct ynode **out, enum config_kind kind, const struct ynode *named,
		   struct err *err)
{
	return resolve(out, kind, named, NULL, 0, err);
}

int config_load(struct ynode **out, enum config_kind kind, const char *name, struct err *err)
{
	struct link link = {0};
	int rc = config_find(link.path, sizeof(link.path), kind, name, NULL, err);

	return rc ? rc : resolve_file(out, kind, NULL, &link, 0, err);
}
