/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test_bad_torch.c - hazard: PyTorch files that lie, or whose pickle would run code, each with its
 * message */
#include "files.h"
#include "pickle.h"
#include "pickles.h"

static const char good_pickle[] = GOOD_PICKLE;
static const char weights[24] = "four by six weights...";

START_TEST(a_good_pickle_is_read)
{
	struct pickle_tensors tensors;
	struct err err = {0};

	ck_ok(pickle_read(&tensors, (const unsigned char *)good_pickle, sizeof(good_pickle) - 1,
			  "x.bin", &err));
	ck_assert_uint_eq(tensors.count, 1);
	ck_assert_str_eq(tensors.items[0].tensor.name, "w");
	ck_assert_str_eq(tensors.items[0].storage, "0");
	ck_assert_uint_eq(tensors.items[0].storage_bytes, 24);
	ck_assert_uint_eq(tensors.items[0].tensor.dims[0], 2);
	ck_assert_uint_eq(tensors.items[0].tensor.dims[1], 3);
	pickle_fini(&tensors);
}
END_TEST

#define DICT(items) PROTO_2 ORDERED_DICT items STOP
#define ITEM(value) DICT(TEXT("\x01", "w") value "s")
#define OF(dims, strides)                                                                          \
	ITEM(TENSOR_OF(STORAGE("FloatStorage", "\x06"), ONE("\x00"), dims, strides))
#define OF_STORAGE(storage) ITEM(TENSOR_OF(storage, ONE("\x00"), DIMS_2_3, STRIDES_3_1))
#define OF_OFFSET(offset)                                                                          \
	ITEM(TENSOR_OF(STORAGE("FloatStorage", "\x06"), offset, DIMS_2_3, STRIDES_3_1))
#define NAME_32 "01234567890123456789012345678901"

