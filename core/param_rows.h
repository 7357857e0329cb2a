/* SPDX-License-Identifier: GPL-3.0-or-later */
/* param_rows.h - rows of a *_params.h become struct param initialisers; PARAM_OWNER names the struct */
#define U64(name, dim, min, max, dflt, help)                                                       \
	{#name, PARAM_U64, dim, offsetof(struct PARAM_OWNER, name), min, max, NULL, dflt, help},
#define U64W(name, dim, min, max, words, dflt, help)                                               \
	{#name, PARAM_U64, dim, offsetof(struct PARAM_OWNER, name), min, max, words, dflt, help},
#define F64(name, dim, min, max, dflt, help)                                                       \
	{#name, PARAM_F64, dim, offsetof(struct PARAM_OWNER, name), min, max, NULL, dflt, help},
#define WORD(name, words, dflt, help)                                                              \
	{#name, PARAM_WORD, DIM_NONE, offsetof(struct PARAM_OWNER, name), 0, 0, words, dflt, help},
#define BOOL(name, dflt, help)                                                                     \
	{#name, PARAM_BOOL, DIM_NONE, offsetof(struct PARAM_OWNER, name), 0, 1, NULL, dflt, help},
#define STR(name, dflt, help)                                                                      \
	{#name, PARAM_TEXT, DIM_NONE, offsetof(struct PARAM_OWNER, name), 0, 0, NULL, dflt, help},
