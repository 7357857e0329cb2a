/* SPDX-License-Identifier: GPL-3.0-or-later */
/* device.h - a device profile: flash, DRAM and compute figures with their fit errors
 *
 * YAML of three parameter tables and their provenance.  Written by `calibrate` or derived by hand
 * from the paper's tables (configs/device/m1-max.yaml and friends, derivation in comments). */
#ifndef FLASH_DEVICE_H
#define FLASH_DEVICE_H

#include "digest.h"
#include "flash_correction.h"
#include "param.h"

// clang-format off
struct flash_params {
#include "param_fields.h"
#include "flash_params.h"
#include "param_end.h"
	struct flash_correction correction; /* the profile's `correction:` */
	/* `batch_correction:`, whose second axis is the reads of a batch, not those in flight. */
	struct flash_correction batch_correction;
};

struct dram_params {
#include "param_fields.h"
#include "dram_params.h"
#include "param_end.h"
};

struct compute_params {
#include "param_fields.h"
#include "compute_params.h"
#include "param_end.h"
};

/* Where the figures come from, and how good they are. */
struct device_origin {
#include "param_fields.h"
#include "origin_params.h"
#include "param_end.h"
};

// clang-format on

/* device.origin.kind */
enum origin_kind { ORIGIN_MEASURED, ORIGIN_EMULATED, ORIGIN_PUBLISHED };
extern const struct param_word origin_words[];

extern const struct param_table flash_table, dram_table, compute_table, origin_table;

struct device {
	char name[PARAM_STR];
	char about[PARAM_STR];
	struct flash_params flash;
	struct dram_params dram;
	struct compute_params compute;
	struct device_origin origin;
};

/* Read a profile: keys name, about, flash, dram, compute, origin, and three that are kept for
 * readers and for plots, checked for form and not used to predict:
 *
 * points: a list of { read_bytes, in_flight, reads_per_s, noise_frac };
 *
 * intervals: a mapping of a parameter to [low, high] (95 %, in its own unit) or 'not
 * identified';
 *
 * checks: a flat mapping or a list of them: what was predicted and measured, as the writer
 * likes.
 *
 * Two more are what calibrate adds: correction and batch_correction, which predict, and samples, for prediction
 * intervals (both: device_annex.h).
 *
 * EINVAL with place. */
MUST_CHECK int device_read(struct device *device, const struct ynode *map, struct err *err);
/* The profile as a map (points, intervals and samples are the caller's to add). NULL: out of memory. */
struct ynode *device_write(const struct device *device);
/* Digest of what predicts: the parameters, not the name or the origin. */
void device_hash(const struct device *device, char text[DIGEST_TEXT]);

#endif
