/* SPDX-License-Identifier: GPL-3.0-or-later */
/* bench_io.c - `bench io`: the bytes a second of our read engines, beside fio's on the same offsets
 *
 * Each visit of a cell (engine, size, depth) draws random offsets, and our engine and fio read them
 * one after the other; who goes first changes from round to round, so that neither has the other's
 * leavings.  Rounds go over all cells in random order.  A visit during which others used the disk is
 * made again, a few times, and counts only where a cell has no clean ones.  The ratio of a cell is the
 * median of its visits' ratios, its interval lies between two of them in order, which holds whatever
 * their distribution. */
#define _GNU_SOURCE
#include "bench_io.h"

#include "cli.h"
#include "clock.h"
#include "fio_job.h"
#include "newfile.h"
#include "order.h"
#include "read_engine.h"
#include "real_probe.h"
#include "rng.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SIZES_MOST = 16, DEPTHS_MOST = 16, ENGINES = 2, ROUNDS_MOST = 201 };
enum { READS_MOST = 1 << 16, TRIES = 3, CLEAN_LEAST = 3, PATH_BYTES = 4096, FFN_FILE = 1 };
enum { PLACE_BYTES = 4096 };
/* What fio needs to start, read its logs and end. */
static const double fio_start_s = 0.45, visit_least_s = 0.05;
static const double foreign_limit = 0.05, steal_limit = 0.1;
/* What is promised. */
static const double median_least = 0.97, cell_least = 0.9;

static const enum read_engine engines[ENGINES] = {READ_PREAD, READ_IO_URING};

struct io_cell {
	unsigned engine, depth; /* indices */
	uint32_t bytes;
	size_t count;				    /* reads of a visit; 0 = not known yet */
	double ours[ROUNDS_MOST], fio[ROUNDS_MOST]; /* bytes a second */
	bool clean[ROUNDS_MOST];
	unsigned visits;
	struct order_interval our, their, ratio; /* in the end */
	unsigned counted;
	bool polluted;
};

struct io_args {
	const char *model, *file, *fio, *out;
	struct arg_list sizes, depths;
	double budget_ns;
	uint64_t rounds, seed;
	bool json;
};

struct io_bench {
	const struct io_args *args;
	char file[PATH_BYTES], dir[PATH_BYTES], fio[PATH_BYTES], version[64];
	bool dir_is_ours;
	uint64_t file_bytes;
	uint32_t sizes[SIZES_MOST];
	unsigned depths[DEPTHS_MOST], size_count, depth_count, engine_count;
	double visit_s;
	struct reader *readers[ENGINES][DEPTHS_MOST];
	unsigned char *buffers[ENGINES][DEPTHS_MOST];
	bool fixed_buffers;
	struct io_cell *cells;
	size_t cell_count;
	struct read_request *requests;
	struct rng rng;
};

/* ---- one visit ---- */

static void draw_offsets(struct io_bench *b, const struct io_cell *cell, size_t count)
{
	const uint64_t places = (b->file_bytes - cell->bytes) / PLACE_BYTES + 1;
	const unsigned depth = b->depths[cell->depth];

	/* As many buffers as reads in flight, like fio: nobody looks at what two brought to one. */
	for (size_t i = 0; i < count; i++)
		b->requests[i] = (struct read_request){
			.file = FFN_FILE,
			.offset = (uint64_t)(rng_unit(&b->rng) * (double)places) * PLACE_BYTES,
			.bytes = cell->bytes,
			.to = b->buffers[cell->engine][cell->depth] + i % depth * cell->bytes,
		};
}

/* As fio does it with a log: timed until the last read was submitted, when the queue begins to run
 * empty.  What came by then counts, but for what came out of order. */
static int run_ours(struct io_bench *b, const struct io_cell *cell, size_t count,
		    double *bytes_per_s, struct err *err)
{
	struct reader *reader = b->readers[cell->engine][cell->depth];
	const double from = clock_now_s();
	struct read_done done;
	size_t have;

	if (reader_submit(reader, b->requests, count, err) ||
	    reader_progress(reader, count - b->depths[cell->depth] + 1, &have, err))
		return err->code;
	*bytes_per_s = (double)have * cell->bytes / (clock_now_s() - from);
	return reader_wait(reader, &done, err);
}

