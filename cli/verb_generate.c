/* SPDX-License-Identifier: GPL-3.0-or-later */
/* verb_generate.c - `generate`: text by the policy, streamed, then what it cost */
#include "cli.h"

#include "latency_table.h"
#include "live_session.h"
#include "plain_text.h"
#include "sampler.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct generate_args {
	struct live_args live;
	const char *prompt;
	uint64_t count;
	double temperature, top_p;
	bool ignore_end;
};

struct generation {
	const struct generate_args *args;
	struct live_session session;
	struct sampler sampler;
	struct latency_table table;
	uint32_t *prompt;
	size_t prompt_count;
	uint32_t *made; /* [args->count] */
	size_t made_count;
	struct books first;	  /* of the prompt's pass */
	const char *ended;	  /* why: "count", "end of text", "context full", "interrupted" */
	struct plain_stream text; /* of tokens, where somebody looks on; .out NULL: as it is */
};

/* Set by ctrl-C; looked at between tokens. */
static volatile sig_atomic_t interrupted;

static void on_interrupt(int signal)
{
	(void)signal;
	interrupted = 1;
}

static void catch_interrupt(void)
{
	struct sigaction action = {.sa_handler = on_interrupt};

	sigemptyset(&action.sa_mask);
	action.sa_flags = SA_RESTART | (int)SA_RESETHAND; /* a second one kills */
	sigaction(SIGINT, &action, NULL);
}

/* A character may be spread over several tokens.  A vocabulary is not to command a terminal; a file
 * gets the bytes as they are.  A matrix may have more rows than the tokenizer has tokens (OPT's has
 * 7): such an id is shown as itself. */
static void show(struct generation *g, uint32_t id)
{
	struct err no_token = {0};
	const char *bytes;
	size_t count;

	if (g->args->live.json)
		return;
	if (!g->session.tokenizer)
		printf("%s%" PRIu32, g->made_count > 1 ? "," : "", id);
	else if (tokenizer_token(g->session.tokenizer, id, &bytes, &count, &no_token))
		printf("<%" PRIu32 ">", id);
	else if (g->text.out)
		plain_put(&g->text, bytes, count);
	else
		fwrite(bytes, 1, count, stdout);
	fflush(stdout);
}

static bool is_end(const struct generation *g, uint32_t id)
{
	uint32_t end;

	return !g->args->ignore_end && g->session.tokenizer &&
	       tokenizer_eos(g->session.tokenizer, &end) && id == end;
}

static int decode_all(struct generation *g, uint64_t ctx, struct err *err)
{
	struct live *live = g->session.live;

	for (;;) {
		uint32_t id = sampler_pick(&g->sampler, live_logits(live));
		struct books books;

		g->ended = "end of text";
		if (is_end(g, id))
			return 0;
		g->made[g->made_count++] = id;
		show(g, id);
		g->ended = interrupted ? "interrupted" : "count";
		if (interrupted || g->made_count == g->args->count)
			return 0;
		g->ended = "context full";
		if (live_position(live) == ctx)
			return 0;
		if (live_decode(live, id, &books, err) || latency_add(&g->table, &books, err))
			return err->code;
	}
}

static int start(struct generation *g, const char *dir, uint64_t *ctx, struct err *err)
{
	const struct live_args *args = &g->args->live;
	const char *prompt = g->args->prompt;

	if (!prompt && !args->tokens)
		return err_set(err, EINVAL, "no prompt: give -p TEXT or --tokens IDS");
	if (live_session_open(&g->session, dir, args, err) ||
	    live_session_ids(&g->session, &g->prompt, &g->prompt_count, args->tokens, prompt,
			     prompt ? strlen(prompt) : 0, err))
		return err->code;
	if (g->prompt_count == 0)
		return err_set(err, EINVAL, "the prompt is empty");
	*ctx = args->ctx ? args->ctx : g->prompt_count + g->args->count;
	if (!args->ctx && *ctx > g->session.shape.model.position_count)
		*ctx = g->session.shape.model.position_count;
	if (g->prompt_count > *ctx)
		return err_set(err, EINVAL, "the prompt has %zu tokens, the context holds %" PRIu64,
			       g->prompt_count, *ctx);
	g->made = calloc(g->args->count, sizeof(*g->made));
	if (!g->made)
		return err_nomem(err, "tokens", g->args->count * sizeof(*g->made));
	if (sampler_open(&g->sampler, g->session.shape.model.vocab_count, g->args->temperature,
			 g->args->top_p, args->seed, err))
		return err->code;
	return live_session_start(&g->session, dir, args, (uint32_t)g->prompt_count, *ctx, err);
}