/* clang-format off */
static const struct {
	const char *why;
	struct bytes pickle;
	int code;
	const char *says;
} bad[] = {
	/* Code. */
	{"os.system", BYTES(PROTO_2 "cos\nsystem\n" TEXT("\x02", "ls") SINGLE "R" STOP), EBADMSG, "x.bin: pickle byte 2: 'os.system' is not a name that a state dict needs: refused"},
	{"posix.system by STACK_GLOBAL", BYTES("\x80\x04" TEXT("\x05", "posix") TEXT("\x06", "system") "\x93" STOP), EBADMSG, "'posix.system' is not a name that a state dict needs: refused"},
	{"builtins.eval as a tensor", BYTES(ITEM("cbuiltins\neval\n" TEXT("\x01", "1") SINGLE "R")), EBADMSG, "'builtins.eval' is not a name that a state dict needs: refused"},
	{"builtins.getattr", BYTES(PROTO_2 "cbuiltins\ngetattr\n" STOP), EBADMSG, "'builtins.getattr' is not a name"},
	{"torch.load", BYTES(PROTO_2 "ctorch\nload\n" STOP), EBADMSG, "'torch.load' is not a name"},
	{"a dotted path through a module", BYTES(PROTO_2 "ctorch._utils\n_rebuild_tensor_v2.__globals__\n" STOP), EBADMSG, "'torch._utils._rebuild_tensor_v2.__globals__' is not a name"},
	{"another rebuilder", BYTES(PROTO_2 "ctorch._utils\n_rebuild_sparse_tensor\n" STOP), EBADMSG, "'torch._utils._rebuild_sparse_tensor' is not a name"},
	{"a terminal's command as a name", BYTES(PROTO_2 "c\x1b[2J\nx\n" STOP), EBADMSG, "'?[2J.x' is not a name"},
	{"INST", BYTES(PROTO_2 "(ios\nsystem\n" STOP), EBADMSG, "pickle byte 3: opcode 0x69 (INST) is not one that a state dict needs: refused"},
	{"OBJ", BYTES(PROTO_2 "(" "ccollections\nOrderedDict\n" "o" STOP), EBADMSG, "opcode 0x6f (OBJ) is not one"},
	{"NEWOBJ", BYTES(PROTO_2 "ccollections\nOrderedDict\n" ")\x81" STOP), EBADMSG, "opcode 0x81 (NEWOBJ) is not one"},
	{"NEWOBJ_EX", BYTES("\x80\x04" ")}\x92" STOP), EBADMSG, "opcode 0x92 (NEWOBJ_EX) is not one"},
	{"EXT1", BYTES(PROTO_2 "\x82\x01" STOP), EBADMSG, "opcode 0x82 (EXT1) is not one"},
	{"PERSID", BYTES(PROTO_2 "P0\n" STOP), EBADMSG, "opcode 0x50 (PERSID) is not one"},
	{"a list", BYTES(PROTO_2 "]" STOP), EBADMSG, "opcode 0x5d (EMPTY_LIST) is not one"},
	{"bytes", BYTES(PROTO_2 "C\x01x" STOP), EBADMSG, "opcode 0x43 (SHORT_BINBYTES) is not one"},
	{"a buffer from outside", BYTES("\x80\x05\x97" STOP), EBADMSG, "opcode 0x97 (NEXT_BUFFER) is not one"},
	{"an opcode that is none", BYTES(PROTO_2 "\xff" STOP), EBADMSG, "opcode 0xff (unknown to pickle) is not one"},
	{"attributes of a dict", BYTES(DICT("}" TEXT("\x09", "__class__") "Ns" "b")), EBADMSG, "BUILD sets attribute '__class__' of a dict, expected _metadata"},
	{"attributes of a tensor", BYTES(ITEM(TENSOR "}" "b")), EBADMSG, "a tensor gets items or attributes, expected a dict"},
	{"a call of a storage type", BYTES(PROTO_2 "ctorch\nFloatStorage\n" ")R" STOP), EBADMSG, "a call of torch.FloatStorage, expected no call"},
	{"a call of a text", BYTES(PROTO_2 TEXT("\x01", "x") ")R" STOP), EBADMSG, "REDUCE of a text and a tuple, expected a name and a tuple"},
	{"a call with a dict", BYTES(PROTO_2 "ccollections\nOrderedDict\n" "}R" STOP), EBADMSG, "REDUCE of a name to call and a dict, expected a name and a tuple"},
	{"an OrderedDict of something", BYTES(PROTO_2 "ccollections\nOrderedDict\n" "N" SINGLE "R" STOP), EBADMSG, "OrderedDict of 1 arguments, expected 0"},
	/* Cycles. */
	{"a dict in itself", BYTES(PROTO_2 "}q\x01" TEXT("\x01", "w") "h\x01s" STOP), EBADMSG, "a dict that holds itself: a cycle"},
	{"a dict in itself, by SETITEMS", BYTES(PROTO_2 "}q\x01(" TEXT("\x01", "w") "h\x01u" STOP), EBADMSG, "a dict that holds itself: a cycle"},
	{"a dict in its own attributes", BYTES(PROTO_2 "}q\x01}" TEXT("\x09", "_metadata") "h\x01s" "b" STOP), EBADMSG, "a dict changes after it became part of another value, as only a cycle needs"},
	{"a dict in a tuple in itself", BYTES(PROTO_2 "}q\x01" TEXT("\x01", "w") "h\x01" SINGLE "s" STOP), EBADMSG, "a dict changes after it became part of another value, as only a cycle needs"},
	{"two dicts in each other", BYTES(PROTO_2 "}q\x01" TEXT("\x01", "a") "}" TEXT("\x01", "b") "h\x01s" "s" STOP), EBADMSG, "a dict changes after it became part of another value, as only a cycle needs"},
	/* Memos, marks, the stack. */
	{"an absurd memo", BYTES(PROTO_2 "}r\xff\xff\xff\xff" STOP), EBADMSG, "memo 4294967295, expected less than 1048576"},
	{"a memo that was never put", BYTES(PROTO_2 "h\x07" STOP), EBADMSG, "memo 7 was never put"},
	{"a far memo that was never put", BYTES(PROTO_2 "j\xff\xff\xff\xff" STOP), EBADMSG, "memo 4294967295 was never put"},
	{"a memo of nothing", BYTES(PROTO_2 "q\x01" STOP), EBADMSG, "the stack is empty, expected a value"},
	{"a memo of a mark", BYTES(PROTO_2 "(q\x01" STOP), EBADMSG, "a mark on the stack, expected a value"},
	{"no mark", BYTES(PROTO_2 "t" STOP), EBADMSG, "no mark on the stack, expected one"},
	{"a tuple over a mark", BYTES(PROTO_2 "N(N\x86" STOP), EBADMSG, "a mark inside a tuple, expected a value"},
	{"too few for a tuple", BYTES(PROTO_2 "N\x87" STOP), EBADMSG, "1 values on the stack, expected 3"},
	{"a key without a value", BYTES(PROTO_2 "}(" TEXT("\x01", "w") "u" STOP), EBADMSG, "1 values for a dict, expected pairs"},
	{"items without a dict", BYTES(PROTO_2 "(NNu" STOP), EBADMSG, "the stack is empty, expected a value"},
	{"items of a tuple", BYTES(PROTO_2 ")(NNu" STOP), EBADMSG, "a tuple gets items or attributes, expected a dict"},
	{"a number as a key", BYTES(PROTO_2 "}" ONE("\x01") "Ns" STOP), EBADMSG, "an integer as a dict's key, expected a text"},
	{"STOP with nothing", BYTES(PROTO_2 STOP), EBADMSG, "STOP with 0 values on the stack, expected 1"},
	{"STOP with a mark", BYTES(PROTO_2 "(" STOP), EBADMSG, "a mark on the stack, expected a value"},
	{"STOP with two", BYTES(PROTO_2 "}}" STOP), EBADMSG, "STOP with 2 values on the stack, expected 1"},
	{"more after STOP", BYTES(PROTO_2 "}" STOP "}" STOP), EBADMSG, "2 bytes after STOP, expected none"},
	/* Lengths. */
	{"nothing", BYTES(""), EBADMSG, "pickle byte 0: the pickle ends without STOP: it is cut off"},
	{"no STOP", BYTES(PROTO_2 "}"), EBADMSG, "pickle byte 3: the pickle ends without STOP: it is cut off"},
	{"no PROTO", BYTES("}" STOP), EBADMSG, "opcode 0x7d, expected PROTO (0x80) first"},
	{"PROTO later", BYTES(PROTO_2 "}" PROTO_2 STOP), EBADMSG, "PROTO, expected only as the first opcode"},
	{"protocol 9", BYTES("\x80\x09" "}" STOP), ENOTSUP, "protocol 9, expected 2 to 5"},
	{"a text of 4 GiB", BYTES(PROTO_2 "X\xff\xff\xff\xff" STOP), EBADMSG, "4294967295 bytes wanted, but 1 are left"},
	{"a text of 2^64 - 1", BYTES("\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\xff" STOP), EBADMSG, "18446744073709551615 bytes wanted, but 1 are left"},
	{"a frame of 2^63", BYTES("\x80\x04\x95\0\0\0\0\0\0\0\x80" STOP), EBADMSG, "a frame of 9223372036854775808 bytes, but 1 are left"},
	{"a cut number", BYTES(PROTO_2 "J\x01\x02"), EBADMSG, "4 bytes wanted, but 2 are left"},
	{"an integer of 9 bytes", BYTES(PROTO_2 "\x8a\x09" "123456789" STOP), EBADMSG, "an integer of 9 bytes, expected at most 8"},
	{"a name without an end", BYTES(PROTO_2 "ccollections"), EBADMSG, "a name without an end"},
	/* What the tensors say. */
	{"no dict", BYTES(PROTO_2 ONE("\x07") STOP), EBADMSG, "x.bin: the pickle is an integer, expected a dict of tensors"},
	{"a bare tensor", BYTES(PROTO_2 TENSOR STOP), EBADMSG, "the pickle is a tensor, expected a dict of tensors"},
	{"a number as a weight", BYTES(ITEM(ONE("\x07"))), EBADMSG, "'w' is an integer, expected a tensor"},
	{"a storage as a weight", BYTES(ITEM(STORAGE("FloatStorage", "\x06"))), EBADMSG, "'w' is a storage, expected a tensor"},
	{"no name", BYTES(DICT(TEXT("\x00", "") TENSOR "s")), EBADMSG, "a tensor name of 0 bytes, expected 1 to 127 bytes"},
	{"a NUL in a name", BYTES(DICT(TEXT("\x03", "a\0b") TENSOR "s")), EBADMSG, "byte 1 of a tensor name is 0x00, a control character"},
	{"doubles", BYTES(OF_STORAGE(STORAGE("DoubleStorage", "\x06"))), ENOTSUP, "tensors of torch.DoubleStorage, expected FloatStorage, HalfStorage or BFloat16Storage"},
	{"a type that is none", BYTES(OF_STORAGE(STORAGE("GiantStorage", "\x06"))), EBADMSG, "'torch.GiantStorage' is not a name"},
	{"a dict as a storage's type", BYTES(OF_STORAGE("(" TEXT("\x07", "storage") "ccollections\nOrderedDict\n" "NNNtQ")), EBADMSG, "a storage's key is None, expected a text"},
	{"OrderedDict as a storage's type", BYTES(OF_STORAGE("(" TEXT("\x07", "storage") "ccollections\nOrderedDict\n" TEXT("\x01", "0") TEXT("\x03", "cpu") ONE("\x06") "tQ")), EBADMSG, "a storage of type collections.OrderedDict, expected a storage type"},
	{"a persistent id of another kind", BYTES(OF_STORAGE("(" TEXT("\x06", "module") "NNNNtQ")), EBADMSG, "a persistent id of 5 values, expected ('storage', type, key, location, count)"},
	{"a text as a persistent id", BYTES(OF_STORAGE(TEXT("\x01", "0") "Q")), EBADMSG, "a persistent id is a text, expected a tuple"},
	{"a path as a storage's key", BYTES(OF_STORAGE("(" TEXT("\x07", "storage") "ctorch\nFloatStorage\n" TEXT("\x05", "../pk") TEXT("\x03", "cpu") ONE("\x06") "tQ")), EBADMSG, "tensor 'w': storage key '../pk', expected digits"},
	{"a long storage key", BYTES(OF_STORAGE("(" TEXT("\x07", "storage") "ctorch\nFloatStorage\n" TEXT("\x20", NAME_32) TEXT("\x03", "cpu") ONE("\x06") "tQ")), EBADMSG, "tensor 'w': a storage key of 32 bytes, expected 1 to 31"},
	{"a negative storage", BYTES(OF_STORAGE("(" TEXT("\x07", "storage") "ctorch\nFloatStorage\n" TEXT("\x01", "0") TEXT("\x03", "cpu") "J\xff\xff\xff\xff" "tQ")), EBADMSG, "a storage's count is -1, expected 0 or more"},
	{"an absurd storage", BYTES(OF_STORAGE("(" TEXT("\x07", "storage") "ctorch\nFloatStorage\n" TEXT("\x01", "0") TEXT("\x03", "cpu") "\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f" "tQ")), EBADMSG, "tensor 'w': a storage of 9223372036854775807 weights, expected less than 2^64 bytes"},
	{"few arguments", BYTES(ITEM(REBUILD "NN" PAIR "R")), EBADMSG, "_rebuild_tensor_v2 of 2 arguments, expected 6"},
	{"no storage", BYTES(OF_STORAGE("N")), EBADMSG, "the storage of a tensor is None, expected a storage"},
	{"hooks", BYTES(ITEM(REBUILD "(" STORAGE("FloatStorage", "\x06") ONE("\x00") DIMS_2_3 STRIDES_3_1 FALSE_ "}" TEXT("\x01", "h") "Ns" "tR")), EBADMSG, "backward_hooks is a dict with content, expected None or an empty dict"},
	{"metadata of a tensor", BYTES(ITEM(REBUILD "(" STORAGE("FloatStorage", "\x06") ONE("\x00") DIMS_2_3 STRIDES_3_1 FALSE_ "N}" TEXT("\x04", "conj") "\x88s" "tR")), EBADMSG, "metadata is a dict with content, expected None or an empty dict"},
	{"dims of a text", BYTES(OF(TEXT("\x01", "2"), STRIDES_3_1)), EBADMSG, "the size of a tensor is a text, expected a tuple"},
	{"a dimension of a text", BYTES(OF(TEXT("\x01", "2") ONE("\x03") PAIR, STRIDES_3_1)), EBADMSG, "tensor 'w': x.bin: pickle byte 152: a dimension is a text, expected an integer"},
	{"more strides than dims", BYTES(OF(ONE("\x06") SINGLE, STRIDES_3_1)), EBADMSG, "a tensor of 1 dimensions and 2 strides"},
	{"five dimensions", BYTES(OF("(" ONE("\x01") ONE("\x01") ONE("\x01") ONE("\x01") ONE("\x01") "t", "(" ONE("\x01") ONE("\x01") ONE("\x01") ONE("\x01") ONE("\x01") "t")), ENOTSUP, "tensor 'w': 5 dimensions, expected at most 4"},
	{"a negative dimension", BYTES(OF("J\xff\xff\xff\xff" SINGLE, ONE("\x01") SINGLE)), EBADMSG, "a dimension is -1, expected 0 or more"},
	{"dims whose product wraps", BYTES(OF("\x8a\x05\0\0\0\0\x01" "\x8a\x05\0\0\0\0\x01" PAIR, STRIDES_3_1)), EBADMSG, "tensor 'w': dimension 1 is 4294967296, expected at most 2^63 bytes"},
	{"a transposed tensor", BYTES(OF(DIMS_2_3, ONE("\x01") ONE("\x02") PAIR)), ENOTSUP, "tensor 'w': dimension 1 has stride 2, expected 1: it is not contiguous"},
	{"a gap between rows", BYTES(OF(DIMS_2_3, ONE("\x04") ONE("\x01") PAIR)), ENOTSUP, "tensor 'w': dimension 0 has stride 4, expected 3: it is not contiguous"},
	{"rows that are one row", BYTES(OF(DIMS_2_3, ONE("\x00") ONE("\x01") PAIR)), ENOTSUP, "tensor 'w': dimension 0 has stride 0, expected 3: it is not contiguous"},
	{"past its storage", BYTES(OF_OFFSET(ONE("\x01"))), EBADMSG, "tensor 'w': 24 bytes from weight 1 on, expected them inside storage 0 of 24 bytes"},
	{"an absurd offset", BYTES(OF_OFFSET("\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f")), EBADMSG, "tensor 'w': 24 bytes from weight 9223372036854775807 on, expected them inside"},
	{"a negative offset", BYTES(OF_OFFSET("J\xfe\xff\xff\xff")), EBADMSG, "the offset of a tensor is -2, expected 0 or more"},
};
/* clang-format on */

