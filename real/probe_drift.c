/* SPDX-License-Identifier: GPL-3.0-or-later */
/* probe_drift.c - log-linear interpolation of the pivot, drawn towards none by its noise */
#include "probe_drift.h"

#include <math.h>

void drift_note(struct probe_drift *drift, double at_s, double mean_ns, double error_ns)
{
	if (drift->count == DRIFT_NOTES) {
		for (unsigned i = 0; i < DRIFT_NOTES / 2; i++)
			drift->notes[i] = drift->notes[2 * i];
		drift->count = DRIFT_NOTES / 2;
	}
	drift->notes[drift->count].at_s = at_s;
	drift->notes[drift->count].mean_ns = mean_ns;
	drift->notes[drift->count].error_ns = error_ns;
	drift->notes[drift->count++].log_factor = 0;
}

void drift_settle(struct probe_drift *drift)
{
	double middle = 0, variance = 0, noise = 0, excess;

	for (unsigned i = 0; i < drift->count; i++)
		middle += log(drift->notes[i].mean_ns) / drift->count;
	for (unsigned i = 0; i < drift->count; i++) {
		double off = log(drift->notes[i].mean_ns) - middle;
		double error = drift->notes[i].error_ns / drift->notes[i].mean_ns;

		variance += off * off / drift->count;
		noise += error * error / drift->count;
	}
	excess = fmax(0, variance - noise);
	drift->frac = sqrt(excess);
	for (unsigned i = 0; i < drift->count; i++) {
		double error = drift->notes[i].error_ns / drift->notes[i].mean_ns;
		double trust = excess > 0 ? excess / (excess + error * error) : 0;

		drift->notes[i].log_factor = trust * (log(drift->notes[i].mean_ns) - middle);
	}
}

double drift_at(const struct probe_drift *drift, double at_s)
{
	unsigned after = 0;
	double share;

	while (after < drift->count && drift->notes[after].at_s < at_s)
		after++;
	if (!drift->count)
		return 1;
	if (after == 0)
		return exp(drift->notes[0].log_factor);
	if (after == drift->count)
		return exp(drift->notes[after - 1].log_factor);
	share = (at_s - drift->notes[after - 1].at_s) /
		(drift->notes[after].at_s - drift->notes[after - 1].at_s);
	return exp((1 - share) * drift->notes[after - 1].log_factor +
		   share * drift->notes[after].log_factor);
}
