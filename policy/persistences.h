/* SPDX-License-Identifier: GPL-3.0-or-later */
/* persistences.h - every persistence, one line each */
PERSISTENCE(none)
PERSISTENCE(fraction)
PERSISTENCE(attention)
