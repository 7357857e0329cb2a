/* SPDX-License-Identifier: GPL-3.0-or-later */
/* pickle_machine.c - runs the opcodes that a state dict is written with, and names every other */
#include "pickle_machine.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	/* A tensor takes some 20 values; no model has 50,000 tensors. */
	VALUES_MAX = 1 << 20,
	MEMO_MAX = 1 << 20,
	STACK_MAX = 1 << 16, /* Python writes dicts in batches of 1,000 */
	DEPTH_MAX = 32,
	NAME_LINE_MAX = 256,
	PROTOCOL_MIN = 2, /* what came before is written as text */
	PROTOCOL_MAX = 5,
};

const char *const value_kind_words[VALUE__COUNT] = {
	[VALUE_MARK] = "a mark",     [VALUE_NONE] = "None",	      [VALUE_BOOL] = "a bool",
	[VALUE_INT] = "an integer",  [VALUE_TEXT] = "a text",	      [VALUE_TUPLE] = "a tuple",
	[VALUE_DICT] = "a dict",     [VALUE_NAME] = "a name to call", [VALUE_STORAGE] = "a storage",
	[VALUE_TENSOR] = "a tensor",
};

static int machine_error(const struct machine *m, struct err *err, int code, const char *fmt,
			 va_list args)
{
	char what[384];

	vsnprintf(what, sizeof(what), fmt, args);
	return err_set(err, code, "%s: pickle byte %zu: %s", m->path, m->op_at, what);
}

int machine_bad(const struct machine *m, struct err *err, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	(void)machine_error(m, err, EBADMSG, fmt, args);
	va_end(args);
	return err->code;
}

int machine_unsupported(const struct machine *m, struct err *err, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	(void)machine_error(m, err, ENOTSUP, fmt, args);
	va_end(args);
	return err->code;
}

struct value *machine_value(const struct machine *m, uint32_t i)
{
	struct value *values = m->values.items;

	assert(i < m->values.count);
	return &values[i];
}

struct value *machine_item(const struct machine *m, const struct value *tuple, uint32_t i)
{
	const uint32_t *items = m->items.items;

	assert(tuple->kind == VALUE_TUPLE && i < tuple->tuple.count);
	return machine_value(m, items[tuple->tuple.first + i]);
}

const struct pair *machine_pair(const struct machine *m, uint32_t i)
{
	const struct pair *pairs = m->pairs.items;

	assert(i < m->pairs.count);
	return &pairs[i];
}

bool value_is(const struct value *value, const char *text)
{
	return value->kind == VALUE_TEXT && value->text.bytes == strlen(text) &&
	       memcmp(value->text.at, text, value->text.bytes) == 0;
}

struct shown value_shown(const struct value *text)
{
	struct shown shown = {.text = ""};
	size_t most = sizeof(shown.text) - 1;
	size_t bytes = text->text.bytes < most ? text->text.bytes : most;

	for (size_t i = 0; i < bytes; i++) {
		char c = text->text.at[i];

		shown.text[i] = c;
		if (c < 0x20 || c > 0x7e)
			shown.text[i] = '?';
	}
	return shown;
}

/* Room for one more item of 'each' bytes; NULL when there are 'most', or no memory. */
static void *grown_add(const struct machine *m, struct grown *grown, size_t each, size_t most,
		       const char *what, struct err *err)
{
	size_t room = grown->room ? grown->room * 2 : 64;
	void *items;

	if (grown->count >= most) {
		machine_bad(m, err, "more than %zu %s", most, what);
		return NULL;
	}
	if (grown->count == grown->room) {
		items = realloc(grown->items, room * each);
		if (!items) {
			err_nomem(err, what, room * each);
			return NULL;
		}
		grown->items = items;
		grown->room = room;
	}
	return (char *)grown->items + each * grown->count++;
}

static int push_index(struct machine *m, uint32_t i, struct err *err)
{
	uint32_t *top =
		grown_add(m, &m->stack, sizeof(*top), STACK_MAX, "values on the stack", err);

	if (!top)
		return err->code;
	*top = i;
	return 0;
}

