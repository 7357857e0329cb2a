/* SPDX-License-Identifier: GPL-3.0-or-later */
/* persistence_fraction.c - the paper's hybrid baseline: the same share of every part stays in DRAM
 */
#include "policy.h"

static double fraction_kept_frac(const struct policy_config *config, enum region region)
{
	(void)region;
	return config->persist_frac;
}

const char persistence_fraction_help[] = "persist_frac of every part (hybrid)";

const struct persistence_ops persistence_fraction = {
	.name = "fraction",
	.help = persistence_fraction_help,
	.kept_frac = fraction_kept_frac,
};