START_TEST(a_pickle_that_lies_or_calls_is_refused_by_name)
{
	/* On the heap and not a byte longer, so that the sanitizer sees each step too far. */
	unsigned char *copy = malloc(bad[_i].pickle.size ? bad[_i].pickle.size : 1);
	struct pickle_tensors tensors;
	struct err err = {0};
	int code;

	ck_assert_ptr_nonnull(copy);
	memcpy(copy, bad[_i].pickle.at, bad[_i].pickle.size);
	code = pickle_read(&tensors, copy, bad[_i].pickle.size, "x.bin", &err);
	ck_assert_msg(code == bad[_i].code, "%s: code %d, expected %d: %s", bad[_i].why, code,
		      bad[_i].code, err.msg);
	ck_assert_msg(strstr(err.msg, bad[_i].says) && strstr(err.msg, "x.bin: "),
		      "%s\n  said:     %s\n  expected: %s", bad[_i].why, err.msg, bad[_i].says);
	pickle_fini(&tensors);
	free(copy);
}
END_TEST

START_TEST(a_good_pickle_cut_anywhere_is_refused)
{
	for (size_t cut = 0; cut < sizeof(good_pickle) - 1; cut++) {
		unsigned char *copy = malloc(cut + 1);
		struct pickle_tensors tensors;
		struct err err = {0};

		ck_assert_ptr_nonnull(copy);
		memcpy(copy, good_pickle, cut);
		copy = realloc(copy, cut ? cut : 1);
		ck_assert_msg(pickle_read(&tensors, copy, cut, "x.bin", &err) == EBADMSG,
			      "cut at byte %zu: code %d: %s", cut, err.code, err.msg);
		pickle_fini(&tensors);
		free(copy);
	}
}
END_TEST

