/* SPDX-License-Identifier: GPL-3.0-or-later */
/* configs.h - parts by name: `device: m1-max`, `model: opt-6.7b`, `policy: all`
 *
 * A part is named three ways: a word, a path, or the mapping itself written in place.  A word names
 * configs/<kind>/<word>.yaml, perhaps in a subfolder (`paper/table2`).  A path begins with '/' or
 * '.' or ends in .yaml, or has a '/' and is no such word; it is relative to the file that names it.
 * A part may name another of its kind to start from with `base:`, and states only what differs.
 * Look-up of words: $FLASHCAST_CONFIGS, then what was shipped with the program: the first folder
 * that is there of share/flashcast/configs in the program's own prefix, the source tree's configs/,
 * and the installed data folder that the build was told of.  A word that is nowhere is an error
 * that lists what there is and the nearest name; there is no silent default. */
#ifndef FLASH_CONFIGS_H
#define FLASH_CONFIGS_H

#include "param.h"

enum config_kind { CONFIG_DEVICE, CONFIG_MODEL, CONFIG_POLICY, CONFIG_EXPERIMENT };

const char *config_kind_name(enum config_kind kind); /* "device", ... = the folder's name */

/* The file of a part named by 'name' as written in 'from_file' (may be NULL: the current folder).
 * 'path' holds 'size' bytes. EINVAL when it is nowhere; no place is put in front. */
MUST_CHECK int config_find(char *path, size_t size, enum config_kind kind, const char *name,
			   const char *from_file, struct err *err);

/* What a part is called that says no name: its file's, without folder and .yaml. */
void config_name(char name[PARAM_STR], const char *file);

/* The part's own mapping, `base:` chains merged (at most 8 deep, circles refused), owned by the
 * caller: from a scalar (word or path) or a mapping node. */
MUST_CHECK int config_resolve(struct ynode **out, enum config_kind kind, const struct ynode *named,
			      struct err *err);
/* The same for a word or path given on the command line. */
MUST_CHECK int config_load(struct ynode **out, enum config_kind kind, const char *name,
			   struct err *err);

#endif
