/* SPDX-License-Identifier: GPL-3.0-or-later */
/* origin_params.h - rows of a device profile's `origin:` */
WORD(kind, origin_words, NULL, "how the figures were obtained")
F64(noise_floor_frac, DIM_FRAC, 0, 10, NULL, "repeat-to-repeat error of the measurements themselves; no two policies closer than it are ranked")
F64(flash_fit_error_frac, DIM_FRAC, 0, 10, "0", "mean absolute relative error of the flash form at the fitted points with most reads in flight, where policies work")
F64(flash_cv_error_frac, DIM_FRAC, 0, 10, "0", "the same over all points, at request sizes left out of the fit")
STR(source, "", "measured: directory's file system and device; published: the table; emulated: the setting's name")
STR(read_engine, "", "engine that the flash points were read with")
U64(file_bytes, DIM_BYTES, 0, 1e18, "0B", "size of the file that was read")
STR(host, "", "CPU and kernel that DRAM and compute were measured on")
STR(date, "", "UTC day of the measurement")
U64(polluted, DIM_COUNT, 0, 1e9, "0", "points taken while foreign traffic was seen, after retries")
F64(pace_bytes_per_s, DIM_BANDWIDTH, 0, 1e15, "0B/s", "how fast the host read memory while it was calibrated (a plain product, with compute.threads); 0: not known")
F64(pace_spread_frac, DIM_FRAC, 0, 10, "0", "spread of that pace between its looks")
