/* SPDX-License-Identifier: GPL-3.0-or-later */
/* order.h - order statistics: quantiles, medians and the spread around them */
#ifndef FLASH_ORDER_H
#define FLASH_ORDER_H

#include <stddef.h>

/* Ascending, in place; no NaN among them. */
void order_sort(double *values, size_t count);
/* Of sorted values, 'share' from 0 to 1, between neighbours (R's type 7). count > 0. */
double order_quantile(const double *sorted, size_t count, double share);
/* Sorts 'values'. 0 of none. */
double order_median(double *values, size_t count);
/* The median with the values that it lies between 19 times of 20, whatever the distribution (order
 * statistics 0.98 sqrt(count) + 1 from the middle; few values give all of them).  Sorts 'values'. */
struct order_interval {
	double median, low, high;
};
struct order_interval order_median_interval(double *values, size_t count);
/* Standard deviation as the median tells it (1.4826 times the median distance from 'middle');
 * overwrites 'values'. */
double order_spread(double *values, size_t count, double middle);

#endif
