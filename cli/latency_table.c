/* SPDX-License-Identifier: GPL-3.0-or-later */
/* latency_table.c - sorts each component by itself and prints its mean, p50 and p95 */
#include "latency_table.h"

#include "order.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

static const struct component {
	const char *name, *key;
	size_t at;
} components[] = {
	{"I/O service", "io_ns", offsetof(struct books, io_ns)},
	{"I/O wait", "io_wait_ns", offsetof(struct books, io_wait_ns)},
	{"memory", "mem_ns", offsetof(struct books, mem_ns)},
	{"compute", "compute_ns", offsetof(struct books, compute_ns)},
	{"total", "total_ns", offsetof(struct books, total_ns)},
};
enum { COMPONENTS = sizeof(components) / sizeof(components[0]) };

int latency_add(struct latency_table *table, const struct books *books, struct err *err)
{
	if (table->count == table->room) {
		size_t room = table->room ? 2 * table->room : 64;
		struct books *grown = realloc(table->tokens, room * sizeof(*grown));

		if (!grown)
			return err_nomem(err, "a latency table", room * sizeof(*grown));
		table->tokens = grown;
		table->room = room;
	}
	table->tokens[table->count++] = *books;
	return 0;
}

void latency_fini(struct latency_table *table)
{
	free(table->tokens);
	memset(table, 0, sizeof(*table));
}

struct summary {
	double mean, p50, p95;
};

static uint64_t member(const struct books *books, size_t at)
{
	uint64_t value;

	memcpy(&value, (const char *)books + at, sizeof(value));
	return value;
}

/* In ms; 'room' holds table->count values. */
static struct summary summarise(const struct latency_table *table, size_t at, double *room)
{
	struct summary s = {0};

	for (size_t i = 0; i < table->count; i++) {
		room[i] = (double)member(&table->tokens[i], at) / 1e6;
		s.mean += room[i] / (double)table->count;
	}
	order_sort(room, table->count);
	s.p50 = order_quantile(room, table->count, 0.5);
	s.p95 = order_quantile(room, table->count, 0.95);
	return s;
}

static double mean_of(const struct latency_table *table, size_t at)
{
	double sum = 0;

	for (size_t i = 0; i < table->count; i++)
		sum += (double)member(&table->tokens[i], at);
	return sum / (double)table->count;
}

/* Of the demanded neurons, those that were there already. */
static double hit_frac(const struct latency_table *table)
{
	double demand = mean_of(table, offsetof(struct books, demand_neurons));
	double load = mean_of(table, offsetof(struct books, load_neurons));

	return demand > 0 ? 1 - load / demand : 1;
}

void latency_print(FILE *out, const struct latency_table *table)
{
	double *room = calloc(table->count + 1, sizeof(*room));

	if (!room || table->count == 0) {
		free(room);
		return;
	}
	fprintf(out, "\n%-12s %10s %10s %10s  ms a token, %zu tokens\n", "", "mean", "p50", "p95",
		table->count);
	for (size_t i = 0; i < COMPONENTS; i++) {
		struct summary s = summarise(table, components[i].at, room);

		fprintf(out, "%-12s %10.3f %10.3f %10.3f\n", components[i].name, s.mean, s.p50,
			s.p95);
	}
	fprintf(out,
		"neurons     %.0f demanded a token, %.1f %% of them in DRAM; reads %.0f, %.3f MB a "
		"token\n",
		mean_of(table, offsetof(struct books, demand_neurons)), 100 * hit_frac(table),
		mean_of(table, offsetof(struct books, read_count)),
		mean_of(table, offsetof(struct books, read_bytes)) / 1e6);
	free(room);
}

void latency_put_json(struct json *json, const struct latency_table *table)
{
	double *room = calloc(table->count + 1, sizeof(*room));

	json_put_count(json, "decoded_tokens", table->count);
	for (size_t i = 0; room && table->count && i < COMPONENTS; i++) {
		struct summary s = summarise(table, components[i].at, room);

		json_put_object(json, components[i].key);
		json_put_number(json, "mean", s.mean * 1e6);
		json_put_number(json, "p50", s.p50 * 1e6);
		json_put_number(json, "p95", s.p95 * 1e6);
		json_put_end(json);
	}
	free(room);
	if (table->count == 0)
		return;
	json_put_number(json, "demand_neurons_per_token",
			mean_of(table, offsetof(struct books, demand_neurons)));
	json_put_number(json, "hit_frac", hit_frac(table));
	json_put_number(json, "read_count_per_token",
			mean_of(table, offsetof(struct books, read_count)));
	json_put_number(json, "read_bytes_per_token",
			mean_of(table, offsetof(struct books, read_bytes)));
}