/* A piece over and over, between a start and an end. */
static void expect_of_many(const char *start, const char *piece, size_t times, const char *says)
{
	size_t start_size = strlen(start), piece_size = strlen(piece);
	size_t size = start_size + piece_size * times + 1;
	unsigned char *pickle = malloc(size);
	struct pickle_tensors tensors;
	struct err err = {0};

	ck_assert_ptr_nonnull(pickle);
	memcpy(pickle, start, start_size);
	for (size_t i = 0; i < times; i++)
		memcpy(pickle + start_size + i * piece_size, piece, piece_size);
	pickle[size - 1] = '.';
	ck_assert_int_eq(pickle_read(&tensors, pickle, size, "x.bin", &err), EBADMSG);
	ck_assert_msg(strstr(err.msg, says), "said: %s", err.msg);
	pickle_fini(&tensors);
	free(pickle);
}

START_TEST(a_pickle_without_measure_meets_a_limit)
{
	expect_of_many("\x80\x02", "N", 100000, "more than 65536 values on the stack");
	expect_of_many("\x80\x02", "(", 100000, "more than 65536 values on the stack");
	expect_of_many("\x80\x02", "NN\x86", 70000, "more than 65536 values on the stack");
	expect_of_many("\x80\x02)", "\x85", 100, "values nested deeper than 32");
	expect_of_many("\x80\x02}", "\x8c\x01xNs", 2000000, "more than 1048576 values in all");
}
END_TEST

