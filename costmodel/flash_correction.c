/* SPDX-License-Identifier: GPL-3.0-or-later */
/* flash_correction.c - a grid of leftovers, built from points and read between them */
#include "flash_correction.h"

#include "order.h"

#include <math.h>

/* Where x lies on an ascending axis: between [at] and [at + 1], 'share' of the way. */
struct place {
	unsigned at;
	double share;
};

static struct place place_on(const double *axis, unsigned count, double x)
{
	struct place place = {0, 0};

	if (count < 2 || x <= axis[0])
		return place;
	while (place.at + 2 < count && x >= axis[place.at + 1])
		place.at++;
	place.share = log(x / axis[place.at]) / log(axis[place.at + 1] / axis[place.at]);
	place.share = fmin(place.share, 1);
	return place;
}

double flash_correction_at(const struct flash_correction *c, double read_bytes, double in_flight)
{
	struct place size, depth;
	double log_factor = 0;

	if (!c->size_count || !c->depth_count)
		return 1;
	size = place_on(c->read_bytes, c->size_count, read_bytes);
	depth = place_on(c->in_flight, c->depth_count, in_flight);
	for (unsigned corner = 0; corner < 4; corner++) {
		double weight = corner & 1 ? size.share : 1 - size.share;

		weight *= corner & 2 ? depth.share : 1 - depth.share;
		if (weight > 0)
			log_factor +=
				weight *
				c->log_factor[size.at + (corner & 1)][depth.at + (corner >> 1)];
	}
	return exp(log_factor);
}

/* Put x on an axis of at most 'room' values; the axis is sorted when all are on it. */
static void axis_add(double *axis, unsigned *count, unsigned room, double x)
{
	for (unsigned i = 0; i < *count; i++)
		if (axis[i] == x)
			return;
	if (*count < room)
		axis[(*count)++] = x;
}

/* The share of the leftovers' variance that noise does not explain. */
static double trust_in(const struct flash_leftover *leftovers, unsigned count)
{
	double all = 0, noise = 0;

	for (unsigned i = 0; i < count; i++) {
		all += leftovers[i].log_ratio * leftovers[i].log_ratio;
		noise += leftovers[i].noise * leftovers[i].noise;
	}
	return all > 0 ? fmax(0, all - noise) / count : 0;
}

/* The mean leftover of one pair, drawn towards 0 by its noise; NAN: not measured. */
static double cell_of(const struct flash_leftover *leftovers, unsigned count, double variance,
		      double read_bytes, double in_flight)
{
	double sum = 0, seen = 0;

	for (unsigned i = 0; i < count; i++) {
		const struct flash_leftover *l = &leftovers[i];

		if (l->read_bytes != read_bytes || l->in_flight != in_flight)
			continue;
		if (variance > 0)
			sum += l->log_ratio * variance / (variance + l->noise * l->noise);
		seen++;
	}
	return seen > 0 ? sum / seen : (double)NAN;
}

static double nearest(const double *row, const double *axis, unsigned count, unsigned at)
{
	double best = 0, gap = INFINITY;

	for (unsigned i = 0; i < count; i++) {
		double here = fabs(log(axis[i] / axis[at]));

		if (isnan(row[i]) || here >= gap)
			continue;
		gap = here;
		best = row[i];
	}
	return best;
}

void flash_correction_build(struct flash_correction *c, const struct flash_leftover *leftovers,
			    unsigned count)
{
	double variance = trust_in(leftovers, count);

	*c = (struct flash_correction){0};
	for (unsigned i = 0; i < count; i++) {
		axis_add(c->read_bytes, &c->size_count, CORRECTION_SIZES, leftovers[i].read_bytes);
		axis_add(c->in_flight, &c->depth_count, CORRECTION_DEPTHS, leftovers[i].in_flight);
	}
	order_sort(c->read_bytes, c->size_count);
	order_sort(c->in_flight, c->depth_count);
	for (unsigned s = 0; s < c->size_count; s++) {
		double row[CORRECTION_DEPTHS];

		for (unsigned d = 0; d < c->depth_count; d++)
			row[d] = cell_of(leftovers, count, variance, c->read_bytes[s],
					 c->in_flight[d]);
		for (unsigned d = 0; d < c->depth_count; d++)
			c->log_factor[s][d] =
				isnan(row[d]) ? nearest(row, c->in_flight, c->depth_count, d)
					      : row[d];
	}
}
