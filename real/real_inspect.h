/* SPDX-License-Identifier: GPL-3.0-or-later */
/* real_inspect.h - what is inside a model's folder: facts from its headers, and whether its bytes
 * are those that were written */
#ifndef FLASH_REAL_INSPECT_H
#define FLASH_REAL_INSPECT_H

#include "digest.h"
#include "err.h"
#include "layout.h"
#include "model.h"

struct model_file {
	const struct layout_ops *layout; /* NULL: base.gguf */
	char name[64];			 /* "ffn.bundle.gguf" */
	uint64_t bytes;
	uint64_t header_bytes;	  /* keys, tokenizer and tensor table */
	uint64_t weight_bytes;	  /* unpadded */
	uint64_t padding_bytes;	  /* of rows, and up to where tensors begin */
	char digest[DIGEST_TEXT]; /* as the header says */
};

enum { MODEL_FILES = 8 };

/* A layout's file that lies there and does not belong. */
struct model_stray {
	const struct layout_ops *layout;
	char why[sizeof(((struct err *)NULL)->msg)]; /* file, got, expected */
};

struct model_facts {
	struct model shape;
	enum weight_type weights;
	char digest[DIGEST_TEXT]; /* real_model_digest() */
	char source[64];	  /* "synthetic", "Hugging Face", "GGUF"; "" when it does not say */
	char tokenizer[64];   /* "gpt2 (falcon)": GGUF's model and splitting rule; "" without one */
	uint64_t token_count; /* of the tokenizer */
	struct model_file files[MODEL_FILES]; /* base first */
	unsigned file_count;
	struct model_stray strays[MODEL_FILES];
	unsigned stray_count;
};

/* Every file is opened as for a run; one that is malformed or of another model is a stray.  ENOENT
 * when there is no layout's file at all; where none belongs, what is wrong with the first. */
MUST_CHECK int model_facts_read(struct model_facts *facts, const char *dir, struct err *err);

/* For a folder that no model was found in: puts in front of the error that it is a checkpoint, and
 * what to do with it, where it looks like one.  Returns err->code. */
int model_hint(const char *dir, struct err *err);

/* Tensors of a file, each layer being like the first. */
void model_file_list(const struct model_facts *facts, const struct model_file *file, FILE *out);

/* Reads all of a file and holds it against its digest: EBADMSG with both when it is another.
 * 'progress' as in struct synth_options, over this file. */
MUST_CHECK int model_file_verify(const char *dir, const struct model_file *file,
				 int (*progress)(void *arg, double done), void *progress_arg,
				 struct err *err);

#endif
