/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test_queues.c - the event device against queueing theory
 *
 * Seeded arrivals and services through the same heap that reads go through: M/M/1 (at the host and at
 * a unit), M/M/c (Erlang C), M/D/1 (Pollaczek and Khinchine), D/D/1 (to the nanosecond).  On every
 * run as many reads and bytes come out as went in, and Little's law holds between two sums that are
 * made apart. */
#include "event_device.h"

#include "rng.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>

enum { BATCHES = 30, ARRIVALS = BATCHES * 2000, READ_BYTES = 4096 };

/* One queue under load: what comes how often, and is served how long by what. */
struct load {
	struct event_device_options device;
	double gap_ns, service_ns; /* means */
	bool random_gap, random_service;
	bool at_bus; /* the service is the bus's, not the unit's */
	unsigned count;
	struct rng rng;
	/* Sums over the arrivals of each thirtieth of the run. */
	double sojourns_ns[BATCHES];
	unsigned wrong_count; /* (ck_assert() writes to a pipe each time: not for every read) */
};

struct arrival {
	struct event_batch batch; /* the first member: found from it */
	struct load *load;
	unsigned number;
};

static double draw(struct rng *rng, double mean, bool random)
{
	return random ? -mean * log(1 - rng_unit(rng)) : mean;
}

static void arrival_next(struct event_batch *batch, struct event_read *read)
{
	struct load *load = ((struct arrival *)(void *)batch)->load;
	double ns = draw(&load->rng, load->service_ns, load->random_service);

	*read = (struct event_read){.bytes = READ_BYTES, .place = batch->issued};
	*(load->at_bus ? &read->bus_ns : &read->unit_ns) = ns;
}

static void arrival_done(struct event_batch *batch, uint64_t index, double issued_ns,
			 double done_ns, uint64_t bytes)
{
	struct arrival *arrival = (struct arrival *)(void *)batch;
	struct load *load = arrival->load;

	(void)index;
	if (issued_ns < batch->arrived_ns || bytes != READ_BYTES)
		load->wrong_count++;
	load->sojourns_ns[arrival->number * BATCHES / load->count] += done_ns - batch->arrived_ns;
}

/* What came of it: means over all arrivals, and over time until the last completion. */
struct outcome {
	double wait_ns, sojourn_ns, in_system, busy;
	double sojourn_se_ns; /* standard error of the mean sojourn, from the means of 30 parts */
	uint64_t events, in_flight_most;
};

static double standard_error(const struct load *load)
{
	double mean = 0, squares = 0, each = (double)load->count / BATCHES;

	for (unsigned i = 0; i < BATCHES; i++)
		mean += load->sojourns_ns[i] / each / BATCHES;
	for (unsigned i = 0; i < BATCHES; i++)
		squares += pow(load->sojourns_ns[i] / each - mean, 2);
	return sqrt(squares / (BATCHES - 1) / BATCHES);
}

static struct outcome outcome_of(const struct event_device *device, const struct load *load)
{
	const struct event_books *books = event_device_books(device);
	double reads = (double)books->reads_out, now = event_device_now_ns(device);

	return (struct outcome){
		.wait_ns = books->wait_ns / reads,
		.sojourn_ns = books->sojourn_ns / reads,
		.sojourn_se_ns = standard_error(load),
		.in_system = books->area_ns / now,
		.busy = (load->at_bus ? books->bus_ns : books->unit_ns) / now,
		.events = books->event_count,
		.in_flight_most = books->in_flight_most,
	};
}

static struct outcome run_load(struct load *load)
{
	struct arrival *arrivals = calloc(load->count, sizeof(*arrivals));
	struct event_device *device = NULL;
	struct err err = {0};
	struct outcome outcome;
	double at_ns = 0;

	load->rng.state = 12345;
	ck_assert(arrivals != NULL);
	ck_assert_msg(!event_device_open(&device, &load->device, &err), "%s", err.msg);
	for (unsigned i = 0; i < load->count; i++) {
		arrivals[i] = (struct arrival){.batch = {.count = 1,
							 .bytes = READ_BYTES,
							 .next = arrival_next,
							 .done = arrival_done},
					       .load = load,
					       .number = i};
		if (event_device_run(device, at_ns, &err) ||
		    event_device_submit(device, &arrivals[i].batch, at_ns, &err))
			load->wrong_count++;
		at_ns += draw(&load->rng, load->gap_ns, load->random_gap);
	}
	for (unsigned i = 0; i < load->count; i++)
		if (event_device_finish(device, &arrivals[i].batch, &err))
			load->wrong_count++;
	ck_assert_uint_eq(load->wrong_count, 0);
	ck_assert_msg(!event_device_check(device, &err), "%s", err.msg);
	ck_assert_uint_eq(event_device_books(device)->reads_out, load->count);
	ck_assert_uint_eq(event_device_books(device)->bytes_out,
			  (uint64_t)load->count * READ_BYTES);
	outcome = outcome_of(device, load);
	event_device_close(device);
	free(arrivals);
	return outcome;
}