#define REST                                                                                       \
	{                                                                                          \
		NULL, {NULL, 0}, 0                                                                 \
	}
#define PKL(name)                                                                                  \
	{                                                                                          \
		name "/data.pkl", {good_pickle, sizeof(good_pickle) - 1}, ZIP_CM_STORE             \
	}
#define STORED(name, literal)                                                                      \
	{                                                                                          \
		name, BYTES(literal), ZIP_CM_STORE                                                 \
	}
#define WEIGHTS                                                                                    \
	{                                                                                          \
		"m/data/0", {weights, sizeof(weights)}, ZIP_CM_STORE                               \
	}

/* clang-format off */
static const struct {
	const char *why;
	struct member members[5];
	int code;
	const char *says;
} archives[] = {
	{"good, to begin with", {PKL("m"), WEIGHTS, REST}, 0, ""},
	{"with a byte order", {PKL("m"), WEIGHTS, STORED("m/byteorder", "little"), REST}, 0, ""},
	{"no pickle", {WEIGHTS, REST}, EBADMSG, "no member */data.pkl, as torch.save() writes it"},
	{"the pickle in no folder", {{"data.pkl", {good_pickle, sizeof(good_pickle) - 1}, ZIP_CM_STORE}, WEIGHTS, REST}, EBADMSG, "no member */data.pkl"},
	{"the pickle two folders down", {PKL("a/b"), WEIGHTS, REST}, EBADMSG, "no member */data.pkl"},
	{"two pickles", {PKL("m"), PKL("n"), WEIGHTS, REST}, EBADMSG, "both m/data.pkl and n/data.pkl, expected one data.pkl"},
	{"a missing storage", {PKL("m"), REST}, EBADMSG, "tensor 'w': member 'm/data/0' is missing, expected its bytes there"},
	{"a storage of another folder", {PKL("m"), STORED("n/data/0", "four by six weights....."), REST}, EBADMSG, "tensor 'w': member 'm/data/0' is missing"},
	{"a short storage", {PKL("m"), STORED("m/data/0", "short"), REST}, EBADMSG, "tensor 'w': member 'm/data/0' has 5 bytes, expected 24"},
	{"a long storage", {PKL("m"), STORED("m/data/0", "four by six weights......"), REST}, EBADMSG, "tensor 'w': member 'm/data/0' has 25 bytes, expected 24"},
	{"a compressed storage", {PKL("m"), {"m/data/0", {weights, sizeof(weights)}, ZIP_CM_DEFLATE}, REST}, ENOTSUP, "member 'm/data/0' is compressed (method 8), expected a stored one"},
	{"a compressed pickle", {{"m/data.pkl", {good_pickle, sizeof(good_pickle) - 1}, ZIP_CM_DEFLATE}, WEIGHTS, REST}, ENOTSUP, "member 'm/data.pkl' is compressed (method 8)"},
	{"big-endian", {PKL("m"), WEIGHTS, STORED("m/byteorder", "big"), REST}, ENOTSUP, "member 'm/byteorder' is not 'little'"},
	{"no byte order", {PKL("m"), WEIGHTS, STORED("m/byteorder", "middle"), REST}, EBADMSG, "member 'm/byteorder' is not 'little'"},
	{"a long byte order", {PKL("m"), WEIGHTS, STORED("m/byteorder", "little little little"), REST}, EBADMSG, "member 'm/byteorder' of 20 bytes, expected at most 16"},
	{"TorchScript", {PKL("m"), STORED("m/constants.pkl", ")."), WEIGHTS, REST}, ENOTSUP, "a TorchScript archive, expected a state dict"},
	{"code in the archive's pickle", {STORED("m/data.pkl", PROTO_2 "cos\nsystem\n" STOP), WEIGHTS, REST}, EBADMSG, "pytorch_model.bin: pickle byte 2: 'os.system' is not a name"},
	{"a tensor twice", {STORED("m/data.pkl", DICT(TEXT("\x01", "w") TENSOR "s" TEXT("\x01", "w") TENSOR "s")), WEIGHTS, REST}, EBADMSG, "tensor 'w' stands twice, expected once"},
	{"no tensor", {STORED("m/data.pkl", DICT("")), REST}, EBADMSG, "holds no tensor"},
};
/* clang-format on */

