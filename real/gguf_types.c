/* SPDX-License-Identifier: GPL-3.0-or-later */
/* gguf_types.c - the tensor types that GGUF files name, ours and others', and what they take */
#include "gguf.h"

/* Quantised types hold a block of elements in a block of bytes.  Numbers that are not here were
 * withdrawn from the format or are newer than this table. */
static const struct {
	const char *name;
	uint16_t elements, bytes; /* of one block */
} types[] = {
	// clang-format off
	[GGUF_F32]  = {"f32", 1, 4},
	[GGUF_F16]  = {"f16", 1, 2},
	[2]         = {"Q4_0", 32, 18},
	[3]         = {"Q4_1", 32, 20},
	[6]         = {"Q5_0", 32, 22},
	[7]         = {"Q5_1", 32, 24},
	[8]         = {"Q8_0", 32, 34},
	[9]         = {"Q8_1", 32, 36},
	[10]        = {"Q2_K", 256, 84},
	[11]        = {"Q3_K", 256, 110},
	[12]        = {"Q4_K", 256, 144},
	[13]        = {"Q5_K", 256, 176},
	[14]        = {"Q6_K", 256, 210},
	[15]        = {"Q8_K", 256, 292},
	[16]        = {"IQ2_XXS", 256, 66},
	[17]        = {"IQ2_XS", 256, 74},
	[18]        = {"IQ3_XXS", 256, 98},
	[19]        = {"IQ1_S", 256, 50},
	[20]        = {"IQ4_NL", 32, 18},
	[21]        = {"IQ3_S", 256, 110},
	[22]        = {"IQ2_S", 256, 82},
	[23]        = {"IQ4_XS", 256, 136},
	[24]        = {"I8", 1, 1},
	[25]        = {"I16", 1, 2},
	[26]        = {"I32", 1, 4},
	[27]        = {"I64", 1, 8},
	[28]        = {"F64", 1, 8},
	[29]        = {"IQ1_M", 256, 56},
	[GGUF_BF16] = {"bf16", 1, 2},
	[34]        = {"TQ1_0", 256, 54},
	[35]        = {"TQ2_0", 256, 66},
	[39]        = {"MXFP4", 32, 17},
	// clang-format on
};

const char *gguf_type_name(uint64_t type)
{
	return type < sizeof(types) / sizeof(types[0]) ? types[type].name : NULL;
}

uint32_t gguf_type_bytes(uint64_t type)
{
	return type == GGUF_F32 || type == GGUF_F16 || type == GGUF_BF16 ? types[type].bytes : 0;
}

bool gguf_type_block(uint64_t type, uint64_t *elements, uint64_t *bytes)
{
	if (!gguf_type_name(type))
		return false;
	*elements = types[type].elements;
	*bytes = types[type].bytes;
	return true;
}