/* Probability that an arrival waits in M/M/c with offered load a = lambda/mu. */
static double erlang_c(unsigned c, double a)
{
	double term = 1, sum = 0; /* a^k / k! */

	for (unsigned k = 0; k < c; k++) {
		sum += term;
		term *= a / (k + 1);
	}
	term *= c / (c - a);
	return term / (sum + term);
}

/* A run of 60,000 is off by its standard error: four of them are allowed, and none may be so large
 * that nothing is shown. */
static void check_theory(const struct outcome *outcome, const struct load *load, double wait_ns)
{
	double sojourn_ns = wait_ns + load->service_ns;
	double four = fmax(4 * outcome->sojourn_se_ns / sojourn_ns, 1e-3);

	ck_assert_double_lt(four, 0.2);
	ck_assert_double_eq_tol(outcome->sojourn_ns / sojourn_ns, 1, four);
	/* Arrivals themselves scatter by 1/sqrt(60,000). */
	ck_assert_double_eq_tol(outcome->in_system / (sojourn_ns / load->gap_ns), 1, four + 0.015);
	ck_assert_double_eq_tol(outcome->busy / (load->service_ns / load->gap_ns), 1, 0.02);
	if (!load->at_bus)
		ck_assert_double_eq_tol(outcome->wait_ns, wait_ns,
					four * sojourn_ns + 0.015 * load->service_ns);
}

enum { PLENTY = 100000 };

/* The one server is a place in flight (reads wait at the host), a unit, or the bus. */
static const struct {
	unsigned units, slots;
	bool at_bus;
} single_servers[] = {{1, 1, false}, {8, 1, false}, {1, PLENTY, false}, {PLENTY, PLENTY, true}};
static const double loads[] = {0.5, 0.8};
enum {
	SERVERS = sizeof(single_servers) / sizeof(single_servers[0]),
	LOADS = sizeof(loads) / sizeof(loads[0])
};

static struct load single(int i, bool random_gap, bool random_service)
{
	return (struct load){
		.device = {.unit_count = single_servers[i % SERVERS].units,
			   .slot_count = single_servers[i % SERVERS].slots,
			   .units = SIM_UNITS_IDLE},
		.at_bus = single_servers[i % SERVERS].at_bus,
		.gap_ns = 1000,
		.service_ns = 1000 * loads[i / SERVERS],
		.random_gap = random_gap,
		.random_service = random_service,
		.count = ARRIVALS,
	};
}

START_TEST(test_one_server_is_m_m_1)
{
	struct load load = single(_i, true, true);
	const struct outcome outcome = run_load(&load);
	double rho = loads[_i / SERVERS], wait_ns = rho / (1 - rho) * load.service_ns;

	check_theory(&outcome, &load, wait_ns);
}
END_TEST

START_TEST(test_one_server_of_fixed_service_is_m_d_1)
{
	struct load load = single(_i, true, false);
	const struct outcome outcome = run_load(&load);
	double rho = loads[_i / SERVERS], wait_ns = rho / (2 * (1 - rho)) * load.service_ns;

	check_theory(&outcome, &load, wait_ns);
}
END_TEST

START_TEST(test_one_server_of_fixed_gaps_and_services_is_d_d_1)
{
	struct load load = single(_i, false, false);
	const struct outcome outcome = run_load(&load);

	ck_assert_double_eq_tol(outcome.sojourn_ns, load.service_ns, 1e-3);
	ck_assert_uint_eq(outcome.in_flight_most, 1);
	/* A read's arrival, readiness and completion. */
	ck_assert_uint_eq(outcome.events, 3 * ARRIVALS);
	if (!load.at_bus)
		ck_assert_double_le(outcome.wait_ns, 1e-3);
}
END_TEST

