/* SPDX-License-Identifier: GPL-3.0-or-later */
/* bench_decode.c - `bench decode`: tokens a second of all-resident decoding, beside llama.cpp's
 * llama-bench on the same weights
 *
 * Both run in turns, each in a process of its own that loads, warms up and decodes, so that what else
 * the host does falls on both; who goes first changes from pair to pair.  The ratio is the median of
 * the pairs' ratios. */
#define _GNU_SOURCE
#include "bench_decode.h"

#include "args.h"
#include "cores.h"
#include "json_out.h"
#include "order.h"
#include "program_run.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PAIRS_MOST = 1000, OUTPUT_MOST = 1 << 20 };

struct decode_args {
	const char *peer, *peer_model;
	uint64_t threads, tokens, pairs;
	bool json;
};

/* Run a program and keep what it prints. */
static int run_program(const char *const *argv, char *output, size_t size, struct err *err)
{
	const struct program program = {.argv = argv};

	return program_run(&program, output, size, err);
}

/* A number of a JSON text: of an object, or of the first object of a list, by key and perhaps a key
 * inside. */
static int json_number_at(double *value, const char *text, const char *key, const char *inner,
			  const char *whose, struct err *err)
{
	json_t *root = json_loads(text, 0, NULL), *at = root;

	if (json_is_array(at))
		at = json_array_get(at, 0);
	at = json_object_get(at, key);
	if (inner)
		at = json_object_get(at, inner);
	if (json_is_number(at))
		*value = json_number_value(at);
	else
		err_set(err, EBADMSG, "%s: no number '%s' in what it printed, expected JSON", whose,
			key);
	json_decref(root);
	return err->code;
}

struct decode_bench {
	const struct decode_args *args;
	const char *model;
	char self[4096]; /* this program */
	char threads[24], count[24];
	char *output;
};

static int run_ours(double *tokens_per_s, const struct decode_bench *b, struct err *err)
{
	const char *const argv[] = {b->self,	"generate", b->model,	    "--tokens",
				    "1",	"-n",	    b->count,	    "--threads",
				    b->threads, "--json",   "--ignore-end", NULL};
	double ns = 0;

	if (run_program(argv, b->output, OUTPUT_MOST, err) ||
	    json_number_at(&ns, b->output, "total_ns", "mean", "flashcast generate", err))
		return err->code;
	*tokens_per_s = 1e9 / ns;
	return 0;
}

static int run_peer(double *tokens_per_s, const struct decode_bench *b, struct err *err)
{
	char tokens[24];
	const char *const argv[] = {b->args->peer, "-m",       b->args->peer_model,
				    "-t",	   b->threads, "-p",
				    "0",	   "-n",       tokens,
				    "-r",	   "1",	       "-o",
				    "json",	   NULL};

	snprintf(tokens, sizeof(tokens), "%" PRIu64, b->args->tokens);
	if (run_program(argv, b->output, OUTPUT_MOST, err))
		return err->code;
	return json_number_at(tokens_per_s, b->output, "avg_ts", NULL, b->args->peer, err);
}

static void print_result(const struct decode_bench *b, double *ours, double *peers, double *ratios)
{
	const size_t pairs = b->args->pairs;
	const struct order_interval ratio = order_median_interval(ratios, pairs);
	const struct order_interval our = order_median_interval(ours, pairs);
	const struct order_interval peer = order_median_interval(peers, pairs);
	struct json json = {.out = stdout};

	if (!b->args->json) {
		printf("%s threads, %" PRIu64 " tokens, %zu pairs: %.2f tokens/s (%.2f to %.2f), "
		       "peer %.2f (%.2f to %.2f); ratio %.3f, 95 %% %.3f to %.3f\n",
		       b->threads, b->args->tokens, pairs, our.median, our.low, our.high,
		       peer.median, peer.low, peer.high, ratio.median, ratio.low, ratio.high);
		return;
	}
	json_put_object(&json, NULL);
	json_put_text(&json, "model", b->model);
	json_put_text(&json, "peer", b->args->peer);
	json_put_text(&json, "threads", b->threads);
	json_put_count(&json, "tokens", b->args->tokens);
	json_put_count(&json, "pairs", pairs);
	json_put_number(&json, "tokens_per_s", our.median);
	json_put_number(&json, "peer_tokens_per_s", peer.median);
	json_put_number(&json, "ratio", ratio.median);
	json_put_number(&json, "ratio_low", ratio.low);
	json_put_number(&json, "ratio_high", ratio.high);
	json_put_end(&json);
}