static void print_text(struct generation *g)
{
	if (g->text.out)
		plain_end(&g->text);
	printf("\n\nprompt      %zu tokens, first token after %.3f ms (%.3f MB read)\n",
	       g->prompt_count, (double)g->first.total_ns / 1e6, (double)g->first.read_bytes / 1e6);
	printf("made        %zu tokens, ended by: %s\n", g->made_count, g->ended);
	latency_print(stdout, &g->table);
	live_session_memory(stdout, &g->session);
}

static void put_ids(struct json *json, const char *key, const uint32_t *ids, size_t count)
{
	json_put_list(json, key);
	for (size_t i = 0; i < count; i++)
		json_put_count(json, NULL, ids[i]);
	json_put_end(json);
}

static void print_json(const struct generation *g)
{
	struct json json = {.out = stdout};

	json_put_object(&json, NULL);
	json_put_text(&json, "model", g->session.shape.model.name);
	put_ids(&json, "prompt_tokens", g->prompt, g->prompt_count);
	put_ids(&json, "tokens", g->made, g->made_count);
	json_put_text(&json, "ended", g->ended);
	json_put_count(&json, "first_token_ns", g->first.total_ns);
	json_put_count(&json, "first_token_read_bytes", g->first.read_bytes);
	latency_put_json(&json, &g->table);
	live_session_put_memory(&json, &g->session);
	json_put_end(&json);
}

static int run_generate(const struct generate_args *args, const char *dir, struct err *err)
{
	struct generation g = {.args = args, .text = {.keeps_lines = true}};
	uint64_t ctx;

	if (isatty(STDOUT_FILENO))
		g.text.out = stdout;
	if (!start(&g, dir, &ctx, err)) {
		catch_interrupt();
		if (!live_prefill(g.session.live, g.prompt, (uint32_t)g.prompt_count, &g.first,
				  err) &&
		    !decode_all(&g, ctx, err)) {
			if (args->live.json)
				print_json(&g);
			else
				print_text(&g);
		}
	}
	latency_fini(&g.table);
	sampler_close(&g.sampler);
	live_session_close(&g.session);
	free(g.prompt);
	free(g.made);
	return err->code;
}

int verb_generate(int argc, char **argv, struct err *err)
{
	struct generate_args got = {.live = {.seed = 1}, .count = 64, .top_p = 1};
	const struct opt opts[] = {
		{"prompt", 'p', OPT_TEXT, &got.prompt, "TEXT", "what the model goes on from", 0, 0},
		LIVE_OPTS(got.live),
		{"count", 'n', OPT_COUNT, &got.count, "N", "tokens to make at most; default 64", 0,
		 1},
		{"temperature", 0, OPT_UNIT, &got.temperature, "T",
		 "0: always the likeliest token (default)", DIM_NONE, 0},
		{"top-p", 0, OPT_UNIT, &got.top_p, "P",
		 "draw from the likeliest tokens that make up this share; default 1", DIM_FRAC, 0},
		{"ignore-end", 0, OPT_FLAG, &got.ignore_end, NULL,
		 "go on past the model's end of text", 0, 0},
	};
	const struct verb_spec spec = {
		.usage = "generate MODEL (-p TEXT | --tokens IDS) [-n N] [OPTIONS]",
		.about = "Goes on from a prompt, with weights read from flash as the policy says, "
			 "and prints what each token cost.\n"
			 "Ctrl-C ends it after the token at hand.",
		.opts = opts,
		.opt_count = sizeof(opts) / sizeof(opts[0]),
		.operands_least = 1,
		.operands_most = 1,
	};
	struct args args;

	if (!args_parse(&args, &spec, argc, argv, err) && !args.helped)
		(void)!run_generate(&got, args.operands.items[0], err);
	args_fini(&args, &spec);
	return err->code;
}