static int push(struct machine *m, const struct value *value, struct err *err)
{
	struct value *kept =
		grown_add(m, &m->values, sizeof(*kept), VALUES_MAX, "values in all", err);

	if (!kept)
		return err->code;
	*kept = *value;
	return push_index(m, (uint32_t)(m->values.count - 1), err);
}

static uint32_t stack_at(const struct machine *m, size_t i)
{
	const uint32_t *stack = m->stack.items;

	assert(i < m->stack.count);
	return stack[i];
}

/* The value on top of the stack, which stays there. */
static int peek(const struct machine *m, uint32_t *top, struct err *err)
{
	if (m->stack.count == 0)
		return machine_bad(m, err, "the stack is empty, expected a value");
	*top = stack_at(m, m->stack.count - 1);
	if (machine_value(m, *top)->kind == VALUE_MARK)
		return machine_bad(m, err, "a mark on the stack, expected a value");
	return 0;
}

static int pop(struct machine *m, uint32_t *top, struct err *err)
{
	if (peek(m, top, err))
		return err->code;
	m->stack.count--;
	return 0;
}

/* Where the values above the last mark begin. */
static int find_mark(const struct machine *m, size_t *above, struct err *err)
{
	for (size_t i = m->stack.count; i > 0; i--) {
		if (machine_value(m, stack_at(m, i - 1))->kind == VALUE_MARK) {
			*above = i;
			return 0;
		}
	}
	return machine_bad(m, err, "no mark on the stack, expected one");
}

/* 'part' becomes part of 'whole', which may still move in memory. */
static int join_value(const struct machine *m, struct value *whole, uint32_t part, struct err *err)
{
	struct value *value = machine_value(m, part);

	if (value->depth + 1 > whole->depth)
		whole->depth = value->depth + 1;
	if (whole->depth > DEPTH_MAX)
		return machine_bad(m, err, "values nested deeper than %d", DEPTH_MAX);
	if (value->kind == VALUE_DICT)
		value->dict.is_complete = true;
	return 0;
}

/* The 'count' values on top become one tuple. */
static int push_tuple(struct machine *m, size_t count, struct err *err)
{
	struct value tuple = {.kind = VALUE_TUPLE};
	size_t from;

	if (count > m->stack.count)
		return machine_bad(m, err, "%zu values on the stack, expected %zu", m->stack.count,
				   count);
	from = m->stack.count - count;
	tuple.tuple.first = (uint32_t)m->items.count;
	tuple.tuple.count = (uint32_t)count;
	for (size_t i = from; i < from + count; i++) {
		uint32_t part = stack_at(m, i), *item;

		if (machine_value(m, part)->kind == VALUE_MARK)
			return machine_bad(m, err, "a mark inside a tuple, expected a value");
		item = grown_add(m, &m->items, sizeof(*item), VALUES_MAX, "values in tuples", err);
		if (!item || join_value(m, &tuple, part, err))
			return err->code;
		*item = part;
	}
	m->stack.count = from;
	return push(m, &tuple, err);
}

static int set_item(struct machine *m, uint32_t dict_at, uint32_t key, uint32_t value,
		    struct err *err)
{
	struct value *dict = machine_value(m, dict_at);
	struct pair *pairs, *pair;
	uint32_t at = (uint32_t)m->pairs.count;

	if (machine_value(m, key)->kind != VALUE_TEXT)
		return machine_bad(m, err, "%s as a dict's key, expected a text",
				   value_kind_words[machine_value(m, key)->kind]);
	if (value == dict_at)
		return machine_bad(m, err, "a dict that holds itself: a cycle");
	if (join_value(m, dict, value, err))
		return err->code;
	pair = grown_add(m, &m->pairs, sizeof(*pair), VALUES_MAX, "values in dicts", err);
	if (!pair)
		return err->code;
	*pair = (struct pair){.key = key, .value = value, .next = NO_PAIR};
	pairs = m->pairs.items;
	if (dict->dict.first == NO_PAIR)
		dict->dict.first = at;
	else
		pairs[dict->dict.last].next = at;
	dict->dict.last = at;
	dict->dict.count++;
	return 0;
}