static int run_fio(struct io_bench *b, const struct io_cell *cell, double *bytes_per_s,
		   struct err *err)
{
	char name[64], size[32];
	struct fio_job job = {
		.fio = b->fio,
		.dir = b->dir,
		.name = name,
		.engine = engines[cell->engine],
		.in_flight = b->depths[cell->depth],
		.read_bytes = cell->bytes,
		.fixed_buffers = b->fixed_buffers,
		.requests = b->requests,
		.count = cell->count,
	};

	unit_format(size, sizeof(size), cell->bytes, DIM_BYTES);
	snprintf(name, sizeof(name), "%s-%s-%u", read_engine_words[job.engine].text, size,
		 job.in_flight);
	if (fio_job_write(&job, err))
		return err->code;
	return fio_job_run(&job, bytes_per_s, err);
}

/* Foreign traffic between two looks; fio's bytes are a child's, which we know. */
static bool is_foreign(struct traffic *before, struct traffic *after, uint64_t child_bytes)
{
	double steal_frac, foreign_frac;

	after->own_bytes += child_bytes;
	foreign_frac = traffic_foreign_frac(before, after, &steal_frac);
	return foreign_frac > foreign_limit || steal_frac > steal_limit;
}

static int try_visit(struct io_bench *b, struct io_cell *cell, bool fio_first, struct err *err)
{
	const uint64_t bytes = (uint64_t)cell->count * cell->bytes;
	const unsigned v = cell->visits;
	bool foreign = false;

	draw_offsets(b, cell, cell->count);
	for (unsigned turn = 0; turn < 2; turn++) {
		const bool is_fio = (turn == 1) != fio_first;
		struct traffic before, after;
		double bytes_per_s;

		traffic_look(&before, b->file);
		if (is_fio ? run_fio(b, cell, &bytes_per_s, err)
			   : run_ours(b, cell, cell->count, &bytes_per_s, err))
			return err->code;
		traffic_look(&after, b->file);
		foreign = is_foreign(&before, &after, is_fio ? bytes : 0) || foreign;
		(is_fio ? cell->fio : cell->ours)[v] = bytes_per_s;
	}
	cell->clean[v] = !foreign;
	return 0;
}

/* How many reads take as long as a visit shall; the first batches also wake threads. */
static int size_cell(struct io_bench *b, struct io_cell *cell, struct err *err)
{
	const unsigned depth = b->depths[cell->depth];
	size_t count = 16 * (size_t)depth;
	double bytes_per_s = 0, want;

	for (unsigned i = 0; i < 3; i++) {
		draw_offsets(b, cell, count);
		if (run_ours(b, cell, count, &bytes_per_s, err))
			return err->code;
	}
	want = b->visit_s * bytes_per_s / cell->bytes;
	want = fmin(fmax(want, 4 * depth), READS_MOST);
	cell->count = (size_t)want / depth * depth; /* equal shares for fio's threads */
	return 0;
}

static int visit(struct io_bench *b, struct io_cell *cell, bool fio_first, struct err *err)
{
	if (!cell->count && size_cell(b, cell, err))
		return err->code;
	for (unsigned try = 0; try < TRIES; try++) {
		if (try_visit(b, cell, fio_first, err))
			return err->code;
		if (cell->clean[cell->visits])
			break;
	}
	cell->visits++;
	return 0;
}

static int run_rounds(struct io_bench *b, struct err *err)
{
	struct progress *line =
		progress_open("bench io", (double)(b->cell_count * b->args->rounds));
	size_t *order = calloc(b->cell_count, sizeof(*order));

	if (!order)
		(void)!err_nomem(err, "an order of cells", b->cell_count * sizeof(*order));
	for (size_t i = 0; order && i < b->cell_count; i++)
		order[i] = i;
	for (unsigned round = 0; round < b->args->rounds && !err->code; round++) {
		for (size_t i = b->cell_count; i > 1; i--) {
			const size_t k = rng_below(&b->rng, (uint32_t)i), swap = order[i - 1];

			order[i - 1] = order[k];
			order[k] = swap;
		}
		for (size_t i = 0; i < b->cell_count && !err->code; i++) {
			(void)!visit(b, &b->cells[order[i]], round % 2, err);
			progress_add(line, 1, NULL);
		}
	}
	progress_close(line);
	free(order);
	return err->code;
}

/* ---- what came out ---- */

