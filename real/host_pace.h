/* SPDX-License-Identifier: GPL-3.0-or-later */
/* host_pace.h - how fast this host reads memory just now
 *
 * Kernels wait for memory, which a host shares with whoever else runs on it: a forecast made from a
 * calibration holds while the host keeps the pace that it had then. */
#ifndef FLASH_HOST_PACE_H
#define FLASH_HOST_PACE_H

/* Bytes a second of a matrix-vector product over more memory than caches hold, by 'threads' threads:
 * the median of a few passes, some 20 ms in all.  0: there is no memory for it. */
double host_pace(unsigned threads);

#endif