static int check_open_dict(const struct machine *m, uint32_t i, struct err *err)
{
	const struct value *dict = machine_value(m, i);

	if (dict->kind != VALUE_DICT)
		return machine_bad(m, err, "%s gets items or attributes, expected a dict",
				   value_kind_words[dict->kind]);
	if (dict->dict.is_complete)
		return machine_bad(m, err,
				   "a dict changes after it became part of another value, as only "
				   "a cycle needs");
	return 0;
}

/* The next 'count' bytes of the pickle. */
static int take(struct machine *m, const unsigned char **at, uint64_t count, struct err *err)
{
	if (count > m->size - m->at)
		return machine_bad(m, err, "%" PRIu64 " bytes wanted, but %zu are left", count,
				   m->size - m->at);
	*at = m->bytes + m->at;
	m->at += (size_t)count;
	return 0;
}

static int take_number(struct machine *m, uint64_t *number, unsigned bytes, struct err *err)
{
	const unsigned char *at;

	assert(bytes <= 8);
	*number = 0;
	if (take(m, &at, bytes, err))
		return err->code;
	for (unsigned i = 0; i < bytes; i++)
		*number |= (uint64_t)at[i] << (8 * i);
	return 0;
}

static int op_proto(struct machine *m, struct err *err)
{
	uint64_t protocol;

	if (m->op_at != 0)
		return machine_bad(m, err, "PROTO, expected only as the first opcode");
	if (take_number(m, &protocol, 1, err))
		return err->code;
	if (protocol < PROTOCOL_MIN || protocol > PROTOCOL_MAX)
		return machine_unsupported(m, err, "protocol %" PRIu64 ", expected %d to %d",
					   protocol, PROTOCOL_MIN, PROTOCOL_MAX);
	return 0;
}

/* Says how long a piece is that could be read at once; we have it all. */
static int op_frame(struct machine *m, struct err *err)
{
	uint64_t bytes;

	if (take_number(m, &bytes, 8, err))
		return err->code;
	if (bytes > m->size - m->at)
		return machine_bad(m, err, "a frame of %" PRIu64 " bytes, but %zu are left", bytes,
				   m->size - m->at);
	return 0;
}

static int op_stop(struct machine *m, struct err *err)
{
	if (m->stack.count != 1)
		return machine_bad(m, err, "STOP with %zu values on the stack, expected 1",
				   m->stack.count);
	if (m->at != m->size)
		return machine_bad(m, err, "%zu bytes after STOP, expected none", m->size - m->at);
	m->is_done = true;
	return 0;
}

static int op_mark(struct machine *m, struct err *err)
{
	return push(m, &(struct value){.kind = VALUE_MARK}, err);
}

static int op_none(struct machine *m, struct err *err)
{
	return push(m, &(struct value){.kind = VALUE_NONE}, err);
}

static int op_true(struct machine *m, struct err *err)
{
	return push(m, &(struct value){.kind = VALUE_BOOL, .number = 1}, err);
}

static int op_false(struct machine *m, struct err *err)
{
	return push(m, &(struct value){.kind = VALUE_BOOL, .number = 0}, err);
}

/* Of 'bytes' bytes, whose top bit is the sign. */
static int push_signed(struct machine *m, unsigned bytes, struct err *err)
{
	struct value value = {.kind = VALUE_INT};
	uint64_t number;

	if (take_number(m, &number, bytes, err))
		return err->code;
	if (bytes > 0 && bytes < 8 && number >> (8 * bytes - 1))
		number |= UINT64_MAX << (8 * bytes);
	memcpy(&value.number, &number, sizeof(number));
	return push(m, &value, err);
}

static int push_unsigned(struct machine *m, unsigned bytes, struct err *err)
{
	uint64_t number;

	if (take_number(m, &number, bytes, err))
		return err->code;
	return push(m, &(struct value){.kind = VALUE_INT, .number = (int64_t)number}, err);
}

static int op_int1(struct machine *m, struct err *err)
{
	return push_unsigned(m, 1, err);
}

static int op_int2(struct machine *m, struct err *err)
{
	return push_unsigned(m, 2, err);
}

static int op_int4(struct machine *m, struct err *err)
{
	return push_signed(m, 4, err);
}

