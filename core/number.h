/* SPDX-License-Identifier: GPL-3.0-or-later */
/* number.h - doubles as the shortest text that reads back to the same bits */
#ifndef FLASH_NUMBER_H
#define FLASH_NUMBER_H

#include <stdio.h>
#include <stdlib.h>

enum { NUMBER_TEXT = 32 };

/* "0.1", "-0.4", "1e+300", "inf".  17 significant digits always do.  Returns 'text'. */
static inline char *number_text(char text[NUMBER_TEXT], double value)
{
	for (int digits = 1; digits <= 17; digits++) {
		snprintf(text, NUMBER_TEXT, "%.*g", digits, value);
		if (strtod(text, NULL) == value)
			break;
	}
	return text;
}

#endif