static void expect(const char *why, int code, const char *says)
{
	struct checkpoint *checkpoint;
	struct err err = {0};
	int got = checkpoint_open(&checkpoint, dir, &err);

	ck_assert_msg(got == code, "%s: code %d, expected %d: %s", why, got, code, err.msg);
	if (code != 0)
		ck_assert_msg(strstr(err.msg, says) && strstr(err.msg, dir),
			      "%s\n  said:     %s\n  expected: %s", why, err.msg, says);
	checkpoint_close(checkpoint);
}

START_TEST(an_archive_that_lies_is_refused_by_name)
{
	zip_spit("pytorch_model.bin", archives[_i].members);
	expect(archives[_i].why, archives[_i].code, archives[_i].says);
}
END_TEST

/* clang-format off */
static const struct {
	const char *why;
	struct bytes file;
	int code;
	const char *says;
} raw[] = {
	{"an empty file", BYTES(""), EBADMSG, "0 bytes, expected a zip archive: the file is cut off"},
	{"a bare pickle", BYTES("\x80\x02\x8a\nl\xfc\x9c" "F\xf9 j\xa8P\x19."), ENOTSUP, "a bare pickle, as PyTorch wrote before 1.6, expected a zip archive: load it with a newer PyTorch and save it again"},
	{"a tar archive", BYTES("pickle\0\0\0\0\0\0\0\0"), EBADMSG, "begins with bytes 70 69 63 6b, expected a zip archive (50 4b 03 04)"},
	{"a gzip file", BYTES("\x1f\x8b\x08\x00\x00\x00\x00\x00"), EBADMSG, "begins with bytes 1f 8b 08 00, expected a zip archive"},
	{"an empty archive", BYTES("PK\5\6\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"), EBADMSG, "begins with bytes 50 4b 05 06, expected a zip archive"},
	{"only a zip's beginning", BYTES("PK\3\4\0\0\0\0\0\0\0\0"), EBADMSG, "no whole zip archive: Not a zip archive"},
	{"a Git LFS pointer", BYTES("version https://git-lfs.github.com/spec/v1\n"), EBADMSG, "a Git LFS pointer, expected the file it stands for (git lfs pull)"},
};
/* clang-format on */