static int op_long1(struct machine *m, struct err *err)
{
	uint64_t bytes;

	if (take_number(m, &bytes, 1, err))
		return err->code;
	if (bytes > 8)
		return machine_bad(m, err, "an integer of %" PRIu64 " bytes, expected at most 8",
				   bytes);
	return push_signed(m, (unsigned)bytes, err);
}

static int push_text(struct machine *m, unsigned length_bytes, struct err *err)
{
	struct value value = {.kind = VALUE_TEXT};
	const unsigned char *at;
	uint64_t bytes;

	if (take_number(m, &bytes, length_bytes, err) || take(m, &at, bytes, err))
		return err->code;
	value.text.at = (const char *)at;
	value.text.bytes = (size_t)bytes;
	return push(m, &value, err);
}

static int op_text1(struct machine *m, struct err *err)
{
	return push_text(m, 1, err);
}

static int op_text4(struct machine *m, struct err *err)
{
	return push_text(m, 4, err);
}

static int op_text8(struct machine *m, struct err *err)
{
	return push_text(m, 8, err);
}

static int op_tuple0(struct machine *m, struct err *err)
{
	return push_tuple(m, 0, err);
}

static int op_tuple1(struct machine *m, struct err *err)
{
	return push_tuple(m, 1, err);
}

static int op_tuple2(struct machine *m, struct err *err)
{
	return push_tuple(m, 2, err);
}

static int op_tuple3(struct machine *m, struct err *err)
{
	return push_tuple(m, 3, err);
}

static int op_tuple(struct machine *m, struct err *err)
{
	size_t above, count;
	uint32_t tuple;

	if (find_mark(m, &above, err))
		return err->code;
	count = m->stack.count - above;
	if (push_tuple(m, count, err) || pop(m, &tuple, err))
		return err->code;
	m->stack.count--; /* the mark */
	return push_index(m, tuple, err);
}

static int op_dict(struct machine *m, struct err *err)
{
	struct value dict = {.kind = VALUE_DICT, .dict = {.first = NO_PAIR}};

	return push(m, &dict, err);
}

static int op_setitem(struct machine *m, struct err *err)
{
	uint32_t dict, key, value;

	if (pop(m, &value, err) || pop(m, &key, err) || peek(m, &dict, err) ||
	    check_open_dict(m, dict, err))
		return err->code;
	return set_item(m, dict, key, value, err);
}

static int op_setitems(struct machine *m, struct err *err)
{
	size_t above, end = m->stack.count;
	uint32_t dict;

	if (find_mark(m, &above, err))
		return err->code;
	if ((end - above) % 2 != 0)
		return machine_bad(m, err, "%zu values for a dict, expected pairs", end - above);
	m->stack.count = above - 1;
	if (peek(m, &dict, err))
		return err->code;
	for (size_t i = above; i < end; i += 2) {
		const uint32_t *stack = m->stack.items; /* popped, but not yet overwritten */

		if (check_open_dict(m, dict, err) || set_item(m, dict, stack[i], stack[i + 1], err))
			return err->code;
	}
	return 0;
}

static int memo_put(struct machine *m, uint64_t id, struct err *err)
{
	uint32_t top, *slot, *memo;

	if (peek(m, &top, err))
		return err->code;
	if (id >= MEMO_MAX)
		return machine_bad(m, err, "memo %" PRIu64 ", expected less than %d", id, MEMO_MAX);
	while (m->memo.count <= id) {
		slot = grown_add(m, &m->memo, sizeof(*slot), MEMO_MAX, "memos", err);
		if (!slot)
			return err->code;
		*slot = 0;
	}
	memo = m->memo.items;
	m->memo_count += memo[id] == 0;
	memo[id] = top + 1;
	return 0;
}

static int memo_get(struct machine *m, uint64_t id, struct err *err)
{
	const uint32_t *memo = m->memo.items;

	if (id >= m->memo.count || memo[id] == 0)
		return machine_bad(m, err, "memo %" PRIu64 " was never put", id);
	return push_index(m, memo[id] - 1, err);
}

static int op_put1(struct machine *m, struct err *err)
{
	uint64_t id;

	return take_number(m, &id, 1, err) ? err->code : memo_put(m, id, err);
}

