/* SPDX-License-Identifier: GPL-3.0-or-later */
/* verb_score.c - `score`: log-probabilities and perplexity of tokens or a text, and raw logits */
#include "cli.h"

#include "live_session.h"
#include "newfile.h"
#include "plain_text.h"
#include "sampler.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct score_args {
	struct live_args live;
	const char *text, *logits;
	bool decode;
};

/* What is known of one position while its logits come by tile after tile. */
struct position {
	double most, sum; /* sum of exp(logit - most) so far */
	double target;	  /* the logit of the token that follows */
};

struct score {
	const struct score_args *args;
	struct live_session session;
	uint32_t *ids;
	size_t count;
	uint64_t ctx;
	size_t begin, window; /* the window at hand: its first token, and how many */
	struct position *positions;
	double log_prob; /* sums over scored tokens */
	size_t scored;
	struct newfile file; /* of logits; stream NULL: none */
	bool failed;	     /* a write did */
	double *log_probs;   /* [count]; NaN where nothing is before it */
};

static void position_add(struct position *p, const float *logits, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		double x = (double)logits[i];

		if (x > p->most) {
			p->sum = p->sum * exp(p->most - x) + 1;
			p->most = x;
		} else {
			p->sum += exp(x - p->most);
		}
	}
}

static void write_logits(struct score *s, size_t token, uint64_t first, const float *values,
			 size_t count)
{
	uint64_t at = (token * s->session.shape.model.vocab_count + first) * sizeof(float);

	if (!s->file.stream || s->failed)
		return;
	if (fseeko(s->file.stream, (off_t)at, SEEK_SET) ||
	    fwrite(values, sizeof(float), count, s->file.stream) != count)
		s->failed = true; /* told by the commit */
}

/* Logits [first, first + count) of the window's position 'i'. */
static void take_logits(struct score *s, size_t i, uint64_t first, const float *values,
			size_t count)
{
	struct position *p = &s->positions[i];
	size_t token = s->begin + i;

	position_add(p, values, count);
	if (i + 1 < s->window && s->ids[token + 1] >= first && s->ids[token + 1] < first + count)
		p->target = (double)values[s->ids[token + 1] - first];
	write_logits(s, token, first, values, count);
}

static void take_tile(void *arg, const struct logits_tile *tile)
{
	struct score *s = arg;

	for (size_t i = 0; i < s->window; i++)
		take_logits(s, i, tile->first, tile->values + i * tile->stride, tile->rows);
}

static void window_sum(struct score *s)
{
	for (size_t i = 0; i + 1 < s->window; i++) {
		const struct position *p = &s->positions[i];
		double log_prob = p->target - p->most - log(p->sum);

		s->log_probs[s->begin + i + 1] = log_prob;
		s->log_prob += log_prob;
		s->scored++;
	}
}

static int window_run(struct score *s, struct err *err)
{
	const uint32_t *ids = s->ids + s->begin;
	struct live *live = s->session.live;
	struct books books;

	for (size_t i = 0; i < s->window; i++)
		s->positions[i] = (struct position){-INFINITY, 0, 0};
	live_rewind(live);
	if (!s->args->decode && s->window > 1) {
		live_take_logits(live, take_tile, s);
		return live_prefill(live, ids, (uint32_t)s->window, &books, err);
	}
	for (size_t i = 0; i < s->window; i++) {
		if (live_decode(live, ids[i], &books, err))
			return err->code;
		take_logits(s, i, 0, live_logits(live), s->session.shape.model.vocab_count);
	}
	return 0;
}

static int score_windows(struct score *s, struct err *err)
{
	struct progress *progress = progress_open("score", (double)s->count);

	for (s->begin = 0; s->begin < s->count && !err->code; s->begin += s->window) {
		s->window = s->count - s->begin < s->ctx ? s->count - s->begin : s->ctx;
		if (window_run(s, err))
			break;
		window_sum(s);
		progress_add(progress, (double)s->window, NULL);
	}
	progress_close(progress);
	return err->code;
}

static void print_text(const struct score *s)
{
	double mean = s->log_prob / (double)s->scored;

	plain_write(stdout, s->session.shape.model.name);
	printf(": %zu tokens in windows of %" PRIu64 ", %zu scored\n", s->count, s->ctx, s->scored);
	live_session_memory(stdout, &s->session);
	if (!s->scored) {
		printf("nothing is before the first token of a window: no token was scored\n");
		return;
	}
	printf("log-probability %.6f, %.6f a token (natural logarithm)\nperplexity      %.6f\n",
	       s->log_prob, mean, exp(-mean));
}

static void print_json(const struct score *s)
{
	struct json json = {.out = stdout};

	json_put_object(&json, NULL);
	json_put_text(&json, "model", s->session.shape.model.name);
	json_put_count(&json, "tokens", s->count);
	json_put_count(&json, "window_tokens", s->ctx);
	json_put_count(&json, "scored_tokens", s->scored);
	json_put_number(&json, "log_prob", s->log_prob);
	json_put_number(&json, "perplexity", exp(-s->log_prob / (double)s->scored));
	live_session_put_memory(&json, &s->session);
	json_put_list(&json, "log_probs");
	for (size_t i = 0; i < s->count; i++)
		json_put_number(&json, NULL, s->log_probs[i]);
	json_put_end(&json);
	json_put_end(&json);
}

