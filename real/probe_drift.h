/* SPDX-License-Identifier: GPL-3.0-or-later */
/* probe_drift.h - what a sweep's pivot says about the device getting slower or faster meanwhile */
#ifndef FLASH_PROBE_DRIFT_H
#define FLASH_PROBE_DRIFT_H

enum { DRIFT_NOTES = 512 };

/* Visits to the pivot, in order of time. */
struct probe_drift {
	struct {
		double at_s, mean_ns, error_ns;
		double log_factor; /* set by drift_settle() */
	} notes[DRIFT_NOTES];
	unsigned count;
	double frac; /* standard deviation of the drift, set by drift_settle() */
};

/* One visit's mean and its standard error.  Beyond DRIFT_NOTES, every second note is dropped. */
void drift_note(struct probe_drift *drift, double at_s, double mean_ns, double error_ns);
/* All visits are noted: what of their scatter is drift, and what their own noise? */
void drift_settle(struct probe_drift *drift);
/* How many times as long as on average things took at a time: log-linear between visits, 1 where
 * there is no drift. */
double drift_at(const struct probe_drift *drift, double at_s);

#endif