static void summarise(struct io_cell *cell)
{
	double ours[ROUNDS_MOST], fio[ROUNDS_MOST], ratios[ROUNDS_MOST];
	unsigned clean = 0, n = 0;

	for (unsigned v = 0; v < cell->visits; v++)
		clean += cell->clean[v];
	cell->polluted = clean < CLEAN_LEAST && clean < cell->visits;
	for (unsigned v = 0; v < cell->visits; v++) {
		if (!cell->clean[v] && !cell->polluted)
			continue;
		ours[n] = cell->ours[v];
		fio[n] = cell->fio[v];
		ratios[n++] = cell->ours[v] / cell->fio[v];
	}
	cell->counted = n;
	cell->our = order_median_interval(ours, n);
	cell->their = order_median_interval(fio, n);
	cell->ratio = order_median_interval(ratios, n);
}

/* One engine over all of its cells. */
struct io_verdict {
	double median;	 /* of the cells' ratios */
	unsigned behind; /* cells whose interval lies wholly under cell_least */
	bool holds;
};

static struct io_verdict judge_engine(const struct io_bench *b, unsigned engine)
{
	double ratios[SIZES_MOST * DEPTHS_MOST];
	struct io_verdict verdict = {0};
	size_t n = 0;

	for (size_t i = 0; i < b->cell_count; i++) {
		const struct io_cell *cell = &b->cells[i];

		if (cell->engine != engine)
			continue;
		ratios[n++] = cell->ratio.median;
		verdict.behind += cell->ratio.high < cell_least;
	}
	verdict.median = order_median(ratios, n);
	verdict.holds = verdict.median >= median_least && !verdict.behind;
	return verdict;
}

/* The engine that keeps the promise, or the faster one. */
static unsigned better_engine(const struct io_bench *b)
{
	unsigned best = 0;

	for (unsigned e = 1; e < b->engine_count; e++) {
		const struct io_verdict old = judge_engine(b, best), new = judge_engine(b, e);

		if (new.holds != old.holds ? new.holds : new.median > old.median)
			best = e;
	}
	return best;
}

static void put_interval(struct json *json, const char *key, const struct order_interval *interval)
{
	json_put_object(json, key);
	json_put_number(json, "median", interval->median);
	json_put_number(json, "low", interval->low);
	json_put_number(json, "high", interval->high);
	json_put_end(json);
}

static void put_cell(struct json *json, const struct io_bench *b, const struct io_cell *cell)
{
	json_put_object(json, NULL);
	json_put_text(json, "read_engine", read_engine_words[engines[cell->engine]].text);
	json_put_count(json, "read_bytes", cell->bytes);
	json_put_count(json, "in_flight", b->depths[cell->depth]);
	json_put_count(json, "reads", cell->count);
	json_put_count(json, "visits", cell->counted);
	json_put_flag(json, "polluted", cell->polluted);
	put_interval(json, "ours_bytes_per_s", &cell->our);
	put_interval(json, "fio_bytes_per_s", &cell->their);
	put_interval(json, "ratio", &cell->ratio);
	json_put_end(json);
}

static void put_report(FILE *out, const struct io_bench *b)
{
	struct json json = {.out = out};
	char host[256];

	json_put_object(&json, NULL);
	json_put_text(&json, "host", host_name(host, sizeof(host)));
	json_put_text(&json, "fio", b->version);
	json_put_count(&json, "file_bytes", b->file_bytes);
	json_put_count(&json, "rounds", b->args->rounds);
	json_put_number(&json, "visit_s", b->visit_s);
	json_put_list(&json, "cells");
	for (size_t i = 0; i < b->cell_count; i++)
		put_cell(&json, b, &b->cells[i]);
	json_put_end(&json);
	json_put_list(&json, "engines");
	for (unsigned e = 0; e < b->engine_count; e++) {
		const struct io_verdict verdict = judge_engine(b, e);

		json_put_object(&json, NULL);
		json_put_text(&json, "read_engine", read_engine_words[engines[e]].text);
		json_put_number(&json, "median_ratio", verdict.median);
		json_put_count(&json, "cells_behind", verdict.behind);
		json_put_flag(&json, "holds", verdict.holds);
		json_put_end(&json);
	}
	json_put_end(&json);
	json_put_text(&json, "better", read_engine_words[engines[better_engine(b)]].text);
	json_put_flag(&json, "holds", judge_engine(b, better_engine(b)).holds);
	json_put_end(&json);
}

