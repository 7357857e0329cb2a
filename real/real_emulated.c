/* SPDX-License-Identifier: GPL-3.0-or-later */
/* real_emulated.c - reads where a real run reads from: this host's disk, or an emulated device's
 * YAML */
#include "real_emulated.h"

#include "configs.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

// clang-format off
static const struct param emulated_rows[] = {
#define PARAM_OWNER emulated_params
#include "param_rows.h"
#include "emulated_params.h"
#include "param_end.h"
};

struct target_head {
#include "param_fields.h"
STR(name, NULL, "")
STR(about, "", "")
#include "param_end.h"
};

static const struct param head_rows[] = {
#define PARAM_OWNER target_head
#include "param_rows.h"
STR(name, NULL, "what results call the device")
STR(about, "", "one sentence")
#include "param_end.h"
};
// clang-format on

const struct param_table emulated_table = {
	"device.emulated",
	"An emulated device: a process that serves reads from memory at this pace.",
	emulated_rows,
	sizeof(emulated_rows) / sizeof(emulated_rows[0]),
};

static const struct param_table head_table = {
	"device",
	"A device to run on: configs/device/<name>.yaml with an `emulated:` or a `throttle:` "
	"mapping.",
	head_rows,
	sizeof(head_rows) / sizeof(head_rows[0]),
};

static const char disk_name[] = "disk";

static int name_read(struct real_target *target, const struct target_head *head,
		     const struct ynode *map, struct err *err)
{
	const struct ynode *at = ynode_get(map, "name");

	const size_t length = strlen(head->name);

	if (!length || length >= sizeof(target->name))
		return ynode_err(at, err, "name: wanted 1 to %zu characters",
				 sizeof(target->name) - 1);
	/* Results go by this name, and nothing emulated may stand there as measured. */
	if (strcmp(head->name, disk_name) == 0)
		return ynode_err(at, err,
				 "name: '%s' is this host's own; call the device otherwise",
				 disk_name);
	memcpy(target->name, head->name, length + 1);
	return 0;
}

static int device_read(struct real_target *target, const struct ynode *map, struct err *err)
{
	static const char *const also[] = {"emulated", "throttle", NULL};
	const struct ynode *emulated, *throttle, *mapping;
	struct target_head head;
	struct param_dest dest = {&head_table, &head};

	if (map->kind != YNODE_MAP)
		return ynode_err(map, err, "a device: wanted a mapping");
	emulated = ynode_get(map, "emulated");
	throttle = ynode_get(map, "throttle");
	/* The likeliest mistake first: a simulator's profile cannot be run on. */
	if (!emulated && !throttle)
		return ynode_err(
			map, err,
			"a real run needs a device with an `emulated:` mapping (or `throttle:`), "
			"or the word %s; this device has none",
			disk_name);
	if (emulated && throttle)
		return ynode_err(throttle, err,
				 "throttle: an emulated device has its own pace; wanted one of "
				 "emulated and throttle");
	mapping = emulated ? emulated : throttle;
	if (mapping->kind != YNODE_MAP)
		return ynode_err(mapping, err, "%s: wanted a mapping",
				 emulated ? "emulated" : "throttle");
	if (param_read(&dest, 1, map, also, err))
		return err->code;
	dest = emulated ? (struct param_dest){&emulated_table, &target->emulated}
			: (struct param_dest){&throttle_table, &target->throttle};
	if (param_read(&dest, 1, mapping, NULL, err))
		return err->code;
	target->is_emulated = emulated != NULL;
	target->is_throttled = throttle != NULL;
	return name_read(target, &head, map, err);
}

int real_target_read(struct real_target *target, const struct ynode *named, struct err *err)
{
	struct ynode *map = NULL;

	memset(target, 0, sizeof(*target));
	if (named->kind == YNODE_SCALAR && strcmp(named->text, disk_name) == 0) {
		snprintf(target->name, sizeof(target->name), "%s", disk_name);
		return 0;
	}
	if (config_resolve(&map, CONFIG_DEVICE, named, err))
		return err->code;
	(void)!device_read(target, map, err);
	ynode_free(map);
	return err->code;
}
