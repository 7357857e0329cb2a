/* SPDX-License-Identifier: GPL-3.0-or-later */
/* forecast_error.c - a profile's own errors become the interval of a forecast */
#include "forecast_error.h"

#include <math.h>
#include <string.h>

#define SD_OF_MEAN_ERROR 1.2533141373155003 /* sqrt(pi / 2): of a normal error */
#define SD_OF_FLOOR	 1.0483590	    /* of one run; a floor is the median gap between two */
#define HALF_OF_95	 1.959963984540054

static bool is_errors(const struct ynode *check)
{
	const struct ynode *what = check->kind == YNODE_MAP ? ynode_get(check, "what") : NULL;

	return what && what->kind == YNODE_SCALAR && strcmp(what->text, "errors") == 0;
}

const struct ynode *forecast_error_check(const struct ynode *profile)
{
	const struct ynode *checks = ynode_get(profile, "checks");

	for (size_t i = 0; checks && checks->kind == YNODE_LIST && i < checks->count; i++) {
		if (is_errors(checks->items[i]))
			return checks->items[i];
	}
	return NULL;
}

/* 0 where it is not told. */
static double check_frac(const struct ynode *check, const char *name)
{
	const struct ynode *value = check ? ynode_get(check, name) : NULL;
	struct err err = {0};
	double frac = 0;

	if (!value || value->kind != YNODE_SCALAR ||
	    unit_parse(&frac, value->text, DIM_FRAC, &err) || !(frac >= 0))
		return 0; /* a figure of the writer's own, in words of its own */
	return frac;
}

void forecast_error_read(struct forecast_error *error, const struct device_origin *origin,
			 const struct ynode *profile)
{
	const struct ynode *check = forecast_error_check(profile);
	double noise = SD_OF_FLOOR * origin->noise_floor_frac;
	double deep = fmax(origin->flash_fit_error_frac, check_frac(check, "batch_frac"));
	double shallow = fmax(deep, check_frac(check, "flash_all_frac"));

	*error = (struct forecast_error){
		.deep_sd = deep > 0 ? SD_OF_MEAN_ERROR * deep : noise,
		.shallow_sd = shallow > 0 ? SD_OF_MEAN_ERROR * shallow : noise,
		.mem_sd = fmax(noise, SD_OF_MEAN_ERROR * check_frac(check, "store_frac")),
		.ffn_sd = fmax(noise, SD_OF_MEAN_ERROR * check_frac(check, "ffn_frac")),
	};
}

void forecast_error_put(struct result_row *row, const struct forecast_error *error)
{
	double flash_sd = row->in_flight < FORECAST_DEEP ? error->shallow_sd : error->deep_sd;
	double flash = row->io_wait_ns_per_token > 0 ? flash_sd * row->io_ns_per_token : 0;
	double mem = error->mem_sd * row->mem_ns_per_token;
	double compute = error->ffn_sd * row->compute_ns_per_token;
	double half = HALF_OF_95 * sqrt(flash * flash + mem * mem + compute * compute);

	row->total_ns_low = fmax(0, row->total_ns_per_token - half);
	row->total_ns_high = row->total_ns_per_token + half;
	row->spread_frac = half / row->total_ns_per_token;
}
