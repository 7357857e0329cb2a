/* SPDX-License-Identifier: GPL-3.0-or-later */
/* import.c - config, tensors, tokenizer: what belongs to a model is found and checked, then written
 * in one go */
#include "import.h"

#include "cores.h"
#include "gguf_config.h"
#include "import_rows.h"
#include "import_source.h"
#include "real_kernels.h"
#include "tokenizer.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { COLUMN_BYTES = 256 * 1024 * 1024, THREADS_MAX = 16, WARNING = 1024 };

struct import {
	const struct import_options *options;
	const char *from;
	struct gguf *gguf; /* NULL: a folder */
	struct checkpoint *checkpoint;
	struct tokenizer *tokenizer; /* NULL: there is none */
	struct source source;
	struct pool *pool;
	struct import_rows *rows;
	enum weight_type weights;
};

static void warn(const struct import *im, const char *text)
{
	if (im->options->warn)
		im->options->warn(im->options->warn_arg, text);
}

static bool is_gguf(const char *path)
{
	size_t length = strlen(path);

	return length > 5 && strcmp(path + length - 5, ".gguf") == 0;
}

static int read_folder_config(struct hf_config *config, const char *dir, struct err *err)
{
	size_t size = strlen(dir) + sizeof("/config.json");
	struct stat st = {0};
	char *path;

	if (stat(dir, &st) != 0)
		return err_errno(err, "%s: cannot read", dir);
	if (!S_ISDIR(st.st_mode))
		return err_set(err, EINVAL,
			       "%s: got a file, expected a folder with config.json or a file that "
			       "ends in .gguf",
			       dir);
	path = malloc(size);
	if (!path)
		return err_nomem(err, "a file's name", size);
	snprintf(path, size, "%s/config.json", dir);
	if (access(path, F_OK) == 0 || !checkpoint_gguf_found(dir, err))
		(void)!hf_config_read(config, path, err);
	free(path);
	return err->code;
}

/* "models/opt-6.7b/" and "opt-6.7b.gguf" give opt-6.7b. */
static void name_after_path(struct model *m, const char *path)
{
	size_t end = strlen(path), begin;

	while (end > 1 && path[end - 1] == '/')
		end--;
	begin = end;
	while (begin > 0 && path[begin - 1] != '/')
		begin--;
	if (is_gguf(path))
		end -= strlen(".gguf");
	if (end - begin >= sizeof(m->name))
		end = begin + sizeof(m->name) - 1;
	memcpy(m->name, path + begin, end - begin);
	m->name[end - begin] = '\0';
}

/* It will stand in tables and on terminals. */
static bool is_printable(const char *name)
{
	for (const char *c = name; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 127)
			return false;
	return name[0] != '\0';
}

/* As the user says; said aloud where the checkpoint says otherwise (a GGUF file says nothing). */
static void set_activation(const struct import *im, struct hf_config *config, unsigned activation)
{
	char text[WARNING];

	if (!im->gguf && config->model.activation != activation) {
		snprintf(text, sizeof(text),
			 "--activation: got %s, expected %s as %.600s/config.json says: the "
			 "option is obeyed, and the model computes something else",
			 activation_words[activation].text,
			 activation_words[config->model.activation].text, im->from);
		warn(im, text);
	}
	config->model.activation = activation;
}

static int read_config(struct import *im, struct hf_config *config, struct err *err)
{
	const struct import_options *o = im->options;

	if (is_gguf(im->from)) {
		if (gguf_open(&im->gguf, im->from, err) || gguf_config_read(config, im->gguf, err))
			return err->code;
	} else if (read_folder_config(config, im->from, err)) {
		return err->code;
	}
	if (!is_printable(config->model.name))
		name_after_path(&config->model, im->from);
	if (config->note[0])
		warn(im, config->note);
	if (o->activation >= 0)
		set_activation(im, config, (unsigned)o->activation);
	config->model.row_align = o->row_align;
	if (config->model.activation != ACT_RELU)
		warn(im, "the FFN's activation is a GELU, which gives no zeros: there is no "
			 "sparsity to use, and a policy that reads active neurons reads all of "
			 "them");
	return 0;
}

/* Where the tokenizer does not say which token ends a text, the config may. */
static void find_eos(struct import *im)
{
	struct err own = {0};
	char text[WARNING];
	uint32_t there;
	int64_t id;

	if (im->gguf || tokenizer_eos(im->tokenizer, &there))
		return;
	if (!hf_eos_read(&id, im->from, &own) && id >= 0)
		(void)!tokenizer_set_eos(im->tokenizer, (uint32_t)id, &own);
	if (!own.code)
		return;
	snprintf(text, sizeof(text), "no token ends a text: %s", own.msg);
	warn(im, text);
}

