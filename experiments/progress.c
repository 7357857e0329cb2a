/* SPDX-License-Identifier: GPL-3.0-or-later */
/* progress.c - a line that is drawn over itself on stderr, ten times a second at most */
#include "progress.h"

#include "clock.h"
#include "plain_text.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { NAME_TEXT = 64, NOW_TEXT = 48, NOTE_TEXT = 2048 };
#define REDRAW_S 0.1

struct progress {
	pthread_mutex_t lock;
	char what[NAME_TEXT], now[NOW_TEXT];
	double done, total;
	double started_s, drawn_s;
	bool is_terminal, is_drawn;
};

struct progress *progress_open(const char *what, double total)
{
	struct progress *progress = calloc(1, sizeof(*progress));

	if (!progress)
		return NULL;
	if (pthread_mutex_init(&progress->lock, NULL) != 0) {
		free(progress);
		return NULL;
	}
	snprintf(progress->what, sizeof(progress->what), "%s", what);
	progress->total = total;
	progress->started_s = clock_now_s();
	progress->is_terminal = isatty(STDERR_FILENO);
	return progress;
}

/* "1:02:03", "4:05", "" when nothing can be said yet. */
static void left_text(char *text, size_t size, const struct progress *progress, double now_s)
{
	double passed = now_s - progress->started_s;
	unsigned long left;

	text[0] = '\0';
	if (progress->done <= 0 || passed < 1)
		return;
	left = (unsigned long)(passed * (progress->total - progress->done) / progress->done + 0.5);
	if (left >= 3600)
		snprintf(text, size, ", %lu:%02lu:%02lu left", left / 3600, left / 60 % 60,
			 left % 60);
	else
		snprintf(text, size, ", %lu:%02lu left", left / 60, left % 60);
}

/* With the lock held. */
static void line_draw(struct progress *progress, double now_s)
{
	double frac = progress->total > 0 ? progress->done / progress->total : 1;
	char left[32];

	left_text(left, sizeof(left), progress, now_s);
	fprintf(stderr, "\r\033[K%s %3.0f %%%s%s%s", progress->what, 100 * frac, left,
		progress->now[0] ? "  " : "", progress->now);
	fflush(stderr);
	progress->drawn_s = now_s;
	progress->is_drawn = true;
}

static void line_wipe(struct progress *progress)
{
	if (progress->is_drawn)
		fputs("\r\033[K", stderr);
	progress->is_drawn = false;
}

void progress_add(struct progress *progress, double done, const char *now)
{
	double now_s;

	if (!progress)
		return;
	pthread_mutex_lock(&progress->lock);
	progress->done += done;
	if (progress->done > progress->total)
		progress->done = progress->total;
	if (now)
		plain_text(progress->now, sizeof(progress->now), now);
	now_s = clock_now_s();
	if (progress->is_terminal && now_s - progress->drawn_s >= REDRAW_S)
		line_draw(progress, now_s);
	pthread_mutex_unlock(&progress->lock);
}

void progress_note(struct progress *progress, const char *fmt, ...)
{
	char note[NOTE_TEXT];
	va_list args;

	if (!progress)
		return;
	pthread_mutex_lock(&progress->lock);
	line_wipe(progress);
	va_start(args, fmt);
	vsnprintf(note, sizeof(note), fmt, args);
	va_end(args);
	plain_write(stderr, note);
	fputc('\n', stderr);
	if (progress->is_terminal)
		line_draw(progress, clock_now_s());
	pthread_mutex_unlock(&progress->lock);
}

void progress_close(struct progress *progress)
{
	if (!progress)
		return;
	line_wipe(progress);
	fflush(stderr);
	pthread_mutex_destroy(&progress->lock);
	free(progress);
}
