/* SPDX-License-Identifier: GPL-3.0-or-later */
/* trace.c - a trace's file: a text header that says everything, then words
 *
 * Nothing is allocated from what a header claims before the file's own size has confirmed it. */
#include "trace.h"

#include "digest.h"
#include "newfile.h"
#include "number.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
	       "words are written as they lie in memory");

enum {
	LAYERS_MAX = 4096,
	NEURONS_MAX = 1 << 24,
	TOKENS_MAX = 1 << 28,
	LINE_MAX_BYTES = 512, /* the longest is `source`, 255 characters */
};

static const char magic[] = "flashcast-trace";
static const char version[] = "1";
static const char unit[] = "one bit a neuron, 64-bit little-endian words";

/* One printable line: it can stand in a header and in a message. */
static bool text_is_line(const char *text, size_t size)
{
	size_t length = strnlen(text, size);

	for (size_t i = 0; i < length; i++)
		if ((unsigned char)text[i] < ' ' || text[i] == 0x7f)
			return false;
	return length < size;
}

static int check_count(const char *what, uint32_t got, uint32_t max, struct err *err)
{
	if (got >= 1 && got <= max)
		return 0;
	return err_set(err, EINVAL, "%s: %" PRIu32 ", expected 1 to %" PRIu32, what, got, max);
}

/* Finds the active plane as well. */
static int check_margins(struct trace *trace, struct err *err)
{
	uint32_t zeros = 0;

	if (check_count("margins", trace->margin_count, TRACE_PLANES_MAX - 1, err))
		return err->code;
	for (uint32_t p = 0; p < trace->margin_count; p++) {
		if (!isfinite(trace->margins[p]))
			return err_set(err, EINVAL, "margins: %g, expected a finite number",
				       trace->margins[p]);
		if (p > 0 && trace->margins[p] >= trace->margins[p - 1])
			return err_set(err, EINVAL, "margins: %g after %g, expected descending",
				       trace->margins[p], trace->margins[p - 1]);
		if (trace->margins[p] == 0) {
			zeros++;
			trace->active_plane = p;
		}
	}
	if (zeros != 1)
		return err_set(err, EINVAL, "margins: none is 0, expected one (the active set)");
	return 0;
}

static int check_shape(struct trace *trace, struct err *err)
{
	if (trace->model[0] == '\0' || !text_is_line(trace->model, sizeof(trace->model)))
		return err_set(err, EINVAL, "model: expected a name of 1 to %zu characters",
			       sizeof(trace->model) - 1);
	if (!text_is_line(trace->source, sizeof(trace->source)))
		return err_set(err, EINVAL, "source: expected one line of at most %zu characters",
			       sizeof(trace->source) - 1);
	if (check_count("layers", trace->layer_count, LAYERS_MAX, err) ||
	    check_count("neurons", trace->neuron_count, NEURONS_MAX, err) ||
	    check_count("tokens", trace->token_count, TOKENS_MAX, err) || check_margins(trace, err))
		return err->code;
	trace->words = bits_words(trace->neuron_count);
	return 0;
}

/* Bytes of the planes; false when no size_t holds them. */
static bool payload_bytes(const struct trace *trace, size_t *bytes)
{
	*bytes = trace->words * sizeof(uint64_t);
	return !__builtin_mul_overflow(*bytes, (size_t)trace_plane_count(trace), bytes) &&
	       !__builtin_mul_overflow(*bytes, (size_t)trace->layer_count, bytes) &&
	       !__builtin_mul_overflow(*bytes, (size_t)trace->token_count, bytes);
}

int trace_init(struct trace *trace, struct err *err)
{
	size_t bytes;

	trace->planes = NULL;
	if (check_shape(trace, err))
		return err->code;
	if (!payload_bytes(trace, &bytes))
		return err_set(err, EINVAL, "trace: its planes are more than memory can address");
	trace->planes = calloc(1, bytes);
	if (!trace->planes)
		return err_nomem(err, "a trace's planes", bytes);
	return 0;
}

void trace_fini(struct trace *trace)
{
	free(trace->planes);
	memset(trace, 0, sizeof(*trace));
}

/* The first neuron of 'set' that is not in 'within' (NULL: that is past the last neuron); -1: none.
 */
