/* SPDX-License-Identifier: GPL-3.0-or-later */
/* pickle_torch.c - what the few names of a state dict would build, and the tensors of one */
#include "checkpoint_inside.h"
#include "pickle.h"
#include "pickle_machine.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* All that a pickle may name. */
static const struct torch_name names[] = {
	{"collections", "OrderedDict", NAME_DICT, WEIGHT_F32},
	{"torch._utils", "_rebuild_tensor_v2", NAME_TENSOR, WEIGHT_F32},
	{"torch._utils", "_rebuild_parameter", NAME_PARAMETER, WEIGHT_F32},
	{"torch", "FloatStorage", NAME_STORAGE, WEIGHT_F32},
	{"torch", "HalfStorage", NAME_STORAGE, WEIGHT_F16},
	{"torch", "BFloat16Storage", NAME_STORAGE, WEIGHT_BF16},
};

/* Storages that we know of and do not read. */
static const char *const other_storages[] = {
	"DoubleStorage", "LongStorage",		 "IntStorage",	    "ShortStorage",
	"CharStorage",	 "ByteStorage",		 "BoolStorage",	    "ComplexFloatStorage",
	"QInt8Storage",	 "ComplexDoubleStorage", "UntypedStorage",  "QUInt8Storage",
	"QInt32Storage", "QUInt4x2Storage",	 "QUInt2x4Storage",
};

int torch_find(const struct machine *m, const struct torch_name **name, const struct value *module,
	       const struct value *member, struct err *err)
{
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (value_is(module, names[i].module) && value_is(member, names[i].name)) {
			*name = &names[i];
			return 0;
		}
	}
	for (size_t i = 0; i < sizeof(other_storages) / sizeof(other_storages[0]); i++)
		if (value_is(member, other_storages[i]) &&
		    (value_is(module, "torch") || value_is(module, "torch.storage")))
			return machine_unsupported(m, err,
						   "tensors of torch.%s, expected FloatStorage, "
						   "HalfStorage or BFloat16Storage",
						   other_storages[i]);
	return machine_bad(m, err, "'%s.%s' is not a name that a state dict needs: refused",
			   value_shown(module).text, value_shown(member).text);
}

static int check_count(const struct machine *m, const struct torch_name *name,
		       const struct value *args, uint32_t least, uint32_t most, struct err *err)
{
	if (args->tuple.count < least || args->tuple.count > most)
		return machine_bad(m, err, "%s of %" PRIu32 " arguments, expected %" PRIu32,
				   name->name, args->tuple.count, least);
	return 0;
}

static int check_kind(const struct machine *m, const char *what, const struct value *value,
		      enum value_kind expected, struct err *err)
{
	if (value->kind != expected)
		return machine_bad(m, err, "%s is %s, expected %s", what,
				   value_kind_words[value->kind], value_kind_words[expected]);
	return 0;
}

/* Hooks and metadata could change what a tensor means: only none of them is nothing. */
static int check_nothing(const struct machine *m, const char *what, const struct value *value,
			 struct err *err)
{
	if (value->kind == VALUE_NONE || (value->kind == VALUE_DICT && value->dict.count == 0))
		return 0;
	return machine_bad(m, err, "%s is %s with content, expected None or an empty dict", what,
			   value_kind_words[value->kind]);
}

/* The number of an integer that is not negative. */
static int take_count(const struct machine *m, uint64_t *count, const char *what,
		      const struct value *value, struct err *err)
{
	if (check_kind(m, what, value, VALUE_INT, err))
		return err->code;
	if (value->number < 0)
		return machine_bad(m, err, "%s is %" PRId64 ", expected 0 or more", what,
				   value->number);
	*count = (uint64_t)value->number;
	return 0;
}

static uint32_t item_index(const struct machine *m, const struct value *tuple, uint32_t i)
{
	return (uint32_t)(machine_item(m, tuple, i) - machine_value(m, 0));
}

/* _rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks[, metadata]) */
static int rebuild_tensor(const struct machine *m, struct value *result, const struct value *args,
			  struct err *err)
{
	const struct value *size = machine_item(m, args, 2), *stride = machine_item(m, args, 3);
	uint64_t offset;

	if (check_kind(m, "the storage of a tensor", machine_item(m, args, 0), VALUE_STORAGE,
		       err) ||
	    take_count(m, &offset, "the offset of a tensor", machine_item(m, args, 1), err) ||
	    check_kind(m, "the size of a tensor", size, VALUE_TUPLE, err) ||
	    check_kind(m, "the stride of a tensor", stride, VALUE_TUPLE, err) ||
	    check_kind(m, "requires_grad", machine_item(m, args, 4), VALUE_BOOL, err) ||
	    check_nothing(m, "backward_hooks", machine_item(m, args, 5), err))
		return err->code;
	if (args->tuple.count > 6 && check_nothing(m, "metadata", machine_item(m, args, 6), err))
		return err->code;
	if (size->tuple.count != stride->tuple.count)
		return machine_bad(m, err,
				   "a tensor of %" PRIu32 " dimensions and %" PRIu32 " strides",
				   size->tuple.count, stride->tuple.count);
	*result = (struct value){.kind = VALUE_TENSOR};
	result->tensor.storage = item_index(m, args, 0);
	result->tensor.offset = offset;
	result->tensor.dims = item_index(m, args, 2);
	result->tensor.stride = item_index(m, args, 3);
	return 0;
}

