/* SPDX-License-Identifier: GPL-3.0-or-later */
/* order.c - order statistics */
#include "order.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

static int by_value(const void *left, const void *right)
{
	double a = *(const double *)left, b = *(const double *)right;

	return (a > b) - (a < b);
}

void order_sort(double *values, size_t count)
{
	if (count)
		qsort(values, count, sizeof(*values), by_value);
}

double order_quantile(const double *sorted, size_t count, double share)
{
	double at = share * (double)(count - 1);
	size_t below = (size_t)at;

	assert(count > 0 && share >= 0 && share <= 1);
	if (below + 1 >= count)
		return sorted[count - 1];
	return sorted[below] + (at - (double)below) * (sorted[below + 1] - sorted[below]);
}

double order_median(double *values, size_t count)
{
	if (!count)
		return 0;
	order_sort(values, count);
	return order_quantile(values, count, 0.5);
}

struct order_interval order_median_interval(double *values, size_t count)
{
	double half = 0.98 * sqrt((double)count) + 1;
	size_t low = half < (double)count / 2 ? (size_t)((double)count / 2 - half) : 0;

	if (count == 0)
		return (struct order_interval){0};
	order_sort(values, count);
	return (struct order_interval){
		.median = order_quantile(values, count, 0.5),
		.low = values[low],
		.high = values[count - 1 - low],
	};
}

double order_spread(double *values, size_t count, double middle)
{
	for (size_t i = 0; i < count; i++)
		values[i] = fabs(values[i] - middle);
	return 1.4826 * order_median(values, count);
}
