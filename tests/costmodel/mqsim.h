/* SPDX-License-Identifier: GPL-3.0-or-later */
/* mqsim.h - MQSim's grid of a noise-free device, for the fits' tests */
#ifndef TEST_COSTMODEL_MQSIM_H
#define TEST_COSTMODEL_MQSIM_H

#include "flash_fit.h"

#include <check.h>
#include <stdio.h>

/* Returns how many of 'room' points there are. */
static inline size_t mqsim_points(struct flash_point *points, size_t room)
{
	FILE *file = fopen(FLASH_SOURCE_DIR "/tests/costmodel/mqsim-grid.csv", "r");
	unsigned long long bytes;
	size_t count = 0;
	char line[256];
	double rate;
	unsigned n;

	ck_assert_ptr_nonnull(file);
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%llu,%u,%lf", &bytes, &n, &rate) != 3)
			continue;
		ck_assert_uint_lt(count, room);
		points[count++] = (struct flash_point){
			.read_bytes = bytes, .in_flight = n, .reads_per_s = rate};
	}
	fclose(file);
	return count;
}

#endif
