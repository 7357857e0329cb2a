/* SPDX-License-Identifier: GPL-3.0-or-later */
/* persistence_none.c - the paper's naive baseline: nothing stays in DRAM */
#include "persistence.h"

static double none_kept_frac(const struct policy_config *config, enum region region)
{
	(void)config;
	(void)region;
	return 0;
}

const char persistence_none_help[] = "nothing: every part is read again for each token (naive)";

const struct persistence_ops persistence_none = {
	.name = "none",
	.help = persistence_none_help,
	.kept_frac = none_kept_frac,
};
