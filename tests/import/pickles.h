/* SPDX-License-Identifier: GPL-3.0-or-later */
/* pickles.h - pickles put together by hand, opcode by opcode, as literals
 *
 * Small lengths and numbers only, so that one byte says them.  A byte in hexadecimal ends its
 * literal, since a letter behind it would become part of it. */
#ifndef TEST_IMPORT_PICKLES_H
#define TEST_IMPORT_PICKLES_H

#define PROTO_2 "\x80\x02"
/* SHORT_BINUNICODE: a text and its length as one byte. */
#define TEXT(length, text) "\x8c" length text
#define ONE(byte)	   "K" byte /* BININT1 */
#define PAIR		   "\x86"   /* TUPLE2 */
#define SINGLE		   "\x85"   /* TUPLE1 */
#define ORDERED_DICT	   "ccollections\nOrderedDict\n)R"
#define FALSE_		   "\x89"
#define STOP		   "."

/* A persistent id: storage '0' of 'count' weights. */
#define STORAGE(type, count)                                                                       \
	"(" TEXT("\x07", "storage") "ctorch\n" type "\n" TEXT("\x01", "0") TEXT("\x03", "cpu")     \
		ONE(count) "tQ"
#define REBUILD "ctorch._utils\n_rebuild_tensor_v2\n"
/* What _rebuild_tensor_v2 is called with; 'dims' and 'strides' are tuples. */
#define TENSOR_OF(storage, offset, dims, strides)                                                  \
	REBUILD "(" storage offset dims strides FALSE_ ORDERED_DICT "tR"
/* 2 x 3 weights of 32 bits that fill their storage. */
#define DIMS_2_3    ONE("\x02") ONE("\x03") PAIR
#define STRIDES_3_1 ONE("\x03") ONE("\x01") PAIR
#define TENSOR	    TENSOR_OF(STORAGE("FloatStorage", "\x06"), ONE("\x00"), DIMS_2_3, STRIDES_3_1)

#define GOOD_PICKLE PROTO_2 ORDERED_DICT TEXT("\x01", "w") TENSOR "s" STOP

#endif