static int read_text(char **text, size_t *bytes, const char *path, struct err *err)
{
	FILE *in = strcmp(path, "-") == 0 ? stdin : fopen(path, "rb");
	size_t room = 0;

	*text = NULL;
	*bytes = 0;
	if (!in)
		return err_errno(err, "%s: cannot open", path);
	do {
		char *grown;

		room = room ? 2 * room : 65536;
		grown = realloc(*text, room);
		if (!grown) {
			err_nomem(err, "a text", room);
			break;
		}
		*text = grown;
		*bytes += fread(*text + *bytes, 1, room - *bytes, in);
	} while (*bytes == room);
	if (!err->code && ferror(in))
		err_errno(err, "%s: cannot read", path);
	if (in != stdin)
		fclose(in);
	return err->code;
}

static int read_ids(struct score *s, struct err *err)
{
	const struct score_args *args = s->args;
	char *text = NULL;
	size_t bytes = 0;

	if (!args->text && !args->live.tokens)
		return err_set(err, EINVAL, "nothing to score: give --text FILE or --tokens IDS");
	if (!args->text || !read_text(&text, &bytes, args->text, err))
		(void)!live_session_ids(&s->session, &s->ids, &s->count, args->live.tokens, text,
					bytes, err);
	free(text);
	if (!err->code && s->count == 0)
		err_set(err, EINVAL, "nothing to score: the text is empty");
	return err->code;
}

static int allocate(struct score *s, struct err *err)
{
	s->positions = calloc(s->ctx, sizeof(*s->positions));
	s->log_probs = calloc(s->count, sizeof(*s->log_probs));
	if (!s->positions || !s->log_probs)
		return err_nomem(err, "scores", s->count * sizeof(*s->log_probs));
	for (size_t i = 0; i < s->count; i++)
		s->log_probs[i] = NAN;
	return 0;
}

static int score_model(struct score *s, const char *dir, struct err *err)
{
	const struct live_args *args = &s->args->live;
	uint32_t prompt;

	if (live_session_open(&s->session, dir, args, err) || read_ids(s, err))
		return err->code;
	s->ctx = args->ctx ? args->ctx : s->session.shape.model.position_count;
	if (s->ctx > s->session.shape.model.position_count)
		return err_set(err, EINVAL,
			       "--ctx: got %" PRIu64 ", expected at most %" PRIu64
			       " (position_count of model '%s')",
			       s->ctx, s->session.shape.model.position_count,
			       s->session.shape.model.name);
	if (s->ctx > s->count)
		s->ctx = s->count;
	prompt = s->args->decode ? 1 : (uint32_t)s->ctx;
	if (allocate(s, err) || live_session_start(&s->session, dir, args, prompt, s->ctx, err))
		return err->code;
	if (s->args->logits && newfile_open(&s->file, s->args->logits, err))
		return err->code;
	if (score_windows(s, err)) {
		if (s->file.stream)
			newfile_drop(&s->file);
		return err->code;
	}
	return s->file.stream ? newfile_commit(&s->file, err) : 0;
}

static int run_score(const struct score_args *args, const char *dir, struct err *err)
{
	struct score s = {.args = args};

	if (!score_model(&s, dir, err)) {
		if (args->live.json)
			print_json(&s);
		else
			print_text(&s);
	}
	live_session_close(&s.session);
	free(s.ids);
	free(s.positions);
	free(s.log_probs);
	return err->code;
}

int verb_score(int argc, char **argv, struct err *err)
{
	struct score_args got = {.live = {.seed = 1}};
	const struct opt opts[] = {
		LIVE_OPTS(got.live),
		{"text", 'f', OPT_TEXT, &got.text, "FILE", "a text to score; - is standard input",
		 0, 0},
		{"logits", 'l', OPT_TEXT, &got.logits, "FILE",
		 "write logits: raw little-endian float32 [tokens, vocab]", 0, 0},
		{"decode", 0, OPT_FLAG, &got.decode, NULL,
		 "token by token, by the policy; else each window is one dense pass", 0, 0},
	};
	const struct verb_spec spec = {
		.usage = "score MODEL (--text FILE | --tokens IDS) [OPTIONS]",
		.about = "Log-probability and perplexity of a text, or of tokens. A text longer "
			 "than the context is cut into\n"
			 "windows that follow each other; the first token of each is not scored.",
		.opts = opts,
		.opt_count = sizeof(opts) / sizeof(opts[0]),
		.operands_least = 1,
		.operands_most = 1,
	};
	struct args args;

	if (!args_parse(&args, &spec, argc, argv, err) && !args.helped)
		(void)!run_score(&got, args.operands.items[0], err);
	args_fini(&args, &spec);
	return err->code;
}