static int64_t first_stray(const struct trace *trace, const uint64_t *set, const uint64_t *within)
{
	for (size_t w = 0; w < trace->words; w++) {
		uint64_t allowed = within ? within[w] : UINT64_MAX;

		if (!within && w == trace->neuron_count / 64)
			allowed = (UINT64_C(1) << trace->neuron_count % 64) - 1;
		if (set[w] & ~allowed)
			return (int64_t)w * 64 + __builtin_ctzll(set[w] & ~allowed);
	}
	return -1;
}

static int check_step(const struct trace *trace, uint32_t token, uint32_t layer, struct err *err)
{
	for (uint32_t p = 0; p < trace_plane_count(trace); p++) {
		const uint64_t *set = trace_plane(trace, token, layer, p);
		int64_t stray = first_stray(trace, set, NULL);

		if (stray >= 0)
			return err_set(err, EINVAL,
				       "token %" PRIu32 ", layer %" PRIu32 ", plane %" PRIu32
				       ": neuron %" PRId64 " is set, expected 0 to %" PRIu32,
				       token, layer, p, stray, trace->neuron_count - 1);
		if (p == 0 || p >= trace->margin_count)
			continue;
		stray = first_stray(trace, trace_plane(trace, token, layer, p - 1), set);
		if (stray >= 0)
			return err_set(err, EINVAL,
				       "token %" PRIu32 ", layer %" PRIu32 ": neuron %" PRId64
				       " is in plane %" PRIu32
				       " (margin %g) and not in plane %" PRIu32
				       " (margin %g), expected nested planes",
				       token, layer, stray, p - 1, trace->margins[p - 1], p,
				       trace->margins[p]);
	}
	return 0;
}

static int check_planes(const struct trace *trace, struct err *err)
{
	for (uint32_t token = 0; token < trace->token_count; token++)
		for (uint32_t layer = 0; layer < trace->layer_count; layer++)
			if (check_step(trace, token, layer, err))
				return err->code;
	return 0;
}

static void write_header(const struct trace *trace, const char *digest, FILE *out)
{
	char number[NUMBER_TEXT];

	fprintf(out, "%s %s\n", magic, version);
	fprintf(out, "model: %s\n", trace->model);
	fprintf(out, "layers: %" PRIu32 "\n", trace->layer_count);
	fprintf(out, "neurons: %" PRIu32 "\n", trace->neuron_count);
	fprintf(out, "tokens: %" PRIu32 "\n", trace->token_count);
	fputs("margins:", out);
	for (uint32_t p = 0; p < trace->margin_count; p++)
		fprintf(out, " %s", number_text(number, trace->margins[p]));
	fprintf(out, "\ndemand: %s\n", trace->has_demand ? "recorded" : "none");
	fprintf(out, "source: %s\n", trace->source);
	fprintf(out, "unit: %s\n", unit);
	fprintf(out, "xxh3: %s\n---\n", digest);
}

int trace_save(const struct trace *trace, const char *path, struct err *err)
{
	struct trace shape = *trace; /* a copy: the check fills in what it finds */
	char digest[DIGEST_TEXT];
	struct newfile file;
	size_t bytes;

	assert(trace->planes);
	if (check_shape(&shape, err) || check_planes(&shape, err))
		return err_where(err, "%s: not written", path);
	if (!payload_bytes(&shape, &bytes))
		assert(0 && "planes that exist have a size");
	digest_of(trace->planes, bytes, digest);
	if (newfile_open(&file, path, err))
		return err->code;
	write_header(&shape, digest, file.stream);
	fwrite(trace->planes, 1, bytes, file.stream);
	return newfile_commit(&file, err);
}

struct header {
	struct trace *trace;
	char digest[DIGEST_TEXT];
};

static int read_text(char *to, size_t size, const char *text, struct err *err)
{
	if (strlen(text) >= size || !text_is_line(text, size))
		return err_set(err, EINVAL, "%zu characters, expected at most %zu, all printable",
			       strlen(text), size - 1);
	memcpy(to, text, strlen(text) + 1);
	return 0;
}

static int read_model(struct header *header, const char *text, struct err *err)
{
	if (text[0] == '\0')
		return err_set(err, EINVAL, "'', expected a name");
	return read_text(header->trace->model, sizeof(header->trace->model), text, err);
}

static int read_source(struct header *header, const char *text, struct err *err)
{
	return read_text(header->trace->source, sizeof(header->trace->source), text, err);
}

