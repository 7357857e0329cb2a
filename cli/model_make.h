/* SPDX-License-Identifier: GPL-3.0-or-later */
/* model_make.h - what `model import` and `model synth` share: options, their checks, the report */
#ifndef FLASH_MODEL_MAKE_H
#define FLASH_MODEL_MAKE_H

#include "args.h"
#include "layout.h"

enum { MAKE_LAYOUTS = 8 };

struct make_args {
	const char *dir, *weights, *activation;
	struct arg_list layouts;
	uint64_t seed;
	double row_align_bytes;
	bool json;
};

struct make_layouts {
	const struct layout_ops *layouts[MAKE_LAYOUTS];
	unsigned count;
};

/* By name, each once; all of them when none is named. */
MUST_CHECK int make_layouts(struct make_layouts *chosen, const struct arg_list *names,
			    struct err *err);
/* An option's word; -1 when it was not given. */
MUST_CHECK int make_word(int *value, const char *option, const struct param_word *words,
			 const char *text, struct err *err);
MUST_CHECK int make_check(const struct make_args *args, struct err *err);
/* What was made, read back from its files. */
MUST_CHECK int make_report(const struct make_args *args, struct err *err);

/* Ctrl-C and SIGTERM stop what is being made at its next piece, and nothing of it stays; a second
 * one ends the process. make_tell() is the progress callback: fraction_tell(), and when to stop. */
void make_stoppable(void);
int make_tell(void *progress, double done);

/* `model import` */
MUST_CHECK int verb_model_import(int argc, char **argv, struct err *err);

#endif
