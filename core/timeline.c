/* SPDX-License-Identifier: GPL-3.0-or-later */
/* timeline.c - keeps spans of one token, lays them on tracks, writes them as Chrome trace JSON */
#include "timeline.h"

#include "json_out.h"
#include "newfile.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

int timeline_open(struct timeline *timeline, uint32_t token, size_t room, struct err *err)
{
	*timeline = (struct timeline){.token = token, .room = room};
	timeline->spans = malloc((room ? room : 1) * sizeof(*timeline->spans));
	if (!timeline->spans)
		return err_nomem(err, "a timeline", room * sizeof(*timeline->spans));
	return 0;
}

void timeline_close(struct timeline *timeline)
{
	free(timeline->spans);
	*timeline = (struct timeline){0};
}

void timeline_token(struct timeline *timeline, uint32_t token)
{
	if (!timeline)
		return;
	if (timeline->is_on)
		timeline->is_done = true;
	timeline->is_on = token == timeline->token && !timeline->is_done;
}

void timeline_add(struct timeline *timeline, const struct timeline_span *span)
{
	if (!timeline_is_on(timeline) || span->end_ns <= span->begin_ns)
		return;
	assert(span->track < TIMELINE_TRACKS);
	if (timeline->count == timeline->room)
		timeline->dropped_count++;
	else
		timeline->spans[timeline->count++] = *span;
}

/* ---- writing ----------------------------------------------------------------------------------
 */

/* Spans of one track must not overlap: each kind has as many lanes as it needs. */
enum { LANES_MOST = 1024 };

static const char *const track_names[TIMELINE_TRACKS] = {
	[TRACK_WAIT] = "waits",
	[TRACK_FLASH] = "flash reads",
	[TRACK_MEMORY] = "memory",
	[TRACK_COMPUTE] = "compute",
};

struct lanes {
	double free_ns[LANES_MOST];
	unsigned count;
};

static int span_order(const void *a, const void *b)
{
	const struct timeline_span *x = a, *y = b;

	if (x->begin_ns != y->begin_ns)
		return x->begin_ns < y->begin_ns ? -1 : 1;
	return (x->end_ns > y->end_ns) - (x->end_ns < y->end_ns);
}

/* The first lane that is free at the span's begin; the last one takes what is too much. */
static unsigned lane_of(struct lanes *lanes, const struct timeline_span *span)
{
	unsigned lane = 0;

	while (lane < lanes->count && lanes->free_ns[lane] > span->begin_ns)
		lane++;
	if (lane == lanes->count && lanes->count < LANES_MOST)
		lanes->count++;
	if (lane == LANES_MOST)
		lane--;
	lanes->free_ns[lane] = span->end_ns;
	return lane;
}

static uint64_t track_id(enum timeline_track track, unsigned lane)
{
	return (uint64_t)track * LANES_MOST + lane;
}

static void put_name(struct json *json, const char *what, size_t process, uint64_t track,
		     const char *name)
{
	json_put_object(json, NULL);
	json_put_text(json, "ph", "M");
	json_put_text(json, "name", what);
	json_put_count(json, "pid", process + 1);
	json_put_count(json, "tid", track);
	json_put_object(json, "args");
	json_put_text(json, "name", name);
	json_put_end(json);
	json_put_end(json);
}

static void put_tracks(struct json *json, size_t process, const struct lanes lanes[TIMELINE_TRACKS])
{
	for (unsigned t = 0; t < TIMELINE_TRACKS; t++)
		for (unsigned lane = 0; lane < lanes[t].count; lane++)
			put_name(json, "thread_name", process,
				 track_id((enum timeline_track)t, lane), track_names[t]);
}

/* Whole nanoseconds, so that spans that adjoin still do in the file. */
static void put_span(struct json *json, size_t process, unsigned lane,
		     const struct timeline_span *span)
{
	json_put_object(json, NULL);
	json_put_text(json, "ph", "X");
	json_put_text(json, "name", span->name);
	json_put_text(json, "cat", track_names[span->track]);
	json_put_count(json, "pid", process + 1);
	json_put_count(json, "tid", track_id(span->track, lane));
	json_put_number(json, "ts", round(span->begin_ns) / 1e3);
	json_put_number(json, "dur", (round(span->end_ns) - round(span->begin_ns)) / 1e3);
	json_put_object(json, "args");
	json_put_count(json, "layer", span->layer);
	if (span->bytes)
		json_put_count(json, "bytes", span->bytes);
	json_put_end(json);
	json_put_end(json);
}

static int put_process(struct json *json, size_t process, const struct timeline_process *of,
		       struct err *err)
{
	const struct timeline *timeline = of->timeline;
	size_t bytes = timeline->count * sizeof(*timeline->spans);
	struct lanes *lanes = calloc(TIMELINE_TRACKS, sizeof(*lanes));
	struct timeline_span *spans = malloc(bytes ? bytes : 1);

	if (lanes && spans) {
		memcpy(spans, timeline->spans, bytes);
		qsort(spans, timeline->count, sizeof(*spans), span_order);
		put_name(json, "process_name", process, 0, of->name);
		for (size_t i = 0; i < timeline->count; i++)
			put_span(json, process, lane_of(&lanes[spans[i].track], &spans[i]),
				 &spans[i]);
		put_tracks(json, process, lanes);
	} else {
		(void)!err_nomem(err, "a timeline's tracks", bytes);
	}
	free(lanes);
	free(spans);
	return err->code;
}

static void put_about(struct json *json, const struct timeline_process *processes, size_t count)
{
	json_put_object(json, "otherData");
	for (size_t i = 0; i < count; i++) {
		json_put_object(json, processes[i].name);
		json_put_count(json, "token", processes[i].timeline->token);
		json_put_count(json, "spans", processes[i].timeline->count);
		json_put_count(json, "spans_dropped", processes[i].timeline->dropped_count);
		json_put_end(json);
	}
	json_put_end(json);
}

int timeline_write(const char *path, const struct timeline_process *processes, size_t count,
		   struct err *err)
{
	struct newfile file;
	struct json json = {0};

	if (newfile_open(&file, path, err))
		return err->code;
	json.out = file.stream;
	json_put_object(&json, NULL);
	json_put_text(&json, "displayTimeUnit", "ns");
	json_put_list(&json, "traceEvents");
	for (size_t i = 0; i < count && !err->code; i++)
		(void)!put_process(&json, i, &processes[i], err);
	json_put_end(&json);
	put_about(&json, processes, count);
	json_put_end(&json);
	if (err->code) {
		newfile_drop(&file);
		return err->code;
	}
	return newfile_commit(&file, err);
}
