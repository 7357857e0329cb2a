/* SPDX-License-Identifier: GPL-3.0-or-later */
/* residencies.h - every residency, one line each; the order is the order of words in YAML help */
RESIDENCY(none)
RESIDENCY(window)
