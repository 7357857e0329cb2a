/* SPDX-License-Identifier: GPL-3.0-or-later */
/* trace_shape.c - solves the generator's shape from the statistics that a trace must have
 *
 * Five statistics of the demanded sets (density, s_agg(k), the step to s_agg(k+1), overlap, hot
 * share) are five equations.  The densities are met exactly, by the odds of each layer and plane;
 * the other four by the curve's head_top, head_width, tail_power and keep_frac, with GSL's trust
 * region.  The demand is the one that `noisy` draws with the activity's own errors: all of the near
 * plane, less the neurons of a static subset while they are active but not strongly so. */
#include "trace_shape.h"

#include <assert.h>
#include <errno.h>
#include <gsl/gsl_cdf.h>
#include <gsl/gsl_errno.h>
#include <gsl/gsl_multifit_nlinear.h>
#include <math.h>
#include <stdlib.h>

enum {
	NODES = 128,	/* ranks that the fit looks at */
	GROUPS_MAX = 4, /* layers of like density that it takes for one */
	SHAPES = 4,	/* unknowns, and statistics to meet */
	FIT_STEPS = 25,
};

/* Of the truly active, the share whose margin is above 0.5 spreads: with normal pre-activations 3.3
 * % of which are above 0, 0.97 % are above 0.5. */
static const double strong_frac = 0.3;
/* The widest plane: what fp_frac may be asked for. */
static const double wide_fp_frac = 0.2;
static const double fit_tolerance_frac = 0.01;

static const struct param activity_rows[] = {
/* clang-format off */
#define PARAM_OWNER activity
#include "param_rows.h"
#include "activity_params.h"
#include "param_end.h"
	/* clang-format on */
};

const struct param_table activity_table = {
	"model.activity",
	"What the trace generator must reproduce: mapping `activity:` of a model's YAML.",
	activity_rows,
	sizeof(activity_rows) / sizeof(activity_rows[0]),
};

static double demand_density(const struct activity *a)
{
	return a->active_frac * (1 - a->fn_frac) + (1 - a->active_frac) * a->fp_frac;
}

/* s_agg is concave, so its steps from 2 tokens to k+1 fall from d (1 - overlap) to new_frac. */
static int check_steps(const struct activity *a, const struct ynode *map, struct err *err)
{
	double density = demand_density(a), steps = (double)a->window_tokens - 1;
	double grown = a->resident_frac - density;
	double overlap_max = 1 - grown / steps / density;
	double overlap_min = 1 - (grown - (steps - 1) * a->new_frac) / density;

	if (grown < steps * a->new_frac)
		return ynode_err(map, err,
				 "activity: resident_frac %g, expected at least %g: %g demanded by "
				 "one token "
				 "and %g new by each of %g more",
				 a->resident_frac, density + steps * a->new_frac, density,
				 a->new_frac, steps);
	if (a->overlap_frac < overlap_min || a->overlap_frac > overlap_max)
		return ynode_err(
			map, err,
			"activity: overlap_frac %g, expected %.3g to %.3g: s_agg grows from %g at "
			"1 token to %g at %g, by ever smaller steps and last by %g",
			a->overlap_frac, fmax(overlap_min, 0), overlap_max, density,
			a->resident_frac, steps + 1, a->new_frac);
	return 0;
}

int activity_read(struct activity *activity, const struct ynode *model_map, struct err *err)
{
	const struct param_dest dest = {&activity_table, activity};
	const struct ynode *map = ynode_get(model_map, "activity");

	if (!map)
		return ynode_err(
			model_map, err,
			"activity is missing (a mapping: what generated traces must reproduce)");
	if (param_read(&dest, 1, map, NULL, err))
		return err->code;
	return check_steps(activity, map, err);
}

void shape_rates(const struct shape_curve *curve, double *rates, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		double u = ((double)i + 0.5) / (double)count;
		double tail = curve->tail_top * pow(1 - u, curve->tail_power);
		double head = curve->head_top * fmax(0, 1 - u / curve->head_width);

		rates[i] = floor((tail + head - tail * head) * 0x1p32) * 0x1p-32;
	}
}

static double mean_rate(const double *rates, size_t count, double odds)
{
	double sum = 0;

	for (size_t i = 0; i < count; i++)
		sum += shape_odds(rates[i], odds);
	return sum / (double)count;
}

/* The factor that gives 'rates' the mean 'density'.  The mean is concave in the factor, so that
 * Newton's steps from below never overshoot; a step from above is kept positive and lands below. */