/* _rebuild_parameter(tensor, requires_grad, hooks): the tensor itself */
static int rebuild_parameter(const struct machine *m, struct value *result,
			     const struct value *args, struct err *err)
{
	if (check_kind(m, "a parameter's data", machine_item(m, args, 0), VALUE_TENSOR, err) ||
	    check_kind(m, "requires_grad", machine_item(m, args, 1), VALUE_BOOL, err) ||
	    check_nothing(m, "backward_hooks", machine_item(m, args, 2), err))
		return err->code;
	*result = *machine_item(m, args, 0);
	return 0;
}

int torch_call(struct machine *m, struct value *result, const struct value *callable,
	       const struct value *args, struct err *err)
{
	const struct torch_name *name = callable->name;

	switch (name->role) {
	case NAME_DICT:
		if (check_count(m, name, args, 0, 0, err))
			return err->code;
		*result = (struct value){.kind = VALUE_DICT, .dict = {.first = NO_PAIR}};
		return 0;
	case NAME_TENSOR:
		if (check_count(m, name, args, 6, 7, err))
			return err->code;
		return rebuild_tensor(m, result, args, err);
	case NAME_PARAMETER:
		if (check_count(m, name, args, 3, 3, err))
			return err->code;
		return rebuild_parameter(m, result, args, err);
	case NAME_STORAGE:
		break;
	}
	return machine_bad(m, err, "a call of %s.%s, expected no call", name->module, name->name);
}

/* ('storage', type, key, location, count) */
int torch_storage(struct machine *m, struct value *result, const struct value *id, struct err *err)
{
	const struct value *type;
	uint64_t count;

	if (check_kind(m, "a persistent id", id, VALUE_TUPLE, err))
		return err->code;
	if (id->tuple.count != 5 || !value_is(machine_item(m, id, 0), "storage"))
		return machine_bad(m, err,
				   "a persistent id of %" PRIu32
				   " values, expected ('storage', type, key, location, count)",
				   id->tuple.count);
	type = machine_item(m, id, 1);
	if (check_kind(m, "a storage's type", type, VALUE_NAME, err) ||
	    check_kind(m, "a storage's key", machine_item(m, id, 2), VALUE_TEXT, err) ||
	    check_kind(m, "a storage's location", machine_item(m, id, 3), VALUE_TEXT, err) ||
	    take_count(m, &count, "a storage's count", machine_item(m, id, 4), err))
		return err->code;
	if (type->name->role != NAME_STORAGE)
		return machine_bad(m, err, "a storage of type %s.%s, expected a storage type",
				   type->name->module, type->name->name);
	*result = (struct value){.kind = VALUE_STORAGE};
	result->storage.name = type->name;
	result->storage.key = item_index(m, id, 2);
	result->storage.count = count;
	return 0;
}

/* PyTorch gives a state dict one attribute, `_metadata`, the versions of its modules. */
int torch_build(const struct machine *m, const struct value *state, struct err *err)
{
	if (check_kind(m, "the attributes of a dict", state, VALUE_DICT, err))
		return err->code;
	for (uint32_t i = state->dict.first; i != NO_PAIR; i = machine_pair(m, i)->next) {
		const struct value *key = machine_value(m, machine_pair(m, i)->key);

		if (!value_is(key, "_metadata"))
			return machine_bad(
				m, err, "BUILD sets attribute '%s' of a dict, expected _metadata",
				value_shown(key).text);
	}
	return 0;
}

/* What a tensor of the state dict says, being checked. */
struct taken {
	const struct machine *m;
	const char *path;
	struct pickle_tensor *out;
	const struct value *value; /* VALUE_TENSOR */
};

static int take_storage(const struct taken *t, struct err *err)
{
	const struct value *storage = machine_value(t->m, t->value->tensor.storage);
	const struct value *key = machine_value(t->m, storage->storage.key);
	struct pickle_tensor *out = t->out;

	out->tensor.type = storage->storage.name->type;
	if (key->text.bytes == 0 || key->text.bytes >= PICKLE_KEY)
		return err_set(err, EBADMSG,
			       "%s: tensor '%s': a storage key of %zu bytes, expected 1 to %d",
			       t->path, out->tensor.name, key->text.bytes, PICKLE_KEY - 1);
	for (size_t i = 0; i < key->text.bytes; i++)
		if (key->text.at[i] < '0' || key->text.at[i] > '9')
			return err_set(err, EBADMSG,
				       "%s: tensor '%s': storage key '%s', expected digits",
				       t->path, out->tensor.name, value_shown(key).text);
	memcpy(out->storage, key->text.at, key->text.bytes);
	if (__builtin_mul_overflow(storage->storage.count, (uint64_t)weight_bytes(out->tensor.type),
				   &out->storage_bytes))
		return err_set(err, EBADMSG,
			       "%s: tensor '%s': a storage of %" PRIu64
			       " weights, expected less than 2^64 bytes",
			       t->path, out->tensor.name, storage->storage.count);
	return 0;
}

