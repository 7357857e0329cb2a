/* SPDX-License-Identifier: GPL-3.0-or-later */
/* pickle_machine.h - the machine that reads a pickle, and the values it makes; inside pickle.h
 *
 * Values are numbered; texts point into the pickle.  A dict is complete before it becomes part of
 * another value: that is how pickles of state dicts are written, and what it rules out are
 * cycles. */
#ifndef FLASH_PICKLE_MACHINE_H
#define FLASH_PICKLE_MACHINE_H

#include "err.h"
#include "model.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum value_kind {
	VALUE_MARK,
	VALUE_NONE,
	VALUE_BOOL,
	VALUE_INT,
	VALUE_TEXT,
	VALUE_TUPLE,
	VALUE_DICT,
	VALUE_NAME,    /* of a callable or a storage's type */
	VALUE_STORAGE, /* what a persistent id stands for */
	VALUE_TENSOR,
	VALUE__COUNT
};
extern const char *const value_kind_words[VALUE__COUNT]; /* "a text", ... */

struct value {
	enum value_kind kind;
	uint32_t depth; /* tuples and dicts: of what they hold, plus 1 */
	union {
		int64_t number; /* INT and BOOL */
		struct {
			const char *at;
			size_t bytes;
		} text;
		struct {
			uint32_t first, count; /* among the machine's items */
		} tuple;
		struct {
			uint32_t first, last; /* among its pairs; NO_PAIR: empty */
			uint32_t count;
			bool is_complete; /* part of another value: changes no more */
		} dict;
		const struct torch_name *name;
		struct {
			const struct torch_name *name;
			uint32_t key; /* a text */
			uint64_t count;
		} storage;
		struct {
			uint32_t storage;
			uint64_t offset;       /* in weights */
			uint32_t dims, stride; /* tuples */
		} tensor;
	};
};

struct pair {
	uint32_t key, value;
	uint32_t next;
};
#define NO_PAIR UINT32_MAX

struct grown {
	void *items;
	size_t count, room;
};

struct machine {
	const char *path;
	const unsigned char *bytes;
	size_t size, at, op_at; /* op_at: of the opcode, for messages */
	struct grown values, items, pairs, stack, memo;
	uint32_t memo_count;
	bool is_done;
};

/* What the names that are known stand for. */
enum name_role { NAME_DICT, NAME_TENSOR, NAME_PARAMETER, NAME_STORAGE };
struct torch_name {
	const char *module, *name;
	enum name_role role;
	enum weight_type type; /* of NAME_STORAGE */
};

/* pickle_machine.c's part: run to STOP; '*root' is the value it left. */
MUST_CHECK int machine_run(struct machine *m, uint32_t *root, struct err *err);
void machine_fini(struct machine *m);
struct value *machine_value(const struct machine *m, uint32_t i);
/* The i-th of a tuple. */
struct value *machine_item(const struct machine *m, const struct value *tuple, uint32_t i);
const struct pair *machine_pair(const struct machine *m, uint32_t i);
/* EBADMSG (or ENOTSUP) with the path and the place of the opcode in front.  Returns err->code. */
int machine_bad(const struct machine *m, struct err *err, const char *fmt, ...) PRINTF_LIKE(3, 4);
int machine_unsupported(const struct machine *m, struct err *err, const char *fmt, ...)
	PRINTF_LIKE(3, 4);
bool value_is(const struct value *value, const char *text);
/* A text for a message: its beginning, without what a terminal would obey. */
struct shown {
	char text[72];
};
struct shown value_shown(const struct value *text);

/* pickle_torch.c's part: what a name means.  Values are built in '*result'. */
MUST_CHECK int torch_find(const struct machine *m, const struct torch_name **name,
			  const struct value *module, const struct value *member, struct err *err);
MUST_CHECK int torch_call(struct machine *m, struct value *result, const struct value *callable,
			  const struct value *args, struct err *err);
MUST_CHECK int torch_storage(struct machine *m, struct value *result, const struct value *id,
			     struct err *err);
/* BUILD: the attributes that a dict may be given. */
MUST_CHECK int torch_build(const struct machine *m, const struct value *state, struct err *err);

#endif