static int op_put4(struct machine *m, struct err *err)
{
	uint64_t id;

	return take_number(m, &id, 4, err) ? err->code : memo_put(m, id, err);
}

static int op_memoize(struct machine *m, struct err *err)
{
	return memo_put(m, m->memo_count, err);
}

static int op_get1(struct machine *m, struct err *err)
{
	uint64_t id;

	return take_number(m, &id, 1, err) ? err->code : memo_get(m, id, err);
}

static int op_get4(struct machine *m, struct err *err)
{
	uint64_t id;

	return take_number(m, &id, 4, err) ? err->code : memo_get(m, id, err);
}

static int push_name(struct machine *m, const struct value *module, const struct value *member,
		     struct err *err)
{
	struct value value = {.kind = VALUE_NAME};

	if (torch_find(m, &value.name, module, member, err))
		return err->code;
	return push(m, &value, err);
}

static int take_line(struct machine *m, struct value *text, struct err *err)
{
	size_t left = m->size - m->at;
	const unsigned char *at = m->bytes + m->at;
	const unsigned char *end = left ? memchr(at, '\n', left) : NULL;

	if (!end || end - at > NAME_LINE_MAX)
		return machine_bad(m, err, "a name without an end, expected at most %d bytes",
				   NAME_LINE_MAX);
	*text = (struct value){.kind = VALUE_TEXT,
			       .text = {.at = (const char *)at, .bytes = (size_t)(end - at)}};
	m->at += text->text.bytes + 1;
	return 0;
}

static int op_global(struct machine *m, struct err *err)
{
	struct value module, member;

	if (take_line(m, &module, err) || take_line(m, &member, err))
		return err->code;
	return push_name(m, &module, &member, err);
}

static int op_stack_global(struct machine *m, struct err *err)
{
	uint32_t module, member;

	if (pop(m, &member, err) || pop(m, &module, err))
		return err->code;
	if (machine_value(m, module)->kind != VALUE_TEXT ||
	    machine_value(m, member)->kind != VALUE_TEXT)
		return machine_bad(m, err, "STACK_GLOBAL of %s and %s, expected two texts",
				   value_kind_words[machine_value(m, module)->kind],
				   value_kind_words[machine_value(m, member)->kind]);
	return push_name(m, machine_value(m, module), machine_value(m, member), err);
}

static int op_reduce(struct machine *m, struct err *err)
{
	const struct value *callable, *args;
	uint32_t callable_at, args_at;
	struct value result;

	if (pop(m, &args_at, err) || pop(m, &callable_at, err))
		return err->code;
	callable = machine_value(m, callable_at);
	args = machine_value(m, args_at);
	if (callable->kind != VALUE_NAME || args->kind != VALUE_TUPLE)
		return machine_bad(m, err, "REDUCE of %s and %s, expected a name and a tuple",
				   value_kind_words[callable->kind], value_kind_words[args->kind]);
	if (torch_call(m, &result, callable, args, err))
		return err->code;
	return push(m, &result, err);
}

static int op_persid(struct machine *m, struct err *err)
{
	struct value result;
	uint32_t id;

	if (pop(m, &id, err) || torch_storage(m, &result, machine_value(m, id), err))
		return err->code;
	return push(m, &result, err);
}

static int op_build(struct machine *m, struct err *err)
{
	uint32_t object, state;

	if (pop(m, &state, err) || peek(m, &object, err) || check_open_dict(m, object, err))
		return err->code;
	if (torch_build(m, machine_value(m, state), err))
		return err->code;
	return join_value(m, machine_value(m, object), state, err);
}

