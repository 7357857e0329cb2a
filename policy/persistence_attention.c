/* SPDX-License-Identifier: GPL-3.0-or-later */
/* persistence_attention.c - the paper's selective persistence: all but the FFN matrices stays in
 * DRAM */
#include "persistence.h"

static double attention_kept_frac(const struct policy_config *config, enum region region)
{
	(void)config;
	return region == REGION_EMBED || region == REGION_ATTENTION ? 1 : 0;
}

const char persistence_attention_help[] =
	"embeddings and attention; FFN rows come and go (selective persistence)";

const struct persistence_ops persistence_attention = {
	.name = "attention",
	.help = persistence_attention_help,
	.kept_frac = attention_kept_frac,
};
