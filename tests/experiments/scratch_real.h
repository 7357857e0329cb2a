/* SPDX-License-Identifier: GPL-3.0-or-later */
/* scratch_real.h - a scratch folder with weights of the small model and an emulated device to read
 * them from */
#ifndef FLASH_TEST_SCRATCH_REAL_H
#define FLASH_TEST_SCRATCH_REAL_H

#include "real_model.h"
#include "scratch.h"

/* Fast enough that a test is no wait, slow enough that reads take time. */
static const char quick_yaml[] =
	"base: emulated-m1-max\n"
	"name: quick\n"
	"emulated: {unit_ns: 5us, host_ns: 5us, stall_frac: 0, retry_frac: 0}\n";

static inline void synthesise(const char *dir, uint64_t seed)
{
	const struct layout_ops *const layouts[] = {&layout_split, &layout_bundle};
	struct synth_options options = {
		.weights = WEIGHT_F16, .layouts = layouts, .layout_count = 2, .seed = seed};
	struct model model;
	struct ynode *map;
	struct err err = {0};

	ck_assert_int_eq(yaml_parse(&map, tiny_yaml, "tiny.yaml", &err), 0);
	ynode_remove(map, "activity");
	ck_assert_msg(model_read(&model, map, &err) == 0, "%s", err.msg);
	ynode_free(map);
	options.model = &model;
	ck_assert_msg(real_model_synth(dir, &options, &err) == 0, "%s", err.msg);
}

/* weights/f16 and quick.yaml. */
static inline void scratch_real(void)
{
	synthesise("weights/f16", 7);
	scratch_write("quick.yaml", quick_yaml);
}

#endif
