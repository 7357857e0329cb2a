/* SPDX-License-Identifier: GPL-3.0-or-later */
/* target_load.c - the device that a verb's --device names */
#include "cli.h"

#include "configs.h"
#include "real_emulated.h"
#include "yaml.h"

int target_load(struct real_target *target, const char *name, struct err *err)
{
	struct ynode *map = NULL;

	if (name ? config_load(&map, CONFIG_DEVICE, name, err)
		 : yaml_parse(&map, "disk", "--device", err))
		return err->code;
	(void)!real_target_read(target, map, err);
	ynode_free(map);
	return err->code;
}
