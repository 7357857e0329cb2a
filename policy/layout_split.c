/* SPDX-License-Identifier: GPL-3.0-or-later */
/* layout_split.c - up rows and down columns in two matrices: two reads a neuron */
#include "layout.h"

const char layout_split_help[] = "up rows and down columns apart: two reads a neuron";

const struct layout_ops layout_split = {
	.name = "split",
	.help = layout_split_help,
	.regions = {REGION_UP, REGION_DOWN},
	.region_count = 2,
};