static void print_cell(const struct io_bench *b, const struct io_cell *cell)
{
	char size[32];

	printf("%-9s %8s %5u  %7.0f (%7.0f to %7.0f)  %7.0f (%7.0f to %7.0f)  %5.3f  %5.3f to "
	       "%5.3f%s\n",
	       read_engine_words[engines[cell->engine]].text,
	       unit_human(size, sizeof(size), cell->bytes, DIM_BYTES), b->depths[cell->depth],
	       cell->our.median / 1e6, cell->our.low / 1e6, cell->our.high / 1e6,
	       cell->their.median / 1e6, cell->their.low / 1e6, cell->their.high / 1e6,
	       cell->ratio.median, cell->ratio.low, cell->ratio.high,
	       cell->polluted ? "  others used the disk" : "");
}

static void print_report(const struct io_bench *b)
{
	printf("%s, %" PRIu64 " rounds of %.2f s and %.2f s; MB/s, intervals of 95 %%\n"
	       "%-9s %8s %5s  %-28s  %-28s  %5s  %s\n",
	       b->version, b->args->rounds, b->visit_s, b->visit_s, "engine", "read", "depth",
	       "ours", "fio's", "ratio", "95 %");
	for (size_t i = 0; i < b->cell_count; i++)
		print_cell(b, &b->cells[i]);
	printf("\n");
	for (unsigned e = 0; e < b->engine_count; e++) {
		const struct io_verdict verdict = judge_engine(b, e);

		printf("%-9s median ratio %.3f, %u cells wholly under %.1f: %s%s\n",
		       read_engine_words[engines[e]].text, verdict.median, verdict.behind,
		       cell_least, verdict.holds ? "keeps up" : "behind",
		       e == better_engine(b) ? ", the better of ours" : "");
	}
}

static int write_report(const struct io_bench *b, struct err *err)
{
	char path[PATH_BYTES + 16];
	struct newfile file;

	snprintf(path, sizeof(path), "%s/io.json", b->dir);
	if (newfile_open(&file, path, err))
		return err->code;
	put_report(file.stream, b);
	return newfile_commit(&file, err);
}

/* ---- opening ---- */

/* --file, or the largest FFN file of the model in --dir. */
static int find_file(struct io_bench *b, struct err *err)
{
	const char *model = b->args->model;
	struct stat st;
	DIR *dir;

	if (!model == !b->args->file)
		return err_set(err, EINVAL, "one of --dir MODEL and --file FILE is wanted");
	if (b->args->file) {
		snprintf(b->file, sizeof(b->file), "%s", b->args->file);
		if (stat(b->file, &st) != 0)
			return err_errno(err, "'%s'", b->file);
		b->file_bytes = (uint64_t)st.st_size;
		return 0;
	}
	dir = opendir(model);
	if (!dir)
		return err_errno(err, "'%s'", model);
	for (const struct dirent *e = readdir(dir); e; e = readdir(dir)) {
		char path[PATH_BYTES];

		snprintf(path, sizeof(path), "%s/%s", model, e->d_name);
		if (strncmp(e->d_name, "ffn.", 4) == 0 && stat(path, &st) == 0 &&
		    (uint64_t)st.st_size > b->file_bytes) {
			b->file_bytes = (uint64_t)st.st_size;
			memcpy(b->file, path, sizeof(path));
		}
	}
	closedir(dir);
	if (!b->file_bytes)
		return err_set(err, ENOENT, "'%s': no FFN file of a model in there", model);
	return 0;
}

static int read_sizes(struct io_bench *b, struct err *err)
{
	static const uint32_t usual[] = {4096, 16384, 32768, 36864, 131072, 1 << 20};
	const struct arg_list *list = &b->args->sizes;

	b->size_count = sizeof(usual) / sizeof(usual[0]);
	memcpy(b->sizes, usual, sizeof(usual));
	if (list->count > SIZES_MOST)
		return err_set(err, EINVAL, "--size: at most %d", SIZES_MOST);
	for (size_t i = 0; i < list->count; i++) {
		double bytes;

		if (unit_parse(&bytes, list->items[i], DIM_BYTES, err)) {
			err_where(err, "--size");
			return err->code;
		}
		if (bytes < PLACE_BYTES || bytes > 64 << 20 || fmod(bytes, PLACE_BYTES) != 0)
			return err_set(err, EINVAL,
				       "--size: got %s, expected a multiple of 4KiB up to 64MiB",
				       list->items[i]);
		b->sizes[i] = (uint32_t)bytes;
		b->size_count = (unsigned)i + 1;
	}
	return 0;
}

