/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test_timeline.c - a timeline's file is JSON that a trace viewer takes: spans of one track never
 * overlap, and both processes are there */
#include "timeline.h"

#include <check.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder[] = "/tmp/flash-timeline-XXXXXX";
static char path[64];

static void make_folder(void)
{
	ck_assert(mkdtemp(folder) != NULL);
	snprintf(path, sizeof(path), "%s/timeline.json", folder);
}

static void drop_folder(void)
{
	unlink(path);
	rmdir(folder);
}

static struct timeline opened(uint32_t token, size_t room)
{
	struct timeline timeline;
	struct err err = {0};

	ck_assert(!timeline_open(&timeline, token, room, &err));
	return timeline;
}

static void add(struct timeline *timeline, enum timeline_track track, double begin_ns,
		double end_ns)
{
	timeline_add(timeline, &(struct timeline_span){.track = track,
						       .name = "ffn",
						       .layer = 3,
						       .bytes = 4096,
						       .begin_ns = begin_ns,
						       .end_ns = end_ns});
}

START_TEST(test_only_the_token_that_was_asked_for_is_kept_and_once)
{
	struct timeline timeline = opened(2, 8);

	timeline_token(NULL, 0);
	ck_assert(!timeline_is_on(NULL));
	add(NULL, TRACK_WAIT, 0, 1);
	for (unsigned round = 0; round < 2; round++)
		for (uint32_t token = 0; token < 4; token++) {
			timeline_token(&timeline, token);
			add(&timeline, TRACK_FLASH, 10 * round + token, 100);
		}
	ck_assert_uint_eq(timeline.count, 1);
	ck_assert_double_eq(timeline.spans[0].begin_ns, 2);
	timeline_close(&timeline);
}
END_TEST

START_TEST(test_spans_beyond_the_room_are_counted_and_told)
{
	struct timeline timeline = opened(0, 2);
	const struct timeline_process process = {"measured", &timeline};
	struct err err = {0};
	json_t *root, *about;

	timeline_token(&timeline, 0);
	for (unsigned i = 0; i < 5; i++)
		add(&timeline, TRACK_FLASH, i, i + 1);
	add(&timeline, TRACK_FLASH, 7, 7);
	ck_assert_uint_eq(timeline.count, 2);
	ck_assert_uint_eq(timeline.dropped_count, 3);
	ck_assert_msg(!timeline_write(path, &process, 1, &err), "%s", err.msg);
	root = json_load_file(path, JSON_REJECT_DUPLICATES, NULL);
	about = json_object_get(json_object_get(root, "otherData"), "measured");
	ck_assert_int_eq(json_integer_value(json_object_get(about, "spans_dropped")), 3);
	json_decref(root);
	timeline_close(&timeline);
}
END_TEST

/* Ends of the tracks met so far, by process and thread. */
enum { IDS = 8192 };
struct seen {
	double end_us[3][IDS];
	size_t spans, tracks, processes;
};

static double number(const json_t *event, const char *key)
{
	const json_t *value = json_object_get(event, key);

	ck_assert_msg(json_is_number(value), "%s is no number", key);
	return json_number_value(value);
}

static void look(struct seen *seen, const json_t *event)
{
	const char *phase = json_string_value(json_object_get(event, "ph"));
	size_t process = (size_t)number(event, "pid"), track = (size_t)number(event, "tid");
	const char *name = json_string_value(json_object_get(event, "name"));

	ck_assert(phase && name && process < 3 && track < IDS);
	if (strcmp(phase, "M") == 0) {
		seen->tracks += strcmp(name, "thread_name") == 0;
		seen->processes += strcmp(name, "process_name") == 0;
		return;
	}
	ck_assert_str_eq(phase, "X");
	ck_assert_double_ge(number(event, "dur"), 0);
	ck_assert_double_ge(number(event, "ts"), seen->end_us[process][track] - 1e-9);
	seen->end_us[process][track] = number(event, "ts") + number(event, "dur");
	seen->spans++;
}

START_TEST(test_two_processes_side_by_side_and_no_overlap_within_a_track)
{
	struct timeline predicted = opened(0, 100), measured = opened(0, 100);
	const struct timeline_process processes[] = {{"predicted", &predicted},
						     {"measured", &measured}};
	static struct seen seen;
	struct err err = {0};
	json_t *root, *events;

	timeline_token(&predicted, 0);
	timeline_token(&measured, 0);
	/* Four reads at a time, given out of order, of fractions of nanoseconds. */
	for (unsigned i = 40; i-- > 0;)
		add(&predicted, TRACK_FLASH, 100.3 * i, 100.3 * (i + 4));
	add(&measured, TRACK_COMPUTE, 0, 1234.5);
	add(&measured, TRACK_COMPUTE, 1234.5, 1e9);
	ck_assert_msg(!timeline_write(path, processes, 2, &err), "%s", err.msg);
	root = json_load_file(path, JSON_REJECT_DUPLICATES, NULL);
	ck_assert(root != NULL);
	events = json_object_get(root, "traceEvents");
	for (size_t i = 0; i < json_array_size(events); i++)
		look(&seen, json_array_get(events, i));
	ck_assert_uint_eq(seen.spans, 42);
	ck_assert_uint_eq(seen.processes, 2);
	ck_assert_uint_eq(seen.tracks, 4 + 1);
	/* Microseconds. */
	ck_assert_double_eq_tol(seen.end_us[2][TRACK_COMPUTE * 1024], 1e6, 1e-6);
	json_decref(root);
	timeline_close(&predicted);
	timeline_close(&measured);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("timeline");
	TCase *tcase = tcase_create("all");
	SRunner *runner = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, tcase);
	tcase_add_checked_fixture(tcase, make_folder, drop_folder);
	tcase_add_test(tcase, test_only_the_token_that_was_asked_for_is_kept_and_once);
	tcase_add_test(tcase, test_spans_beyond_the_room_are_counted_and_told);
	tcase_add_test(tcase, test_two_processes_side_by_side_and_no_overlap_within_a_track);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
