/* SPDX-License-Identifier: GPL-3.0-or-later */
/* tail.c - stalls, spread and hiccups around a mean */
#include "tail.h"

#include "flash.h"

#include <math.h>

static double exponential(struct rng *rng)
{
	return -log1p(-rng_unit(rng));
}

static double normal(struct rng *rng)
{
	double radius = sqrt(2 * exponential(rng));

	return radius * cos(2 * acos(-1) * rng_unit(rng));
}

/* By inversion; 'mean' is small here (stalls in one batch, hiccups in one step), and beyond 500 its
 * scatter is that of a normal. */
static double poisson(struct rng *rng, double mean)
{
	double product = rng_unit(rng), least = exp(-mean), count = 0;

	if (mean > 500)
		return fmax(0, floor(mean + sqrt(mean) * normal(rng) + 0.5));
	while (product > least) {
		product *= rng_unit(rng);
		count++;
	}
	return count;
}

double tail_longest_mean(double expected)
{
	const double euler = 0.57721566490153286;
	double sum = 0, term = 1;

	/* Ein(x) = sum of -(-x)^k / (k k!), = ln x + gamma + E1(x); E1 is nothing beyond 20. */
	if (expected > 20)
		return log(expected) + euler;
	for (int k = 1; k < 120; k++) {
		term *= -expected / k;
		sum -= term / k;
	}
	return sum;
}

double tail_end_reads(const struct flash_params *flash, double read_count, double read_bytes)
{
	double apart = flash_bottleneck_ns(flash, read_bytes) / flash->stall_ns;

	return expm1(-read_count * apart) / expm1(-apart);
}

double tail_batch_ns(const struct flash_params *flash, struct rng *rng, double read_count,
		     double read_bytes)
{
	double ns = 0, expected, longest = 0;

	if (read_count <= 0)
		return 0;
	if (flash->batch_spread_ns > 0)
		ns += flash->batch_spread_ns * normal(rng);
	if (flash->stall_frac <= 0 || flash->stall_ns <= 0)
		return ns;
	expected = flash->stall_frac * tail_end_reads(flash, read_count, read_bytes);
	for (double k = poisson(rng, expected); k > 0; k--)
		longest = fmax(longest, exponential(rng));
	return ns + flash->stall_ns * (longest - tail_longest_mean(expected));
}

double tail_compute_ns(const struct compute_params *compute, struct rng *rng, double ns)
{
	double expected = compute->hiccup_rate_per_s * ns / 1e9, extra = 0;

	if (compute->spread_frac > 0)
		extra += ns * compute->spread_frac * normal(rng);
	if (expected <= 0)
		return extra;
	for (double k = poisson(rng, expected); k > 0; k--)
		extra += compute->hiccup_ns * exponential(rng);
	return extra - compute->hiccup_ns * expected;
}

void tail_fit(struct flash_params *flash, const struct tail_excess *excesses, unsigned count)
{
	double over = 0, over_ns = 0, chances = 0;

	flash->stall_frac = flash->stall_ns = 0;
	for (unsigned i = 0; i < count; i++) {
		over += excesses[i].over;
		over_ns += excesses[i].over_ns;
	}
	if (over < 3)
		return;
	flash->stall_ns = over_ns / over;
	for (unsigned i = 0; i < count; i++)
		chances += excesses[i].batches * exp(-excesses[i].threshold_ns / flash->stall_ns) *
			   tail_end_reads(flash, excesses[i].read_count, excesses[i].read_bytes);
	flash->stall_frac = fmin(1, over / chances);
}
