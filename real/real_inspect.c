/* SPDX-License-Identifier: GPL-3.0-or-later */
/* real_inspect.c - headers become facts; files are read through and held against their digests */
#include "real_inspect.h"

#include "real_model.h"
#include "real_write.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BUFFER_BYTES = 8 * 1024 * 1024 };

static const struct layout_ops *const layouts[] = {
#define LAYOUT(name) &layout_##name,
#include "layouts.h"
#undef LAYOUT
};
enum { LAYOUTS = sizeof(layouts) / sizeof(layouts[0]) };
_Static_assert((int)LAYOUTS < (int)MODEL_FILES, "room for base.gguf and every layout");

static uint64_t weight_bytes_of(const struct file_map *map)
{
	struct file_tensors it = {.map = map};
	uint64_t bytes = 0;

	while (file_tensors_next(&it))
		bytes += it.tensor.row_bytes * it.tensor.dims[1];
	return bytes;
}

static void copy_text(char *to, size_t size, const struct gguf *gguf, const char *key)
{
	struct err none = {0};
	const char *text;

	if (!gguf_has(gguf, key) || gguf_text(gguf, key, &text, &none))
		text = "";
	snprintf(to, size, "%s", text);
}

static void note_tokenizer(struct model_facts *facts, const struct gguf *gguf)
{
	const struct gguf_array *tokens;
	struct err none = {0};
	char model[24], rule[24];

	if (!gguf_has(gguf, "tokenizer.ggml.tokens") ||
	    gguf_texts(gguf, "tokenizer.ggml.tokens", &tokens, &none))
		return;
	copy_text(model, sizeof(model), gguf, "tokenizer.ggml.model");
	copy_text(rule, sizeof(rule), gguf, "tokenizer.ggml.pre");
	snprintf(facts->tokenizer, sizeof(facts->tokenizer), rule[0] ? "%s (%s)" : "%s%s", model,
		 rule);
	facts->token_count = gguf_array_count(tokens);
}

static int add_file(struct model_facts *facts, const struct real_model *rm,
		    const struct layout_ops *layout, struct err *err)
{
	const struct file_map map = {&facts->shape, facts->weights, layout};
	const char *path = real_model_path(rm, layout != NULL);
	struct model_file *f = &facts->files[facts->file_count];
	struct gguf *gguf;

	if (gguf_open(&gguf, path, err))
		return err->code;
	f->layout = layout;
	snprintf(f->name, sizeof(f->name), "%s", strrchr(path, '/') + 1);
	f->bytes = gguf_file_bytes(gguf);
	f->header_bytes = gguf_data_offset(gguf);
	f->weight_bytes = weight_bytes_of(&map);
	f->padding_bytes = file_data_bytes(&map) - f->weight_bytes;
	copy_text(f->digest, sizeof(f->digest), gguf, FILE_DIGEST_KEY);
	if (!layout) {
		copy_text(facts->source, sizeof(facts->source), gguf, "flashcast.source");
		note_tokenizer(facts, gguf);
	}
	facts->file_count++;
	gguf_close(gguf);
	return 0;
}

static int add_layout(struct model_facts *facts, const char *dir, const struct layout_ops *layout,
		      struct err *err)
{
	struct real_model *rm;

	if (real_model_open(&rm, dir, layout, NULL, err))
		return err->code;
	if (facts->file_count == 0) {
		facts->shape = *real_model_shape(rm);
		facts->weights = real_model_weights(rm);
		snprintf(facts->digest, sizeof(facts->digest), "%s", real_model_digest(rm));
		(void)!add_file(facts, rm, NULL, err);
	}
	if (!err->code)
		(void)!add_file(facts, rm, layout, err);
	real_model_close(rm);
	return err->code;
}

/* A file that does not belong says nothing against those that do. */
static int add_or_stray(struct model_facts *facts, const char *dir, const struct layout_ops *layout,
			struct err *err)
{
	struct err why = {0};
	struct model_stray *stray = &facts->strays[facts->stray_count];

	switch (add_layout(facts, dir, layout, &why)) {
	case 0:
		return 0;
	case EBADMSG:
	case EINVAL: /* another geometry */
		stray->layout = layout;
		memcpy(stray->why, why.msg, sizeof(stray->why));
		facts->stray_count++;
		return 0;
	default:
		return err_set(err, why.code, "%s", why.msg);
	}
}

int model_hint(const char *dir, struct err *err)
{
	const size_t size = strlen(dir) + sizeof("/config.json");
	char *path = malloc(size);

	if (!path)
		return err->code; /* the error that stands says more */
	snprintf(path, size, "%s/config.json", dir);
	if (err->code == ENOENT && access(path, F_OK) == 0)
		err_where(err, "got a checkpoint, expected a model: model import %s -o MODEL", dir);
	free(path);
	return err->code;
}