/* More comes than can be served: the k-th read waits k times what is missing. */
START_TEST(test_an_overloaded_d_d_1_grows_as_it_must)
{
	struct load load = single(_i, false, false);
	double extra_ns, reads = load.count = 5000;
	struct outcome outcome;

	load.service_ns = 1250;
	extra_ns = load.service_ns - load.gap_ns;
	outcome = run_load(&load);
	ck_assert_double_eq_tol(outcome.sojourn_ns, load.service_ns + extra_ns * (reads - 1) / 2,
				1e-3);
}
END_TEST

/* c servers: places in flight over plenty of units, or units under plenty of places. */
static const struct {
	unsigned servers;
	double rho;
} many[] = {{2, 0.7}, {4, 0.5}, {4, 0.8}, {16, 0.85}};

START_TEST(test_c_servers_are_m_m_c)
{
	unsigned c = many[_i / 2].servers;
	bool by_places = _i % 2;
	double rho = many[_i / 2].rho, gap_ns = 1000;
	struct load load = {
		.device = {.unit_count = by_places ? 2 * c : c,
			   .slot_count = c,
			   .units = SIM_UNITS_IDLE},
		.gap_ns = gap_ns,
		.service_ns = gap_ns * rho * c,
		.random_gap = true,
		.random_service = true,
		.count = ARRIVALS,
	};
	const struct outcome outcome = run_load(&load);
	double wait_ns = erlang_c(c, rho * c) * load.service_ns / (c * (1 - rho));

	check_theory(&outcome, &load, wait_ns);
	ck_assert_uint_eq(outcome.in_flight_most, c);
}
END_TEST

/* The check can fail: it finds a read of which more bytes came than were announced. */
static void lying_next(struct event_batch *batch, struct event_read *read)
{
	(void)batch;
	*read = (struct event_read){.bytes = READ_BYTES, .unit_ns = 10, .bus_ns = 1};
}

START_TEST(test_bytes_that_do_not_come_out_are_found)
{
	const struct event_device_options options = {.unit_count = 1, .slot_count = 4};
	struct event_batch batch = {.count = 3, .bytes = 4 * READ_BYTES, .next = lying_next};
	struct event_device *device = NULL;
	struct err err = {0};

	ck_assert(!event_device_open(&device, &options, &err));
	ck_assert(!event_device_submit(device, &batch, 0, &err));
	ck_assert(!event_device_check(device, &err)); /* not yet */
	ck_assert(!event_device_finish(device, &batch, &err));
	ck_assert_int_ne(event_device_check(device, &err), 0);
	event_device_close(device);
}
END_TEST

/* Whatever is put in comes out in order of time, ties as they were put in. */
START_TEST(test_the_heap_gives_events_in_order)
{
	struct event_heap heap = {0};
	struct event last = {.at_ns = -1};
	double now_ns = 0;
	struct rng rng = {7};
	struct err err = {0};
	unsigned wrong_count = 0;

	for (unsigned round = 0; round < 20000; round++) {
		if (rng_below(&rng, 3) || !heap.count) {
			wrong_count += event_heap_put(&heap, now_ns + rng_below(&rng, 20), 0, 0,
						      &err) != 0;
		} else {
			const struct event event = event_heap_take(&heap);

			wrong_count += !event_before(&last, &event);
			last = event;
			now_ns = event.at_ns;
		}
	}
	while (heap.count > 0) {
		const struct event event = event_heap_take(&heap);

		wrong_count += !event_before(&last, &event);
		last = event;
	}
	ck_assert_uint_eq(wrong_count, 0);
	event_heap_fini(&heap);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("queues");
	TCase *tcase = tcase_create("all");
	SRunner *runner = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, tcase);
	tcase_set_timeout(tcase, 60);
	tcase_add_loop_test(tcase, test_one_server_is_m_m_1, 0, SERVERS * LOADS);
	tcase_add_loop_test(tcase, test_one_server_of_fixed_service_is_m_d_1, 0, SERVERS * LOADS);
	tcase_add_loop_test(tcase, test_one_server_of_fixed_gaps_and_services_is_d_d_1, 0,
			    SERVERS * LOADS);
	tcase_add_loop_test(tcase, test_an_overloaded_d_d_1_grows_as_it_must, 0, SERVERS);
	tcase_add_loop_test(tcase, test_c_servers_are_m_m_c, 0, 8);
	tcase_add_test(tcase, test_bytes_that_do_not_come_out_are_found);
	tcase_add_test(tcase, test_the_heap_gives_events_in_order);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