/* A model without one imports: everything that takes token ids works on it. */
static int read_tokenizer(struct import *im, struct err *err)
{
	struct err own = {0};
	char text[WARNING];

	if (im->gguf)
		(void)!tokenizer_read_gguf(&im->tokenizer, im->gguf, &own);
	else
		(void)!tokenizer_read_folder(&im->tokenizer, im->from, &own);
	if (own.code && own.code != ENOENT && own.code != ENOTSUP)
		return err_set(err, own.code, "%s", own.msg);
	if (own.code) {
		snprintf(text, sizeof(text),
			 "no tokenizer (%s): the model takes token ids, not text", own.msg);
		warn(im, text);
		return 0;
	}
	find_eos(im);
	if (tokenizer_vocab_count(im->tokenizer) > im->source.config.model.vocab_count) {
		snprintf(text, sizeof(text),
			 "the tokenizer has %" PRIu32 " tokens, the model's embedding %" PRIu64
			 ": text with the others cannot be run",
			 tokenizer_vocab_count(im->tokenizer), im->source.config.model.vocab_count);
		warn(im, text);
	}
	return 0;
}

/* The head is the embedding, or a matrix of its own.  Checkpoints repeat the embedding as the head,
 * and may say that the two are one and hold two. */
static int check_head(struct import *im, struct err *err)
{
	struct source *s = &im->source;
	struct head_difference d;

	if (!s->head && !s->config.tied && !im->gguf)
		return err_set(err, EBADMSG,
			       "%s: tensor 'lm_head.weight' is missing: the config says "
			       "tie_word_embeddings: false, expected a head of its own",
			       im->from);
	if (!s->head)
		return 0;
	if (import_compare_head(im->rows, &d, err))
		return err->code;
	if (d.differs && s->config.tied)
		return err_set(err, EBADMSG,
			       "%s: tensor '%s': row %" PRIu64 ", column %" PRIu64
			       ": got %g, expected %g as in '%s': the config says that they are "
			       "one (tie_word_embeddings)",
			       im->from, s->head->name, d.row, d.column, d.head, d.embedding,
			       s->embedding->name);
	s->config.model.own_head = d.differs;
	return 0;
}

static int find_weights(struct import *im, struct err *err)
{
	struct source_tensor up;

	if (source_find(&im->source, "blk.0.ffn_up.weight", 0, &up, err))
		return err->code;
	im->weights = im->options->weights >= 0 ? (enum weight_type)im->options->weights
						: up.parts[0]->type;
	return 0;
}

static int open_all(struct import *im, struct err *err)
{
	const struct import_options *o = im->options;
	unsigned cores = cores_usable();
	struct import_rows_options rows = {.source = &im->source};
	struct hf_config config = {.tied = false};

	if (cores > THREADS_MAX)
		cores = THREADS_MAX;
	if (read_config(im, &config, err) || checkpoint_open(&im->checkpoint, im->from, err) ||
	    source_open(&im->source, im->checkpoint, im->from, &config, im->gguf != NULL, err) ||
	    find_weights(im, err) || read_tokenizer(im, err) ||
	    pool_open(&im->pool, o->threads ? o->threads : cores, err))
		return err->code;
	rows.pool = im->pool;
	rows.column_bytes = o->column_bytes ? o->column_bytes : COLUMN_BYTES;
	if (import_rows_open(&im->rows, &rows, err))
		return err->code;
	return check_head(im, err);
}

static int get_rows(void *arg, const struct file_tensors *it, const struct row_span *span,
		    struct err *err)
{
	const struct import *im = arg;

	return import_rows_get(im->rows, it, span, err);
}

static void put_keys(void *arg, struct gguf_head *head, const struct file_map *map)
{
	const struct import *im = arg;

	if (!map->layout && im->tokenizer)
		tokenizer_write_gguf(im->tokenizer, head);
}

static int import_write(struct import *im, const char *dir, struct err *err)
{
	const struct import_options *o = im->options;
	const struct row_source source = {im, get_rows, put_keys};
	const struct write_options write = {
		.model = &im->source.config.model,
		.weights = im->weights,
		.layouts = o->layouts,
		.layout_count = o->layout_count,
		.buffer_bytes = o->buffer_bytes,
		.source = im->gguf ? "GGUF" : "Hugging Face",
		.progress = o->progress,
		.progress_arg = o->progress_arg,
	};

	return model_write(dir, &write, &source, err);
}

int model_import(const char *dir, const char *from, const struct import_options *options,
		 struct import_report *report, struct err *err)
{
	struct import im = {.options = options, .from = from};

	if (!open_all(&im, err) && !import_write(&im, dir, err))
		*report = (struct import_report){im.source.config.model, im.weights,
						 im.tokenizer != NULL};
	import_rows_close(im.rows);
	pool_close(im.pool);
	tokenizer_close(im.tokenizer);
	checkpoint_close(im.checkpoint);
	gguf_close(im.gguf);
	return err->code;
}
