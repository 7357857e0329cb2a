/* SPDX-License-Identifier: GPL-3.0-or-later */
/* fit_points.h - measured flash points from a file (fio's results, another simulator's) fitted as
 * `calibrate` fits its own */
#ifndef FLASH_FIT_POINTS_H
#define FLASH_FIT_POINTS_H

#include "flash_forms.h"

#include <stdio.h>

struct json;

enum { FIT_POINTS_MOST = 4096 };

/* A CSV with a header line: read_bytes (or size_bytes), in_flight (or iodepth) and reads_per_s (or
 * iops), and noise_frac, the relative standard error of reads_per_s, where it is known; other
 * columns are passed over, as are empty lines and those that begin with #.  The caller frees
 * *points.  EINVAL with file and line. */
MUST_CHECK int fit_points_read(struct flash_point **points, size_t *count, const char *path,
			       struct err *err);

/* "latency_ns=80us": hold a parameter of the form.  EINVAL names it. */
MUST_CHECK int fit_points_hold(struct flash_fit_options *options, const char *text,
			       struct err *err);

/* Every form with its scores, the one chosen, its parameters with intervals, and what follows from
 * them. */
void fit_points_print(FILE *out, const struct flash_choice *choice);
void fit_points_json(struct json *json, const struct flash_choice *choice);

#endif
