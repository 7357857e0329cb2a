/* SPDX-License-Identifier: GPL-3.0-or-later */
/* world_null.c - executes nothing and costs nothing: measures the harness, and sizes a run */
#include "world.h"

static int null_token_begin(void *world, uint32_t token, struct err *err)
{
	(void)world;
	(void)token;
	(void)err;
	return 0;
}

static int null_submit(void *world, const struct plan *plan, uint64_t *ticket, struct err *err)
{
	(void)world;
	(void)plan;
	(void)err;
	*ticket = 0;
	return 0;
}

static int null_compute(void *world, const struct plan *plan, uint64_t ticket,
			struct step_cost *cost, struct err *err)
{
	(void)world;
	(void)ticket;
	(void)err;
	*cost = (struct step_cost){.read_count = plan->read_count, .read_bytes = plan->read_bytes};
	return 0;
}

static int null_token_end(void *world, uint64_t *total_ns, struct err *err)
{
	(void)world;
	(void)err;
	*total_ns = 0;
	return 0;
}

const struct world_ops world_null = {
	.name = "null",
	.token_begin = null_token_begin,
	.submit = null_submit,
	.compute = null_compute,
	.token_end = null_token_end,
};