static int read_count(uint32_t *to, uint32_t max, const char *text, struct err *err)
{
	size_t digits = strspn(text, "0123456789");
	unsigned long long value = 0;

	if (digits > 0 && digits < 12 && text[digits] == '\0' && text[0] != '0')
		value = strtoull(text, NULL, 10);
	if (value < 1 || value > max)
		return err_set(err, EINVAL, "'%s', expected a whole number, 1 to %" PRIu32, text,
			       max);
	*to = (uint32_t)value;
	return 0;
}

static int read_layers(struct header *header, const char *text, struct err *err)
{
	return read_count(&header->trace->layer_count, LAYERS_MAX, text, err);
}

static int read_neurons(struct header *header, const char *text, struct err *err)
{
	return read_count(&header->trace->neuron_count, NEURONS_MAX, text, err);
}

static int read_tokens(struct header *header, const char *text, struct err *err)
{
	return read_count(&header->trace->token_count, TOKENS_MAX, text, err);
}

/* One number up to a space or the end; strtod() alone takes spaces, hexadecimal, nan and inf too.
 */
static bool read_margin(double *margin, const char **at)
{
	size_t length = strcspn(*at, " ");
	char *end;

	if (length == 0 || strspn(*at, "+-.0123456789eE") < length)
		return false;
	*margin = strtod(*at, &end);
	if (end != *at + length || !isfinite(*margin))
		return false;
	*at = end;
	return true;
}

static int read_margins(struct header *header, const char *text, struct err *err)
{
	struct trace *trace = header->trace;
	const char *at = text;

	for (trace->margin_count = 0;; at++) {
		if (trace->margin_count == TRACE_PLANES_MAX - 1)
			return err_set(err, EINVAL, "'%s', expected at most %d", text,
				       TRACE_PLANES_MAX - 1);
		if (!read_margin(&trace->margins[trace->margin_count], &at))
			return err_set(err, EINVAL, "'%s', expected numbers with one space between",
				       text);
		trace->margin_count++;
		if (*at == '\0')
			return 0;
	}
}

static int read_demand(struct header *header, const char *text, struct err *err)
{
	header->trace->has_demand = strcmp(text, "recorded") == 0;
	if (!header->trace->has_demand && strcmp(text, "none") != 0)
		return err_set(err, EINVAL, "'%s', expected none or recorded", text);
	return 0;
}

static int read_unit(struct header *header, const char *text, struct err *err)
{
	(void)header;
	if (strcmp(text, unit) != 0)
		return err_set(err, EINVAL, "'%s', expected '%s'", text, unit);
	return 0;
}

static int read_digest(struct header *header, const char *text, struct err *err)
{
	if (strlen(text) != DIGEST_TEXT - 1 || strspn(text, "0123456789abcdef") != DIGEST_TEXT - 1)
		return err_set(err, EINVAL, "'%s', expected %d hexadecimal digits", text,
			       DIGEST_TEXT - 1);
	memcpy(header->digest, text, DIGEST_TEXT);
	return 0;
}

static const struct line {
	const char *key;
	int (*read)(struct header *header, const char *text, struct err *err);
} lines[] = {
	{"model", read_model},	 {"layers", read_layers},   {"neurons", read_neurons},
	{"tokens", read_tokens}, {"margins", read_margins}, {"demand", read_demand},
	{"source", read_source}, {"unit", read_unit},	    {"xxh3", read_digest},
};

enum { LINE_COUNT = sizeof(lines) / sizeof(lines[0]) };

/* The next line without its end.  A NUL inside it reads as a line without an end. */
static int next_line(char line[LINE_MAX_BYTES], FILE *in, struct err *err)
{
	size_t length;

	errno = 0;
	if (!fgets(line, LINE_MAX_BYTES, in)) {
		if (ferror(in))
			return err_errno(err, "cannot read");
		return err_set(err, EINVAL, "the file ends, expected a header up to '---'");
	}
	length = strlen(line);
	if (length == 0 || line[length - 1] != '\n')
		return err_set(err, EINVAL, "expected a text line of at most %d bytes",
			       LINE_MAX_BYTES - 2);
	line[length - 1] = '\0';
	return 0;
}

