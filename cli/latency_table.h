/* SPDX-License-Identifier: GPL-3.0-or-later */
/* latency_table.h - what a live run's tokens cost: mean, p50 and p95 of every component */
#ifndef FLASH_LATENCY_TABLE_H
#define FLASH_LATENCY_TABLE_H

#include "json_out.h"
#include "run.h"

struct latency_table {
	struct books *tokens; /* of each decoded token; owned */
	size_t count, room;
};

MUST_CHECK int latency_add(struct latency_table *table, const struct books *books, struct err *err);
void latency_fini(struct latency_table *table);
/* Lines of text; nothing when no token was decoded. */
void latency_print(FILE *out, const struct latency_table *table);
/* The same as members of the object at hand. */
void latency_put_json(struct json *json, const struct latency_table *table);

#endif
