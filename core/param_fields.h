/* SPDX-License-Identifier: GPL-3.0-or-later */
/* param_fields.h - rows of a *_params.h become struct members (no include guard: read many times) */
#define U64(name, dim, min, max, dflt, help) uint64_t name;
#define U64W(name, dim, min, max, words, dflt, help) uint64_t name;
#define F64(name, dim, min, max, dflt, help) double name;
#define WORD(name, words, dflt, help)        unsigned name;
#define BOOL(name, dflt, help)               bool name;
#define STR(name, dflt, help)                char name[PARAM_STR];