static int take_dims(const struct taken *t, struct err *err)
{
	const struct value *dims = machine_value(t->m, t->value->tensor.dims);
	struct checkpoint_tensor *out = &t->out->tensor;

	if (dims->tuple.count > CHECKPOINT_DIMS)
		return err_set(err, ENOTSUP,
			       "%s: tensor '%s': %" PRIu32 " dimensions, expected at most %d",
			       t->path, out->name, dims->tuple.count, CHECKPOINT_DIMS);
	out->dim_count = dims->tuple.count;
	for (uint32_t i = 0; i < CHECKPOINT_DIMS; i++) {
		out->dims[i] = 1;
		if (i < out->dim_count && take_count(t->m, &out->dims[i], "a dimension",
						     machine_item(t->m, dims, i), err))
			return err_where(err, "tensor '%s'", out->name);
	}
	return checkpoint_size(out, t->path, err);
}

/* Row major without gaps; the stride of a dimension of 1 says nothing. */
static int check_stride(const struct taken *t, struct err *err)
{
	const struct value *strides = machine_value(t->m, t->value->tensor.stride);
	const struct checkpoint_tensor *out = &t->out->tensor;
	uint64_t expected = 1;

	for (uint32_t i = out->dim_count; i-- > 0 && out->bytes > 0;) {
		uint64_t stride;

		if (take_count(t->m, &stride, "a stride", machine_item(t->m, strides, i), err))
			return err_where(err, "tensor '%s'", out->name);
		if (out->dims[i] != 1 && stride != expected)
			return err_set(err, ENOTSUP,
				       "%s: tensor '%s': dimension %" PRIu32 " has stride %" PRIu64
				       ", expected %" PRIu64 ": it is not contiguous",
				       t->path, out->name, i, stride, expected);
		expected *= out->dims[i]; /* divides bytes */
	}
	return 0;
}

static int check_inside(const struct taken *t, struct err *err)
{
	struct pickle_tensor *out = t->out;

	if (__builtin_mul_overflow(t->value->tensor.offset,
				   (uint64_t)weight_bytes(out->tensor.type),
				   &out->storage_at_bytes) ||
	    out->storage_at_bytes > out->storage_bytes ||
	    out->tensor.bytes > out->storage_bytes - out->storage_at_bytes)
		return err_set(err, EBADMSG,
			       "%s: tensor '%s': %" PRIu64 " bytes from weight %" PRIu64
			       " on, expected them inside storage %s of %" PRIu64 " bytes",
			       t->path, out->tensor.name, out->tensor.bytes,
			       t->value->tensor.offset, out->storage, out->storage_bytes);
	return 0;
}

static int take_tensor(const struct taken *t, const struct value *key, struct err *err)
{
	if (checkpoint_name(t->out->tensor.name, t->path, key->text.at, key->text.bytes, err))
		return err->code;
	if (t->value->kind != VALUE_TENSOR)
		return err_set(err, EBADMSG, "%s: '%s' is %s, expected a tensor", t->path,
			       t->out->tensor.name, value_kind_words[t->value->kind]);
	if (take_storage(t, err) || take_dims(t, err) || check_stride(t, err))
		return err->code;
	return check_inside(t, err);
}

static int take_root(const struct machine *m, struct pickle_tensors *tensors, uint32_t root,
		     struct err *err)
{
	const struct value *dict = machine_value(m, root);

	if (dict->kind != VALUE_DICT)
		return err_set(err, EBADMSG, "%s: the pickle is %s, expected a dict of tensors",
			       m->path, value_kind_words[dict->kind]);
	tensors->items = calloc(dict->dict.count + 1, sizeof(*tensors->items));
	if (!tensors->items)
		return err_nomem(err, "a state dict", dict->dict.count * sizeof(*tensors->items));
	for (uint32_t i = dict->dict.first; i != NO_PAIR; i = machine_pair(m, i)->next) {
		const struct pair *pair = machine_pair(m, i);
		struct taken taken = {.m = m,
				      .path = m->path,
				      .out = &tensors->items[tensors->count],
				      .value = machine_value(m, pair->value)};

		if (take_tensor(&taken, machine_value(m, pair->key), err))
			return err->code;
		tensors->count++;
	}
	return 0;
}

int pickle_read(struct pickle_tensors *tensors, const unsigned char *bytes, size_t size,
		const char *path, struct err *err)
{
	struct machine m = {.path = path, .bytes = bytes, .size = size};
	uint32_t root;

	*tensors = (struct pickle_tensors){.items = NULL};
	if (!machine_run(&m, &root, err))
		(void)take_root(&m, tensors, root, err);
	machine_fini(&m);
	return err->code;
}

void pickle_fini(struct pickle_tensors *tensors)
{
	free(tensors->items);
	*tensors = (struct pickle_tensors){.items = NULL};
}