static int run_pairs(const struct decode_bench *b, struct err *err)
{
	double ours[PAIRS_MOST], peers[PAIRS_MOST], ratios[PAIRS_MOST];

	for (size_t pair = 0; pair < b->args->pairs; pair++) {
		for (size_t turn = 0; turn < 2; turn++)
			if ((pair + turn) % 2 ? run_peer(&peers[pair], b, err)
					      : run_ours(&ours[pair], b, err))
				return err->code;
		ratios[pair] = ours[pair] / peers[pair];
	}
	print_result(b, ours, peers, ratios);
	return 0;
}

static int run_decode(const struct decode_args *args, const char *model, struct err *err)
{
	struct decode_bench b = {.args = args, .model = model};
	ssize_t length = readlink("/proc/self/exe", b.self, sizeof(b.self) - 1);

	if (!args->peer || !args->peer_model)
		return err_set(err, EINVAL,
			       "--peer LLAMA-BENCH and --peer-model FILE.gguf are needed");
	if (args->pairs > PAIRS_MOST)
		return err_set(err, EINVAL, "--pairs: got %" PRIu64 ", expected at most %d",
			       args->pairs, PAIRS_MOST);
	if (length < 0)
		return err_errno(err, "where this program is");
	b.output = malloc(OUTPUT_MOST);
	if (!b.output)
		return err_nomem(err, "output", OUTPUT_MOST);
	snprintf(b.threads, sizeof(b.threads), "%" PRIu64,
		 args->threads ? args->threads : cores_usable());
	/* The first of them comes with the prompt. */
	snprintf(b.count, sizeof(b.count), "%" PRIu64, args->tokens + 1);
	(void)!run_pairs(&b, err);
	free(b.output);
	return err->code;
}

int bench_decode(int argc, char **argv, struct err *err)
{
	struct decode_args got = {.tokens = 32, .pairs = 10};
	const struct opt opts[] = {
		{"peer", 0, OPT_TEXT, &got.peer, "PATH", "llama.cpp's llama-bench", 0, 0},
		{"peer-model", 0, OPT_TEXT, &got.peer_model, "FILE",
		 "the same weights as it reads them (GGUF)", 0, 0},
		{"threads", 't', OPT_COUNT, &got.threads, "N", "of both; default all cores", 0, 1},
		{"tokens", 'n', OPT_COUNT, &got.tokens, "N", "decoded in each run; default 32", 0,
		 1},
		{"pairs", 0, OPT_COUNT, &got.pairs, "N", "runs of each; default 10", 0, 1},
		{"json", 0, OPT_FLAG, &got.json, NULL, "one JSON object", 0, 0},
	};
	const struct verb_spec spec = {
		.usage = "bench decode MODEL --peer LLAMA-BENCH --peer-model FILE.gguf [OPTIONS]",
		.about = "Tokens a second with the whole model in DRAM, ours and llama.cpp's, in "
			 "turns, with the interval of the ratio.\n"
			 "MODEL is FILE.gguf as `model import` took it.",
		.opts = opts,
		.opt_count = sizeof(opts) / sizeof(opts[0]),
		.operands_least = 1,
		.operands_most = 1,
	};
	struct args args;

	if (!args_parse(&args, &spec, argc, argv, err) && !args.helped)
		(void)!run_decode(&got, args.operands.items[0], err);
	args_fini(&args, &spec);
	return err->code;
}