static int read_magic(FILE *in, struct err *err)
{
	char text[LINE_MAX_BYTES];
	size_t length = sizeof(magic) - 1;

	if (next_line(text, in, err))
		return err->code;
	if (strncmp(text, magic, length) != 0 || text[length] != ' ')
		return err_set(err, EINVAL, "'%.40s', expected '%s %s'", text, magic, version);
	if (strcmp(text + length + 1, version) != 0)
		return err_set(err, EINVAL, "trace version '%.40s', expected %s", text + length + 1,
			       version);
	return 0;
}

/* "key: value": to the key's reader. */
static int read_line(struct header *header, char *text, unsigned *seen, struct err *err)
{
	char *colon = strchr(text, ':');

	if (!colon || colon[1] != ' ')
		return err_set(err, EINVAL, "'%.80s', expected 'key: value'", text);
	*colon = '\0';
	for (unsigned i = 0; i < LINE_COUNT; i++) {
		if (strcmp(text, lines[i].key) != 0)
			continue;
		if (*seen & 1u << i)
			return err_set(err, EINVAL, "%s stands twice, expected once", text);
		*seen |= 1u << i;
		if (lines[i].read(header, colon + 2, err))
			return err_where(err, "%s", text);
		return 0;
	}
	return err_set(err, EINVAL, "unknown key '%.80s'", text);
}

static int read_header(struct header *header, FILE *in, int *line, struct err *err)
{
	char text[LINE_MAX_BYTES];
	unsigned seen = 0;

	*line = 1;
	if (read_magic(in, err))
		return err->code;
	for (;;) {
		++*line;
		if (next_line(text, in, err))
			return err->code;
		if (strcmp(text, "---") == 0)
			break;
		if (read_line(header, text, &seen, err))
			return err->code;
	}
	for (unsigned i = 0; i < LINE_COUNT; i++)
		if (!(seen & 1u << i))
			return err_set(err, EINVAL, "the header has no line '%s'", lines[i].key);
	return check_shape(header->trace, err);
}

/* The file must hold the payload that its header claims: no byte less, no byte more. */
static int check_size(const struct trace *trace, FILE *in, size_t *bytes, struct err *err)
{
	struct stat st;
	off_t at = ftello(in);

	if (at < 0 || fstat(fileno(in), &st) != 0)
		return err_errno(err, "cannot tell its size");
	if (!S_ISREG(st.st_mode))
		return err_set(err, EINVAL, "is no regular file");
	if (!payload_bytes(trace, bytes))
		return err_set(err, EINVAL, "%" PRIu32 " tokens are more than memory can address",
			       trace->token_count);
	if ((uint64_t)(st.st_size - at) != *bytes)
		return err_set(err, EINVAL,
			       "%jd bytes follow the header, expected %zu (%" PRIu32
			       " tokens, %" PRIu32 " layers, %" PRIu32 " planes of %zu words)",
			       (intmax_t)(st.st_size - at), *bytes, trace->token_count,
			       trace->layer_count, trace_plane_count(trace), trace->words);
	return 0;
}

static int read_planes(const struct header *header, FILE *in, size_t bytes, struct err *err)
{
	char digest[DIGEST_TEXT];

	errno = 0;
	if (fread(header->trace->planes, 1, bytes, in) != bytes) {
		if (ferror(in))
			return err_errno(err, "cannot read");
		return err_set(err, EINVAL, "became shorter while it was read");
	}
	digest_of(header->trace->planes, bytes, digest);
	if (strcmp(digest, header->digest) != 0)
		return err_set(err, EINVAL, "the payload's digest is %s, expected %s: damaged",
			       digest, header->digest);
	return check_planes(header->trace, err);
}

int trace_load(struct trace *trace, const char *path, struct err *err)
{
	struct header header = {.trace = trace};
	FILE *in = fopen(path, "rb");
	size_t bytes = 0;
	int line = 0;

	memset(trace, 0, sizeof(*trace));
	if (!in)
		return err_errno(err, "%s: cannot open", path);
	if (read_header(&header, in, &line, err)) {
		err_where(err, "%s:%d", path, line);
		goto fail;
	}
	if (check_size(trace, in, &bytes, err) || trace_init(trace, err) ||
	    read_planes(&header, in, bytes, err)) {
		err_where(err, "%s", path);
		goto fail;
	}
	fclose(in);
	return 0;
fail:
	fclose(in);
	trace_fini(trace);
	return err->code;
}