START_TEST(a_file_that_is_none_is_told)
{
	file_spit("pytorch_model.bin", raw[_i].file.at, raw[_i].file.size);
	expect(raw[_i].why, raw[_i].code, raw[_i].says);
}
END_TEST

/* clang-format off */
static const struct {
	const char *folder;
	int code;
	const char *says;
} fixtures[] = {
	{"torch-legacy", ENOTSUP, "a bare pickle, as PyTorch wrote before 1.6"},
	{"torch-transposed", ENOTSUP, "tensor 'w': dimension 1 has stride 6, expected 1: it is not contiguous"},
	{"torch-int64", ENOTSUP, "tensors of torch.LongStorage, expected FloatStorage"},
	{"torch-training", EBADMSG, "'model' is a dict, expected a tensor"},
	{"torch-object", EBADMSG, "'torch.nn.modules.linear.Linear' is not a name that a state dict needs: refused"},
};
/* clang-format on */

START_TEST(what_torch_saves_besides_is_refused_by_name)
{
	char path[FILES_PATH];

	snprintf(path, sizeof(path), "%s/%s/pytorch_model.bin", FIXTURES, fixtures[_i].folder);
	file_copy(path, "pytorch_model.bin");
	expect(fixtures[_i].folder, fixtures[_i].code, fixtures[_i].says);
}
END_TEST

