/* SPDX-License-Identifier: GPL-3.0-or-later */
/* live_session.h - what `generate` and `score` share: options, and a model opened by them */
#ifndef FLASH_LIVE_SESSION_H
#define FLASH_LIVE_SESSION_H

#include "args.h"
#include "json_out.h"
#include "live.h"
#include "tokenizer.h"

struct live_args {
	const char *policy, *device, *tokens, *dram;
	struct arg_list sets;
	uint64_t ctx, threads, seed;
	bool json;
};

/* The shared rows of a verb's option table; 'got' is a struct live_args. */
#define LIVE_OPTS(got)                                                                               \
	{"tokens", 't',                                                                              \
	 OPT_TEXT, &(got).tokens,                                                                    \
	 "IDS",	   "token ids, comma-separated, instead of text",                                    \
	 0,	   0},                                                                               \
		{"policy", 0,                                                                        \
		 OPT_TEXT, &(got).policy,                                                            \
		 "POLICY", "a policy by name or YAML; default resident (all in DRAM)",               \
		 0,	   0},                                                                       \
		{"set",	      's',                                                                   \
		 OPT_LIST,    &(got).sets,                                                           \
		 "KEY=VALUE", "overlay a key of the policy; may be repeated",                        \
		 0,	      0},                                                                    \
		{"device", 0,                                                                        \
		 OPT_TEXT, &(got).device,                                                            \
		 "DEVICE", "read from an emulated device; default the disk under MODEL",             \
		 0,	   0},                                                                       \
		{"dram",                                                                             \
		 0,                                                                                  \
		 OPT_TEXT,                                                                           \
		 &(got).dram,                                                                        \
		 "SIZE",                                                                             \
		 "budget for all that the process holds: 6.7GiB, or 50% of the parameters' bytes",   \
		 0,                                                                                  \
		 0},                                                                                 \
		{"ctx", 'c', OPT_COUNT, &(got).ctx, "N", "positions that the KV cache holds", 0, 1}, \
		{"threads", 0, OPT_COUNT, &(got).threads, "N", "compute threads; default all cores", \
		 0,	    1},                                                                      \
		{"seed", 0, OPT_COUNT, &(got).seed, "N", "of every random choice; default 1", 0, 0}, \
	{                                                                                            \
		"json", 0, OPT_FLAG, &(got).json, NULL, "one JSON object instead of text", 0, 0      \
	}

struct live_session {
	struct policy_config config;
	struct real_target target;
	struct live_shape shape;
	struct tokenizer *tokenizer; /* NULL: the model has none */
	struct live *live;	     /* after live_session_start() */
	uint64_t budget_bytes;	     /* --dram; 0 without */
};

/* Look at the model's files: geometry, policy, target, tokenizer.  'dir' is MODEL. */
MUST_CHECK int live_session_open(struct live_session *session, const char *dir,
				 const struct live_args *args, struct err *err);
/* Load it, for prompts of up to 'prompt_most' tokens in a context of 'ctx'. */
MUST_CHECK int live_session_start(struct live_session *session, const char *dir,
				  const struct live_args *args, uint32_t prompt_most, uint64_t ctx,
				  struct err *err);
void live_session_close(struct live_session *session); /* zeroed is fine */

/* The tokenizer of a model's files; NULL where they hold none. */
MUST_CHECK int model_tokenizer_read(struct tokenizer **tokenizer, const char *dir, struct err *err);

/* The process's peak beside its budget: a line, or members of a JSON object. */
void live_session_memory(FILE *out, const struct live_session *session);
void live_session_put_memory(struct json *json, const struct live_session *session);

/* "5,7,9"; *ids is the caller's to free(). EINVAL names the piece. */
MUST_CHECK int token_list_read(uint32_t **ids, size_t *count, const char *text, struct err *err);
/* The ids that --tokens or 'text' (may be NULL) name; text needs the model's tokenizer. */
MUST_CHECK int live_session_ids(const struct live_session *session, uint32_t **ids, size_t *count,
				const char *tokens, const char *text, size_t bytes,
				struct err *err);

#endif
