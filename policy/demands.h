/* SPDX-License-Identifier: GPL-3.0-or-later */
/* demands.h - every demand source, one line each */
DEMAND(dense)
DEMAND(oracle)
DEMAND(trace)
DEMAND(noisy)