int model_facts_read(struct model_facts *facts, const char *dir, struct err *err)
{
	memset(facts, 0, sizeof(*facts));
	for (size_t i = 0; i < LAYOUTS; i++) {
		char *path = file_path(dir, layouts[i]);
		bool there = path && access(path, F_OK) == 0;

		if (!path)
			return err_nomem(err, "a file's name", strlen(dir));
		free(path);
		if (there && add_or_stray(facts, dir, layouts[i], err))
			return err->code;
	}
	if (facts->file_count > 0)
		return 0;
	if (facts->stray_count > 0)
		return err_set(err, EBADMSG, "%s", facts->strays[0].why);
	err_set(err, ENOENT, "%s: no model: no file ffn.<layout>.gguf in it", dir);
	return model_hint(dir, err);
}

void model_file_list(const struct model_facts *facts, const struct model_file *file, FILE *out)
{
	const struct file_map map = {&facts->shape, facts->weights, file->layout};
	struct file_tensors it = {.map = &map};

	while (file_tensors_next(&it)) {
		const struct model_tensor *t = &it.tensor;

		if (it.layer > 0)
			continue;
		fprintf(out,
			"  %-24s %-4s %8" PRIu64 " x %-8" PRIu64 " rows of %" PRIu64
			" bytes, %" PRIu64 " apart, at %" PRIu64 "\n",
			t->name, weight_type_words[t->type].text, t->dims[0], t->dims[1],
			t->row_bytes, t->row_stride, it.at);
	}
}

/* A file being read from front to back. */
struct verify {
	int fd;
	const char *path;
	const struct model_file *file;
	unsigned char *head, *buffer;
	struct digest *data;
	int (*progress)(void *arg, double done);
	void *progress_arg;
};

static int read_all(const struct verify *v, uint64_t at, unsigned char *to, uint64_t bytes,
		    struct err *err)
{
	while (bytes > 0) {
		ssize_t got = pread(v->fd, to, bytes, (off_t)at);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_errno(err, "%s: cannot read at %" PRIu64, v->path, at);
		if (got == 0)
			return err_set(err, EBADMSG,
				       "%s: ends at byte %" PRIu64 ", expected %" PRIu64 " bytes",
				       v->path, at, v->file->bytes);
		to += got;
		at += (uint64_t)got;
		bytes -= (uint64_t)got;
	}
	return 0;
}

static int verify_data(const struct verify *v, struct err *err)
{
	const uint64_t end = v->file->bytes;

	for (uint64_t at = v->file->header_bytes; at < end; at += BUFFER_BYTES) {
		uint64_t some = end - at < BUFFER_BYTES ? end - at : BUFFER_BYTES;

		if (read_all(v, at, v->buffer, some, err))
			return err->code;
		digest_add(v->data, v->buffer, some);
		if (v->progress && v->progress(v->progress_arg, (double)(at + some) / (double)end))
			return err_set(err, ECANCELED, "stopped");
	}
	return 0;
}

static int verify_run(struct verify *v, struct err *err)
{
	char got[DIGEST_TEXT];

	v->head = malloc(v->file->header_bytes);
	v->buffer = malloc(BUFFER_BYTES);
	v->data = digest_open();
	if (!v->head || !v->buffer || !v->data)
		return err_nomem(err, "reading a file", v->file->header_bytes + BUFFER_BYTES);
	v->fd = open(v->path, O_RDONLY | O_CLOEXEC);
	if (v->fd < 0)
		return err_errno(err, "%s: cannot open", v->path);
	if (read_all(v, 0, v->head, v->file->header_bytes, err) || verify_data(v, err) ||
	    file_digest(got, v->head, v->file->header_bytes, v->data, v->path, err))
		return err->code;
	if (strcmp(got, v->file->digest) != 0)
		return err_set(err, EBADMSG,
			       "%s: digest of its bytes: got %s, expected %s: it is not what was "
			       "written",
			       v->path, got, v->file->digest);
	return 0;
}

int model_file_verify(const char *dir, const struct model_file *file,
		      int (*progress)(void *arg, double done), void *progress_arg, struct err *err)
{
	char *path = file_path(dir, file->layout);
	struct verify v = {.fd = -1,
			   .path = path,
			   .file = file,
			   .progress = progress,
			   .progress_arg = progress_arg};

	if (!path)
		return err_nomem(err, "a file's name", strlen(dir));
	(void)!verify_run(&v, err);
	if (v.fd >= 0)
		close(v.fd);
	digest_close(v.data);
	free(v.head);
	free(v.buffer);
	free(path);
	return err->code;
}
