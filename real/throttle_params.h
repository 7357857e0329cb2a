/* SPDX-License-Identifier: GPL-3.0-or-later */
/* throttle_params.h - rows of a device's `throttle:` mapping (throttle.h) */
F64(read_bytes_per_s, DIM_BANDWIDTH, 1e5, 1e12, NULL, "this process reads no more from the disk")
F64(reads_per_s, DIM_RATE, 10, 4e9, NULL, "this process makes no more read requests of the disk")
