/* SPDX-License-Identifier: GPL-3.0-or-later */
/* flash_correction.h - what the fitted form leaves over, as a table of (read size, reads in flight)
 *
 * No form follows every device: one that spreads large reads over units, or whose reads meet in
 * units, bends where the form is straight.  The table holds the logarithm of measured over fitted throughput at the points, is
 * interpolated between them (bilinear in the logarithms) and stays at its last value beyond them.
 * flash.h multiplies it in, so that every prediction has it.  A table of no sizes changes nothing.
 */
#ifndef FLASH_FLASH_CORRECTION_H
#define FLASH_FLASH_CORRECTION_H

enum { CORRECTION_SIZES = 24, CORRECTION_DEPTHS = 8 };

struct flash_correction {
	unsigned size_count, depth_count;
	double read_bytes[CORRECTION_SIZES]; /* ascending */
	double in_flight[CORRECTION_DEPTHS]; /* ascending */
	double log_factor[CORRECTION_SIZES][CORRECTION_DEPTHS];
};

/* What to multiply a throughput by. */
double flash_correction_at(const struct flash_correction *correction, double read_bytes,
			   double in_flight);

/* One point's leftover: ln(measured / fitted), and the noise that it was measured with. */
struct flash_leftover {
	double read_bytes, in_flight, log_ratio, noise;
};
/* Build the table from leftovers.  Each is drawn towards 0 by the share of noise in their scatter:
 * where the form misses by no more than the noise, nothing is left to correct.  A pair that was not
 * measured gets the value of the nearest depth of its size.  More sizes or depths than there is room
 * for: those that came first. */
void flash_correction_build(struct flash_correction *correction,
			    const struct flash_leftover *leftovers, unsigned count);

#endif
