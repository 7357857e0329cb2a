/* SPDX-License-Identifier: GPL-3.0-or-later */
/* fraction_progress.c - a progress line for work that tells how far it is, 0 .. 1 */
#include "cli.h"

int fraction_tell(void *arg, double done)
{
	struct fraction_progress *progress = arg;

	if (done < progress->done)
		progress->done = 0; /* the next stage */
	progress_add(progress->line, done - progress->done, NULL);
	progress->done = done;
	return 0;
}