START_TEST(an_archive_cut_anywhere_is_refused)
{
	size_t size;
	unsigned char *file = file_slurp(FIXTURES "/torch-module/pytorch_model.bin", &size);

	for (size_t cut = 0; cut < size; cut += 3) {
		struct checkpoint *checkpoint;
		struct err err = {0};

		file_spit("pytorch_model.bin", file, cut);
		ck_assert_msg(checkpoint_open(&checkpoint, dir, &err) == EBADMSG,
			      "cut at byte %zu: code %d: %s", cut, err.code, err.msg);
	}
	free(file);
}
END_TEST

static size_t find(const unsigned char *file, size_t size, const char *what, size_t from)
{
	for (size_t i = from; i + strlen(what) <= size; i++)
		if (memcmp(file + i, what, strlen(what)) == 0)
			return i;
	ck_abort_msg("no '%s' in the file", what);
}

START_TEST(a_member_that_stands_twice_is_refused)
{
	const struct member members[] = {PKL("m"), WEIGHTS, STORED("m/data/1", "x"), REST};
	size_t size, at = 0;
	unsigned char *file;

	zip_spit("pytorch_model.bin", members);
	file = file_slurp(file_path("pytorch_model.bin"), &size);
	for (unsigned i = 0; i < 2; i++) { /* in its own header and in the directory */
		at = find(file, size, "m/data/1", at);
		file[at + 7] = '0';
	}
	file_spit("pytorch_model.bin", file, size);
	free(file);
	expect("a name twice", EBADMSG, "no whole zip archive: a member's name stands twice");
}
END_TEST

/* A bit of the weights flips: the archive's checksum tells, once they are read whole. */
START_TEST(a_flipped_bit_in_an_archive_is_told)
{
	const struct member members[] = {PKL("m"), WEIGHTS, REST};
	struct checkpoint *checkpoint;
	unsigned char bytes[24];
	unsigned char *file;
	struct err err = {0};
	size_t size;

	zip_spit("pytorch_model.bin", members);
	file = file_slurp(file_path("pytorch_model.bin"), &size);
	file[find(file, size, "four by", 0)] ^= 1;
	file_spit("pytorch_model.bin", file, size);
	ck_ok(checkpoint_open(&checkpoint, dir, &err));
	ck_assert_int_eq(checkpoint_read(checkpoint, checkpoint_tensor_at(checkpoint, 0), 0, bytes,
					 24, &err),
			 EBADMSG);
	ck_assert_msg(strstr(err.msg, "tensor 'w': ") &&
			      strstr(err.msg, "member 'm/data/0': its bytes do not match"),
		      "said: %s", err.msg);
	checkpoint_close(checkpoint);
	file[find(file, size, "_rebuild", 0) + 3] ^= 1;
	file_spit("pytorch_model.bin", file, size);
	free(file);
	expect("a bit of the pickle", EBADMSG,
	       "member 'm/data.pkl': its bytes do not match its checksum");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("bad_torch");
	TCase *tcase = tcase_create("bad_torch");

	tcase_add_checked_fixture(tcase, files_setup, files_teardown);
	tcase_add_test(tcase, a_good_pickle_is_read);
	tcase_add_loop_test(tcase, a_pickle_that_lies_or_calls_is_refused_by_name, 0,
			    sizeof(bad) / sizeof(bad[0]));
	tcase_add_test(tcase, a_good_pickle_cut_anywhere_is_refused);
	tcase_add_test(tcase, a_pickle_without_measure_meets_a_limit);
	tcase_add_loop_test(tcase, an_archive_that_lies_is_refused_by_name, 0,
			    sizeof(archives) / sizeof(archives[0]));
	tcase_add_loop_test(tcase, a_file_that_is_none_is_told, 0, sizeof(raw) / sizeof(raw[0]));
	tcase_add_loop_test(tcase, what_torch_saves_besides_is_refused_by_name, 0,
			    sizeof(fixtures) / sizeof(fixtures[0]));
	tcase_add_test(tcase, an_archive_cut_anywhere_is_refused);
	tcase_add_test(tcase, a_member_that_stands_twice_is_refused);
	tcase_add_test(tcase, a_flipped_bit_in_an_archive_is_told);
	tcase_set_timeout(tcase, 30);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
