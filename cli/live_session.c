/* SPDX-License-Identifier: GPL-3.0-or-later */
/* live_session.c - from the command line to a live model */
#include "live_session.h"

#include "cli.h"
#include "configs.h"
#include "cores.h"
#include "gguf.h"
#include "real_files.h"
#include "real_inspect.h"
#include "real_probe.h"
#include "yaml.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static int read_policy(struct policy_config *config, const struct live_args *args, struct err *err)
{
	struct ynode *map = NULL;

	if (config_load(&map, CONFIG_POLICY, args->policy ? args->policy : "resident", err))
		return err->code;
	for (size_t i = 0; i < args->sets.count && !err->code; i++)
		if (ynode_set_arg(map, args->sets.items[i], err))
			break;
	if (!err->code)
		(void)!policy_config_read(config, map, err);
	ynode_free(map);
	return err->code;
}

int model_tokenizer_read(struct tokenizer **tokenizer, const char *dir, struct err *err)
{
	struct gguf *gguf = NULL;
	char *path = file_path(dir, NULL);

	if (!path)
		return err_nomem(err, "a file's name", strlen(dir));
	if (!gguf_open(&gguf, path, err) && tokenizer_read_gguf(tokenizer, gguf, err) == ENOENT)
		*err = (struct err){0}; /* --tokens works without one */
	gguf_close(gguf);
	free(path);
	return err->code;
}

int live_session_open(struct live_session *session, const char *dir, const struct live_args *args,
		      struct err *err)
{
	memset(session, 0, sizeof(*session));
	if (read_policy(&session->config, args, err) ||
	    target_load(&session->target, args->device, err))
		return err->code;
	if (live_shape_read(&session->shape, dir, &session->config, err))
		return model_hint(dir, err);
	return model_tokenizer_read(&session->tokenizer, dir, err);
}

/* "6.7GiB", or "50%" of the unpadded parameters. */
static int read_budget(struct live_session *session, const char *text, struct err *err)
{
	double value;

	if (text[0] && text[strlen(text) - 1] == '%') {
		if (unit_parse(&value, text, DIM_FRAC, err))
			return err_where(err, "--dram");
		value *= (double)model_param_bytes(&session->shape.model, session->shape.weights);
	} else if (unit_parse(&value, text, DIM_BYTES, err)) {
		return err_where(err, "--dram");
	}
	if (!(value >= 1))
		return err_set(err, EINVAL, "--dram: got %s, expected more than nothing", text);
	session->budget_bytes = (uint64_t)value;
	return 0;
}

int live_session_start(struct live_session *session, const char *dir, const struct live_args *args,
		       uint32_t prompt_most, uint64_t ctx, struct err *err)
{
	struct live_options options = {
		.model_dir = dir,
		.shape = &session->shape,
		.config = &session->config,
		.target = &session->target,
		.ctx = ctx,
		.prompt_most = prompt_most,
		.threads = args->threads ? (unsigned)args->threads : cores_usable(),
		.seed = args->seed,
	};

	/* Only a policy that nobody asked for may be changed beyond its cap. */
	if (args->dram &&
	    (read_budget(session, args->dram, err) ||
	     live_fit(&options, &session->config, !args->policy, session->budget_bytes, err)))
		return err->code;
	return live_open(&session->live, &options, err);
}

void live_session_memory(FILE *out, const struct live_session *session)
{
	const uint64_t twin_bytes = live_twin_bytes(session->live);
	char text[32];

	fprintf(out, "DRAM        peak %s",
		unit_human(text, sizeof(text), (double)host_peak_bytes(), DIM_BYTES));
	if (session->budget_bytes)
		fprintf(out, " of a budget of %s",
			unit_human(text, sizeof(text), (double)session->budget_bytes, DIM_BYTES));
	if (twin_bytes)
		fprintf(out,
			"; %s of the peak is the oracle's dense twin, outside budget and clock",
			unit_human(text, sizeof(text), (double)twin_bytes, DIM_BYTES));
	fputc('\n', out);
}

void live_session_put_memory(struct json *json, const struct live_session *session)
{
	json_put_count(json, "dram_peak_bytes", host_peak_bytes());
	if (session->budget_bytes)
		json_put_count(json, "dram_budget_bytes", session->budget_bytes);
	else
		json_put_null(json, "dram_budget_bytes");
	json_put_count(json, "oracle_twin_bytes", live_twin_bytes(session->live));
}

void live_session_close(struct live_session *session)
{
	live_close(session->live);
	tokenizer_close(session->tokenizer);
	memset(session, 0, sizeof(*session));
}

int token_list_read(uint32_t **ids, size_t *count, const char *text, struct err *err)
{
	size_t room = 1;
	uint32_t *list;

	for (const char *c = text; *c; c++)
		room += *c == ',';
	*count = 0;
	*ids = list = malloc(room * sizeof(*list));
	if (!list)
		return err_nomem(err, "token ids", room * sizeof(*list));
	for (const char *at = text;; at++) {
		size_t length = strcspn(at, ",");
		char *end;
		unsigned long long id;

		errno = 0;
		id = strtoull(at, &end, 10);
		if (length == 0 || *at < '0' || *at > '9' || end != at + length || errno ||
		    id > UINT32_MAX) {
			err_set(err, EINVAL,
				"--tokens: got '%.*s' as id %zu, expected whole numbers with "
				"commas between",
				(int)(length < 40 ? length : 40), at, *count + 1);
			free(list);
			*ids = NULL;
			return err->code;
		}
		list[(*count)++] = (uint32_t)id;
		at += length;
		if (!*at)
			return 0;
	}
}

int live_session_ids(const struct live_session *session, uint32_t **ids, size_t *count,
		     const char *tokens, const char *text, size_t bytes, struct err *err)
{
	if (tokens && text)
		return err_set(err, EINVAL, "both --tokens and text were given");
	if (tokens)
		return token_list_read(ids, count, tokens, err);
	if (!session->tokenizer)
		return err_set(err, EINVAL,
			       "model '%s' holds no tokenizer: give token ids with --tokens",
			       session->shape.model.name);
	return tokenizer_encode(session->tokenizer, text ? text : "", bytes, true, ids, count, err);
}
