/* SPDX-License-Identifier: GPL-3.0-or-later */
/* main.c - the flashcast command: finds the verb, prints the error, chooses the exit status */
#include "cli.h"
#include "flash_version.h"
#include "plain_text.h"

#include <errno.h>
#include <gsl/gsl_errno.h>
#include <stdio.h>
#include <string.h>

static const struct subverb verbs[] = {
#define VERB(name, about) {#name, about, verb_##name},
#include "verbs.h"
#undef VERB
};
enum { VERB_COUNT = sizeof(verbs) / sizeof(verbs[0]) };

static void print_help(FILE *out)
{
	fprintf(out,
		"flashcast forecasts how long a language model takes per token when its weights\n"
		"live on flash, and runs the same policies from real flash to measure it.\n\n"
		"usage: flashcast VERB [ARGUMENTS]\n\n");
	for (size_t i = 0; i < VERB_COUNT; i++)
		fprintf(out, "  %-10s %s\n", verbs[i].name, verbs[i].about);
	fprintf(out, "\n  flashcast VERB --help      explains one\n"
		     "  flashcast --help-config    every key of every YAML file\n"
		     "  flashcast --version\n\n"
		     "exit status: 0 done, 1 failed, 2 bad usage or bad config\n");
}

static int verb_names(int argc, char **argv, struct err *err)
{
	if (argc < 2) {
		print_help(stderr);
		return err_set(err, EINVAL, "no verb given");
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
	    strcmp(argv[1], "help") == 0) {
		print_help(stdout);
		return 0;
	}
	if (strcmp(argv[1], "--version") == 0) {
		printf("flashcast %s (%s)\n", FLASH_VERSION, FLASH_GIT_REV);
		return 0;
	}
	if (strcmp(argv[1], "--help-config") == 0) {
		config_help(stdout);
		return 0;
	}
	return subverb_run(NULL, verbs, VERB_COUNT, argc - 1, argv + 1, err);
}

int main(int argc, char **argv)
{
	struct err err = {0};

	gsl_set_error_handler_off(); /* its default aborts; every status is checked */
	if (!verb_names(argc, argv, &err) && (fflush(stdout) || ferror(stdout)))
		err_errno(&err, "cannot write to standard output");
	if (!err.code)
		return 0;
	fputs("flashcast: ", stderr);
	plain_write(stderr, err.msg);
	fputc('\n', stderr);
	return err.code == EINVAL ? 2 : 1;
}