static double odds_for(const double *rates, size_t count, double density)
{
	double odds = density / mean_rate(rates, count, 1);

	for (int i = 0; i < 40; i++) {
		double mean = 0, slope = 0, step;

		for (size_t j = 0; j < count; j++) {
			double part = 1 / (1 + (odds - 1) * rates[j]);

			mean += odds * rates[j] * part;
			slope += rates[j] * (1 - rates[j]) * part * part;
		}
		step = (density * (double)count - mean) / slope;
		odds = fmax(odds + step, odds / 8);
		if (fabs(step) <= 1e-11 * odds)
			break;
	}
	return odds;
}

/* A quadratic over depth through first and last layer with the mean asked for.  One layer or two
 * have no middle to give: there the mean goes first, which the other statistics hang on. */
static double layer_active(const struct activity *a, uint32_t layer, uint32_t layer_count)
{
	double first = a->active_first_frac, last = a->active_last_frac;
	double ends = (first + last) / 2, bump = 0, x;

	if (layer_count == 1)
		return a->active_frac;
	x = (double)layer / (layer_count - 1);
	for (uint32_t i = 0; i < layer_count; i++) {
		double y = (double)i / (layer_count - 1);

		bump += 4 * y * (1 - y) / layer_count;
	}
	if (layer_count == 2)
		return (layer ? last : first) * a->active_frac / ends;
	return first + (last - first) * x + (a->active_frac - ends) / bump * 4 * x * (1 - x);
}

/* Densities of the four planes where 'active' of the neurons truly fire. */
static void plane_densities(double density[SHAPE_PLANES], const struct activity *a, double active)
{
	double wide_fp = fmax(wide_fp_frac, fmin(2 * a->fp_frac, 0.9));
	double near_fp = a->fp_frac > 0 ? a->fp_frac : wide_fp / 2;

	density[SHAPE_STRONG] = strong_frac * active;
	density[SHAPE_ACTIVE] = active;
	density[SHAPE_NEAR] = active + (1 - active) * near_fp;
	density[SHAPE_WIDE] = active + (1 - active) * wide_fp;
}

/* The margins, in spreads, at which normal pre-activations have these densities, to two digits. */
static void plane_margins(double margins[SHAPE_PLANES], const struct activity *a)
{
	double density[SHAPE_PLANES];

	plane_densities(density, a, a->active_frac);
	for (int p = 0; p < SHAPE_PLANES; p++) {
		double margin = gsl_cdf_ugaussian_Qinv(density[p]) -
				gsl_cdf_ugaussian_Qinv(density[SHAPE_ACTIVE]);

		margins[p] = p == SHAPE_ACTIVE ? 0 : round(margin * 100) / 100;
	}
}

/* The fit's view of an activity: groups of layers with their densities. */
struct fit {
	const struct activity *activity;
	unsigned group_count;
	double weight[GROUPS_MAX], active[GROUPS_MAX]; /* share of the layers, mean density */
	double target[SHAPES];
};

static void fit_init(struct fit *fit, const struct activity *a, uint32_t layer_count)
{
	*fit = (struct fit){
		.activity = a,
		.group_count = layer_count < GROUPS_MAX ? layer_count : GROUPS_MAX,
		.target = {a->resident_frac, a->new_frac, a->overlap_frac, a->hot_frac},
	};
	for (uint32_t l = 0; l < layer_count; l++) {
		size_t g = (size_t)l * fit->group_count / layer_count;

		fit->weight[g] += 1.0 / layer_count;
		fit->active[g] += layer_active(a, l, layer_count) / layer_count;
	}
	for (unsigned g = 0; g < fit->group_count; g++)
		fit->active[g] /= fit->weight[g];
}

static double squash(double x, double max)
{
	return max / (1 + exp(-x));
}

/* To a grid far coarser than what different builds of GSL and libm disagree by. */
static double snap(double x)
{
	return round(x * 0x1p20) * 0x1p-20;
}

/* From the fit's free numbers to a curve whose mean is 'density'. */
static void curve_of(struct shape_curve *curve, const double x[SHAPES], double density)
{
	double tail = 0, head = 0;

	curve->head_top = squash(x[0], 0.99);
	curve->head_width = 1e-3 + squash(x[1], 1);
	curve->tail_power = exp(fmin(fmax(x[2], -4), 4));
	curve->keep_frac = squash(x[3], 0.99);
	for (int i = 0; i < NODES; i++) {
		double u = (i + 0.5) / NODES;
		double top = curve->head_top * fmax(0, 1 - u / curve->head_width);

		head += top / NODES;
		tail += pow(1 - u, curve->tail_power) * (1 - top) / NODES;
	}
	curve->tail_top = fmin(fmax((density - head) / tail, 1e-3), 0.99);
}

/* Sums over the ranks of a set with these rates. */
struct sums {
	double demanded, pair, window, window_more;
};