static int read_depths(struct io_bench *b, struct err *err)
{
	static const unsigned usual[] = {1, 8, 32};
	const struct arg_list *list = &b->args->depths;

	b->depth_count = sizeof(usual) / sizeof(usual[0]);
	memcpy(b->depths, usual, sizeof(usual));
	if (list->count > DEPTHS_MOST)
		return err_set(err, EINVAL, "--in-flight: at most %d", DEPTHS_MOST);
	for (size_t i = 0; i < list->count; i++) {
		double depth;

		if (unit_parse(&depth, list->items[i], DIM_COUNT, err)) {
			err_where(err, "--in-flight");
			return err->code;
		}
		if (depth < 1 || depth > 1024)
			return err_set(err, EINVAL, "--in-flight: got %s, expected 1 to 1024",
				       list->items[i]);
		b->depths[i] = (unsigned)depth;
		b->depth_count = (unsigned)i + 1;
	}
	return 0;
}

static uint32_t largest_size(const struct io_bench *b)
{
	uint32_t largest = 0;

	for (unsigned i = 0; i < b->size_count; i++)
		largest = b->sizes[i] > largest ? b->sizes[i] : largest;
	return largest;
}

static int open_reader(struct io_bench *b, unsigned e, unsigned d, struct err *err)
{
	struct reader_options options = {.engine = engines[e], .in_flight = b->depths[d]};
	const size_t bytes = (size_t)largest_size(b) * b->depths[d];
	struct reader **reader = &b->readers[e][d];

	options.paths[FFN_FILE] = b->file;
	if (reader_open(reader, &options, err))
		return err->code;
	b->buffers[e][d] = reader_alloc(*reader, bytes);
	if (!b->buffers[e][d])
		return err_nomem(err, "read buffers", bytes);
	if (engines[e] == READ_IO_URING)
		b->fixed_buffers = io_uring_registered_bytes(*reader) > 0;
	return 0;
}

static int open_cells(struct io_bench *b, struct err *err)
{
	size_t c = 0;

	b->engine_count = reader_engine_works(READ_IO_URING) ? 2 : 1;
	b->cell_count = (size_t)b->engine_count * b->size_count * b->depth_count;
	b->cells = calloc(b->cell_count, sizeof(*b->cells));
	b->requests = calloc(READS_MOST, sizeof(*b->requests));
	if (!b->cells || !b->requests)
		return err_nomem(err, "the cells", b->cell_count * sizeof(*b->cells));
	for (unsigned e = 0; e < b->engine_count; e++)
		for (unsigned s = 0; s < b->size_count; s++)
			for (unsigned d = 0; d < b->depth_count; d++)
				b->cells[c++] = (struct io_cell){
					.engine = e, .depth = d, .bytes = b->sizes[s]};
	for (unsigned e = 0; e < b->engine_count; e++)
		for (unsigned d = 0; d < b->depth_count; d++)
			if (open_reader(b, e, d, err))
				return err->code;
	return 0;
}

/* A relative path must still be right in the folder where fio works. */
static int find_fio(struct io_bench *b, struct err *err)
{
	const char *fio = b->args->fio;

	if (!strchr(fio, '/'))
		snprintf(b->fio, sizeof(b->fio), "%s", fio);
	else if (!realpath(fio, b->fio))
		return err_errno(err, "--fio '%s'", fio);
	return fio_version(b->version, sizeof(b->version), b->fio, err);
}

static int open_folder(struct io_bench *b, struct err *err)
{
	const char *tmp = getenv("TMPDIR");

	if (b->args->out) {
		snprintf(b->dir, sizeof(b->dir), "%s", b->args->out);
	} else {
		snprintf(b->dir, sizeof(b->dir), "%s/flashcast-io-XXXXXX", tmp ? tmp : "/tmp");
		if (!mkdtemp(b->dir))
			return err_errno(err, "'%s'", b->dir);
		b->dir_is_ours = true;
	}
	return fio_job_folder(b->dir, b->file, err);
}

