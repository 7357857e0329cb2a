/* SPDX-License-Identifier: GPL-3.0-or-later */
/* figures.h - every figure, one line each */
FIGURE(latency)
FIGURE(predicted_vs_measured)
FIGURE(window)
FIGURE(heatmap)
