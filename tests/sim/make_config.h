/* SPDX-License-Identifier: GPL-3.0-or-later */
/* make_config.h - a policy from YAML, for the simulator's tests */
#ifndef TEST_SIM_MAKE_CONFIG_H
#define TEST_SIM_MAKE_CONFIG_H

#include "policy.h"

#include <check.h>

static inline struct policy_config make_config(const char *yaml)
{
	struct policy_config config;
	struct ynode *map = NULL;
	struct err err = {0};

	ck_assert(!yaml_parse(&map, yaml, "test", &err));
	ck_assert_msg(!policy_config_read(&config, map, &err), "%s", err.msg);
	ynode_free(map);
	return config;
}

#endif
