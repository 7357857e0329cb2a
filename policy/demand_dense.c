/* SPDX-License-Identifier: GPL-3.0-or-later */
/* demand_dense.c - every neuron at every step; has no step(), since a dense demand is no set */
#include "demand.h"

const char demand_dense_help[] = "every neuron at every step; needs no trace";

const struct demand_ops demand_dense = {
	.name = "dense",
	.help = demand_dense_help,
	.dense = true,
};
