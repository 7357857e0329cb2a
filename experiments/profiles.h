/* SPDX-License-Identifier: GPL-3.0-or-later */
/* profiles.h - the device profiles of a sweep, kept whole beside its rows
 *
 * DIR/devices/<device_hash>.yaml: what predicted, with the points, intervals and checks that a
 * trial's resolved config leaves out, so that a comparison can say what was fitted long after. */
#ifndef FLASH_PROFILES_H
#define FLASH_PROFILES_H

#include "yaml.h"

/* Every profile that an experiment's source (parts in place, sweep unexpanded) holds as a whole; one that
 * only a sweep's or --set's dotted paths make is in no file. */
MUST_CHECK int profiles_write(const char *dir, const struct ynode *source, struct err *err);
/* NULL in *profile when DIR has none of that digest. */
MUST_CHECK int profile_load(struct ynode **profile, const char *dir, const char *device_hash,
			    struct err *err);

#endif
