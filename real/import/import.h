/* SPDX-License-Identifier: GPL-3.0-or-later */
/* import.h - a published checkpoint becomes a model of ours: base.gguf and ffn.<layout>.gguf
 *
 * From a Hugging Face folder of the OPT or Falcon family, or a Falcon GGUF file.  Weights stream:
 * memory is 8 MiB to write from, 16 MiB to read into, 'column_bytes' to transpose in, and a tile a
 * thread, whatever the model's size. */
#ifndef FLASH_IMPORT_H
#define FLASH_IMPORT_H

#include "layout.h"
#include "model.h"

struct import_options {
	const struct layout_ops *const *layouts; /* files to write */
	unsigned layout_count;
	int weights;	     /* an enum weight_type, or -1: the checkpoint's own (its FFN's) */
	int activation;	     /* an enum activation, or -1: as the config says (GGUF: gelu) */
	uint64_t row_align;  /* 512 or 4096 */
	size_t column_bytes; /* 0: 256 MiB */
	size_t buffer_bytes; /* 0: 8 MiB, which is the most */
	unsigned threads;    /* 0: one a core */
	/* What the user should know and need not mend. May be NULL. */
	void (*warn)(void *arg, const char *text);
	void *warn_arg;
	/* Progress, 0 .. 1; non-zero stops with ECANCELED. May be NULL. */
	int (*progress)(void *arg, double done);
	void *progress_arg;
};

struct import_report {
	struct model model;
	enum weight_type weights;
	bool has_tokenizer;
};

/* 'from': a folder with config.json, or a file ending in .gguf.  Nothing of it stands in 'dir'
 * before all of it is on disk. */
MUST_CHECK int model_import(const char *dir, const char *from, const struct import_options *options,
			    struct import_report *report, struct err *err);

#endif
