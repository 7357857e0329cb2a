/* SPDX-License-Identifier: GPL-3.0-or-later */
/* layout_bundle.c - a neuron's up row and down column side by side: one read of twice the size */
#include "layout.h"

const char layout_bundle_help[] = "up row and down column side by side: one read a neuron";

const struct layout_ops layout_bundle = {
	.name = "bundle",
	.help = layout_bundle_help,
	.regions = {REGION_BUNDLE},
	.region_count = 1,
};