/* Every opcode of pickle; those without 'run' are refused. */
static const struct {
	const char *name;
	int (*run)(struct machine *m, struct err *err);
} opcodes[256] = {
	/* clang-format off */
	['('] = {"MARK", op_mark},		['.'] = {"STOP", op_stop},
	['0'] = {"POP", NULL},			['1'] = {"POP_MARK", NULL},
	['2'] = {"DUP", NULL},			['F'] = {"FLOAT", NULL},
	['I'] = {"INT", NULL},			['J'] = {"BININT", op_int4},
	['K'] = {"BININT1", op_int1},		['L'] = {"LONG", NULL},
	['M'] = {"BININT2", op_int2},		['N'] = {"NONE", op_none},
	['P'] = {"PERSID", NULL},		['Q'] = {"BINPERSID", op_persid},
	['R'] = {"REDUCE", op_reduce},		['S'] = {"STRING", NULL},
	['T'] = {"BINSTRING", NULL},		['U'] = {"SHORT_BINSTRING", NULL},
	['V'] = {"UNICODE", NULL},		['X'] = {"BINUNICODE", op_text4},
	['a'] = {"APPEND", NULL},		['b'] = {"BUILD", op_build},
	['c'] = {"GLOBAL", op_global},		['d'] = {"DICT", NULL},
	['}'] = {"EMPTY_DICT", op_dict},	['e'] = {"APPENDS", NULL},
	['g'] = {"GET", NULL},			['h'] = {"BINGET", op_get1},
	['i'] = {"INST", NULL},			['j'] = {"LONG_BINGET", op_get4},
	['l'] = {"LIST", NULL},			[']'] = {"EMPTY_LIST", NULL},
	['o'] = {"OBJ", NULL},			['p'] = {"PUT", NULL},
	['q'] = {"BINPUT", op_put1},		['r'] = {"LONG_BINPUT", op_put4},
	['s'] = {"SETITEM", op_setitem},	['t'] = {"TUPLE", op_tuple},
	[')'] = {"EMPTY_TUPLE", op_tuple0},	['u'] = {"SETITEMS", op_setitems},
	['G'] = {"BINFLOAT", NULL},		['B'] = {"BINBYTES", NULL},
	['C'] = {"SHORT_BINBYTES", NULL},	[0x80] = {"PROTO", op_proto},
	[0x81] = {"NEWOBJ", NULL},		[0x82] = {"EXT1", NULL},
	[0x83] = {"EXT2", NULL},		[0x84] = {"EXT4", NULL},
	[0x85] = {"TUPLE1", op_tuple1},		[0x86] = {"TUPLE2", op_tuple2},
	[0x87] = {"TUPLE3", op_tuple3},		[0x88] = {"NEWTRUE", op_true},
	[0x89] = {"NEWFALSE", op_false},	[0x8a] = {"LONG1", op_long1},
	[0x8b] = {"LONG4", NULL},		[0x8c] = {"SHORT_BINUNICODE", op_text1},
	[0x8d] = {"BINUNICODE8", op_text8},	[0x8e] = {"BINBYTES8", NULL},
	[0x8f] = {"EMPTY_SET", NULL},		[0x90] = {"ADDITEMS", NULL},
	[0x91] = {"FROZENSET", NULL},		[0x92] = {"NEWOBJ_EX", NULL},
	[0x93] = {"STACK_GLOBAL", op_stack_global}, [0x94] = {"MEMOIZE", op_memoize},
	[0x95] = {"FRAME", op_frame},		[0x96] = {"BYTEARRAY8", NULL},
	[0x97] = {"NEXT_BUFFER", NULL},		[0x98] = {"READONLY_BUFFER", NULL},
	/* clang-format on */
};

static int step(struct machine *m, struct err *err)
{
	unsigned op;

	m->op_at = m->at;
	if (m->at == m->size)
		return machine_bad(m, err, "the pickle ends without STOP: it is cut off");
	op = m->bytes[m->at++];
	if (m->op_at == 0 && op != 0x80)
		return machine_bad(m, err, "opcode 0x%02x, expected PROTO (0x80) first", op);
	if (!opcodes[op].run)
		return machine_bad(m, err,
				   "opcode 0x%02x (%s) is not one that a state dict needs: refused",
				   op, opcodes[op].name ? opcodes[op].name : "unknown to pickle");
	return opcodes[op].run(m, err);
}

int machine_run(struct machine *m, uint32_t *root, struct err *err)
{
	while (!m->is_done)
		if (step(m, err))
			return err->code;
	return pop(m, root, err);
}

void machine_fini(struct machine *m)
{
	free(m->values.items);
	free(m->items.items);
	free(m->pairs.items);
	free(m->stack.items);
	free(m->memo.items);
}
