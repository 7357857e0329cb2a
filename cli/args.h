/* SPDX-License-Identifier: GPL-3.0-or-later */
/* args.h - a verb's options as one table, which parses the command line and prints the help */
#ifndef FLASH_ARGS_H
#define FLASH_ARGS_H

#include "err.h"
#include "units.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum opt_kind {
	OPT_FLAG,  /* bool *: true when given */
	OPT_TEXT,  /* const char **: the last one given */
	OPT_LIST,  /* struct arg_list *: all that are given */
	OPT_COUNT, /* uint64_t *: a whole number of at least 'least' */
	OPT_UNIT   /* double *: a value of 'dim', in its base unit */
};

struct arg_list {
	const char **items;
	size_t count; /* items is sized by args_parse() and freed by args_fini() */
};

struct opt {
	const char *name; /* without the dashes */
	char letter;	  /* short form, 0 = none */
	enum opt_kind kind;
	void *to;
	const char *value; /* "DIR", "N": how help calls the value */
	const char *help;
	enum dim dim;
	uint64_t least;
};

struct verb_spec {
	const char *usage; /* "run EXPERIMENT.yaml -o DIR" */
	const char *about; /* a paragraph */
	const struct opt *opts;
	size_t opt_count;
	size_t operands_least, operands_most;
};

struct args {
	struct arg_list operands;
	bool helped; /* --help was given and printed: nothing more is to be done */
};

/* Options may stand anywhere before "--".  EINVAL names the argument, and the nearest option for an
 * unknown one. */
MUST_CHECK int args_parse(struct args *args, const struct verb_spec *spec, int argc, char **argv,
			  struct err *err);
void args_fini(struct args *args, const struct verb_spec *spec);

#endif