static int io_open(struct io_bench *b, struct err *err)
{
	const double rounds = (double)b->args->rounds;
	double pair_s;

	if (b->args->rounds > ROUNDS_MOST)
		return err_set(err, EINVAL, "--rounds: got %" PRIu64 ", expected at most %d",
			       b->args->rounds, ROUNDS_MOST);
	if (find_file(b, err) || read_sizes(b, err) || read_depths(b, err) || find_fio(b, err))
		return err->code;
	if (b->file_bytes < 2 * (uint64_t)largest_size(b))
		return err_set(err, EINVAL, "'%s': %" PRIu64 " bytes, expected two reads of %u",
			       b->file, b->file_bytes, largest_size(b));
	if (open_cells(b, err))
		return err->code;
	pair_s = b->args->budget_ns / 1e9 / (rounds * (double)b->cell_count);
	b->visit_s = fmax((pair_s - fio_start_s) / 2, visit_least_s);
	b->rng.state = rng_mix(b->args->seed);
	return open_folder(b, err);
}

static void remove_folder(const char *path)
{
	DIR *dir = opendir(path);

	for (const struct dirent *e = dir ? readdir(dir) : NULL; e; e = readdir(dir))
		unlinkat(dirfd(dir), e->d_name, 0);
	if (dir)
		closedir(dir);
	rmdir(path);
}

static void io_close(struct io_bench *b)
{
	for (unsigned e = 0; e < ENGINES; e++)
		for (unsigned d = 0; d < DEPTHS_MOST; d++)
			reader_close(b->readers[e][d]);
	if (b->dir_is_ours)
		remove_folder(b->dir);
	free(b->cells);
	free(b->requests);
}

static int run_io(const struct io_args *args, struct err *err)
{
	struct io_bench b = {.args = args};

	if (io_open(&b, err) || run_rounds(&b, err))
		goto out;
	for (size_t i = 0; i < b.cell_count; i++)
		summarise(&b.cells[i]);
	if (args->json)
		put_report(stdout, &b);
	else
		print_report(&b);
	if (args->out)
		(void)!write_report(&b, err);
out:
	io_close(&b);
	return err->code;
}

int bench_io(int argc, char **argv, struct err *err)
{
	struct io_args got = {.fio = "fio", .budget_ns = 600e9, .rounds = 11, .seed = 1};
	const struct opt opts[] = {
		{"dir", 'd', OPT_TEXT, &got.model, "MODEL",
		 "folder of a model, whose FFN file is read", 0, 0},
		{"file", 'f', OPT_TEXT, &got.file, "FILE", "or any file on the disk", 0, 0},
		{"fio", 0, OPT_TEXT, &got.fio, "PATH", "default: the fio on PATH", 0, 0},
		{"size", 's', OPT_LIST, &got.sizes, "BYTES",
		 "of a read, may be repeated; default 4, 16, 32, 36, 128 KiB and 1 MiB", 0, 0},
		{"in-flight", 'n', OPT_LIST, &got.depths, "N",
		 "reads at once, may be repeated; default 1, 8 and 32", 0, 0},
		{"rounds", 'r', OPT_COUNT, &got.rounds, "N", "visits of each cell; default 11", 0,
		 1},
		{"time", 't', OPT_UNIT, &got.budget_ns, "TIME",
		 "for all of it, about; default 10min", DIM_TIME, 0},
		{"seed", 0, OPT_COUNT, &got.seed, "N", "of the offsets; default 1", 0, 0},
		{"out", 'o', OPT_TEXT, &got.out, "DIR",
		 "keep fio's job files and logs, and the result as io.json", 0, 0},
		{"json", 0, OPT_FLAG, &got.json, NULL, "one JSON object", 0, 0},
	};
	const struct verb_spec spec = {
		.usage = "bench io --dir MODEL|--file FILE [OPTIONS]",
		.about =
			"Bytes a second of our read engines pread and io_uring beside fio's "
			"psync (as many threads as reads\n"
			"in flight) and io_uring, in turns on the same random offsets (direct I/O; "
			"fio replays them from a log).\n"
			"Our better engine keeps up when the median of its cells' ratios is at "
			"least 0.97 and no cell's interval lies\n"
			"wholly under 0.9. Rounds during which others use the disk are made again.",
		.opts = opts,
		.opt_count = sizeof(opts) / sizeof(opts[0]),
	};
	struct args args;

	if (!args_parse(&args, &spec, argc, argv, err) && !args.helped)
		(void)!run_io(&got, err);
	args_fini(&args, &spec);
	return err->code;
}