static void sums_add(struct sums *sums, double rate, double keep, uint64_t window, double weight)
{
	double off = 1 - rate, stay = 1 - (1 - keep) * rate;
	double all = off;

	sums->demanded += weight * rate;
	sums->pair += weight * (1 - off * stay);
	for (uint64_t k = 1; k < window; k++)
		all *= stay;
	sums->window += weight * (1 - all);
	sums->window_more += weight * (1 - all * stay);
}

/* The share of ranks, hottest first, that gives 80 % of 'total'. */
static double hot_share(const double *rates, double total)
{
	double left = 0.8 * total;

	for (int i = 0; i < NODES; i++) {
		if (rates[i] >= left)
			return (i + (rates[i] > 0 ? left / rates[i] : 0)) / NODES;
		left -= rates[i];
	}
	return 1;
}

/* One group's statistics, added to 'sums' and 'hot' by its weight. */
static void group_stats(const struct fit *fit, const struct shape_curve *curve, const double *rates,
			unsigned g, struct sums *sums, double *hot)
{
	const struct activity *a = fit->activity;
	double missed =
		fmin(1, a->fn_frac / (1 - strong_frac)); /* share of neurons in the static subset */
	double density[SHAPE_PLANES], odds[SHAPE_PLANES], mean[NODES], total = 0;

	plane_densities(density, a, fit->active[g]);
	if (a->fp_frac <= 0)
		density[SHAPE_NEAR] = density[SHAPE_ACTIVE];
	for (int p = 0; p <= SHAPE_NEAR; p++)
		odds[p] = odds_for(rates, NODES, density[p]);
	for (int i = 0; i < NODES; i++) {
		double near = shape_odds(rates[i], odds[SHAPE_NEAR]);
		double weak = shape_odds(rates[i], odds[SHAPE_ACTIVE]) -
			      shape_odds(rates[i], odds[SHAPE_STRONG]);

		sums_add(sums, near, curve->keep_frac, a->window_tokens,
			 fit->weight[g] * (1 - missed) / NODES);
		sums_add(sums, near - weak, curve->keep_frac, a->window_tokens,
			 fit->weight[g] * missed / NODES);
		mean[i] = near - missed * weak;
		total += mean[i];
	}
	*hot += fit->weight[g] * hot_share(mean, total);
}

static void curve_stats(const struct fit *fit, const struct shape_curve *curve, double stat[SHAPES])
{
	double rates[NODES], hot = 0;
	struct sums sums = {0};

	shape_rates(curve, rates, NODES);
	for (unsigned g = 0; g < fit->group_count; g++)
		group_stats(fit, curve, rates, g, &sums, &hot);
	stat[0] = sums.window;
	stat[1] = sums.window_more - sums.window;
	stat[2] = 2 - sums.pair / sums.demanded;
	stat[3] = hot;
}

static double curve_density(const struct fit *fit)
{
	const struct activity *a = fit->activity;

	return a->active_frac + (1 - a->active_frac) * a->fp_frac;
}

static int residuals(const gsl_vector *x, void *arg, gsl_vector *f)
{
	const struct fit *fit = arg;
	struct shape_curve curve;
	double free[SHAPES], stat[SHAPES];

	for (size_t i = 0; i < SHAPES; i++)
		free[i] = gsl_vector_get(x, i);
	curve_of(&curve, free, curve_density(fit));
	curve_stats(fit, &curve, stat);
	for (size_t i = 0; i < SHAPES; i++)
		gsl_vector_set(f, i, stat[i] / fit->target[i] - 1);
	return GSL_SUCCESS;
}

/* Rounds the curve to what is drawn from; returns its worst relative miss. */
static double curve_settle(const struct fit *fit, struct shape_curve *curve, double stat[SHAPES])
{
	double worst = 0;

	curve->head_top = snap(curve->head_top);
	curve->head_width = snap(curve->head_width);
	curve->tail_top = snap(curve->tail_top);
	curve->tail_power = snap(curve->tail_power);
	curve->keep_frac = round(curve->keep_frac * SHAPE_KEEP_STEPS) / SHAPE_KEEP_STEPS;
	curve_stats(fit, curve, stat);
	for (int i = 0; i < SHAPES; i++)
		worst = fmax(worst, fabs(stat[i] / fit->target[i] - 1));
	return isfinite(worst) ? worst : INFINITY;
}

static void fit_from(const struct fit *fit, gsl_multifit_nlinear_workspace *work,
		     const double start[SHAPES], struct shape_curve *curve)
{
	struct fit arg = *fit;
	gsl_multifit_nlinear_fdf fdf = {.f = residuals, .n = SHAPES, .p = SHAPES, .params = &arg};
	gsl_vector_const_view x = gsl_vector_const_view_array(start, SHAPES);
	double free[SHAPES];
	int info;

	/* A failure to converge shows as a miss, which the caller judges. */
	if (gsl_multifit_nlinear_init(&x.vector, &fdf, work) == GSL_SUCCESS)
		(void)gsl_multifit_nlinear_driver(FIT_STEPS, 1e-9, 1e-14, 0, NULL, NULL, &info,
						  work);
	for (size_t i = 0; i < SHAPES; i++)
		free[i] = gsl_vector_get(gsl_multifit_nlinear_position(work), i);
	curve_of(curve, free, curve_density(fit));
}

