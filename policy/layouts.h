/* SPDX-License-Identifier: GPL-3.0-or-later */
/* layouts.h - every layout, one line each */
LAYOUT(split)
LAYOUT(bundle)