static int err_missed(const struct fit *fit, const double stat[SHAPES], struct err *err)
{
	const struct activity *a = fit->activity;

	return err_set(err, EDOM,
		       "activity: no generator found with resident_frac %g and new_frac %g at "
		       "window_tokens "
		       "%d, overlap_frac %g and hot_frac %g; nearest: %.4g, %.4g, %.3g and %.3g",
		       a->resident_frac, a->new_frac, (int)a->window_tokens, a->overlap_frac,
		       a->hot_frac, stat[0], stat[1], stat[2], stat[3]);
}

static int curve_fit(const struct fit *fit, struct shape_curve *best, struct err *err)
{
	/* head_top, head_width, tail_power, keep_frac: near OPT's, near Falcon's, and two far from
	 * both. */
	static const double starts[][SHAPES] = {
		{1.4, -1.8, 0.6, -1.3}, {-0.8, -0.6, 1.3, -2.2}, {0, -1.5, 1, 0}, {2, -2.2, 0, -3}};
	gsl_multifit_nlinear_parameters options = gsl_multifit_nlinear_default_parameters();
	gsl_multifit_nlinear_workspace *work;
	double stat[SHAPES], best_stat[SHAPES] = {0}, miss, best_miss = INFINITY;

	options.h_df = 1e-5; /* rates stand on a grid of 2^-32 */
	work = gsl_multifit_nlinear_alloc(gsl_multifit_nlinear_trust, &options, SHAPES, SHAPES);
	if (!work)
		return err_nomem(err, "a trace's shape", sizeof(*best));
	for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
		struct shape_curve curve;

		fit_from(fit, work, starts[i], &curve);
		miss = curve_settle(fit, &curve, stat);
		if (miss >= best_miss)
			continue;
		best_miss = miss;
		*best = curve;
		for (int j = 0; j < SHAPES; j++)
			best_stat[j] = stat[j];
		if (miss < fit_tolerance_frac / 2)
			break;
	}
	gsl_multifit_nlinear_free(work);
	return best_miss <= fit_tolerance_frac ? 0 : err_missed(fit, best_stat, err);
}

static int check_layers(const struct activity *a, uint32_t layer_count, struct err *err)
{
	for (uint32_t l = 0; l < layer_count; l++) {
		double active = layer_active(a, l, layer_count);

		if (active <= 0 || active >= 0.9)
			return err_set(err, EDOM,
				       "activity: active_frac %g between %g in the first and %g in "
				       "the last "
				       "layer makes %.3g in layer %u of %u, expected 0 to 0.9",
				       a->active_frac, a->active_first_frac, a->active_last_frac,
				       active, l + 1, layer_count);
	}
	return 0;
}

/* The odds of every layer and plane, again on a grid. */
static void fill_odds(struct trace_shape *shape)
{
	double rates[NODES], density[SHAPE_PLANES];

	shape_rates(&shape->curve, rates, NODES);
	for (uint32_t l = 0; l < shape->layer_count; l++) {
		plane_densities(density, &shape->activity,
				layer_active(&shape->activity, l, shape->layer_count));
		for (int p = 0; p < SHAPE_PLANES; p++)
			shape->odds[l][p] = snap(odds_for(rates, NODES, density[p]));
	}
}

int trace_shape_fit(struct trace_shape **out, const struct activity *activity, uint32_t layer_count,
		    struct err *err)
{
	struct trace_shape *shape = calloc(1, sizeof(*shape));
	struct fit fit;

	assert(layer_count > 0);
	if (!shape)
		return err_nomem(err, "a trace's shape", sizeof(*shape));
	shape->activity = *activity;
	shape->layer_count = layer_count;
	shape->odds = calloc(layer_count, sizeof(*shape->odds));
	if (!shape->odds) {
		err_nomem(err, "a trace's shape", layer_count * sizeof(*shape->odds));
		goto fail;
	}
	if (check_layers(activity, layer_count, err))
		goto fail;
	fit_init(&fit, activity, layer_count);
	if (curve_fit(&fit, &shape->curve, err))
		goto fail;
	plane_margins(shape->margins, activity);
	fill_odds(shape);
	*out = shape;
	return 0;
fail:
	trace_shape_free(shape);
	return err->code;
}

void trace_shape_free(struct trace_shape *shape)
{
	if (!shape)
		return;
	free(shape->odds);
	free(shape);
}
