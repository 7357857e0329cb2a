/* SPDX-License-Identifier: GPL-3.0-or-later */
/* subverb.c - chooses a verb by name, with a hint for a near miss */
#include "cli.h"

#include "param.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { SUBVERBS_MOST = 32 };

static void print_help(const char *verb, const struct subverb *subs, size_t count)
{
	printf("usage: flashcast %s VERB [ARGUMENTS]\n\n", verb);
	for (size_t i = 0; i < count; i++)
		printf("  %-10s %s\n", subs[i].name, subs[i].about);
	printf("\n  flashcast %s VERB --help explains one\n", verb);
}

int subverb_run(const char *verb, const struct subverb *subs, size_t count, int argc, char **argv,
		struct err *err)
{
	const char *names[SUBVERBS_MOST], *near;
	const char *where = verb ? verb : "", *space = verb ? " " : "";

	for (size_t i = 0; i < count && i < SUBVERBS_MOST; i++)
		names[i] = subs[i].name;
	if (argc < 1)
		return err_set(err, EINVAL,
			       "%s: wants a verb of its own: flashcast %s --help lists them", where,
			       where);
	if (verb && (strcmp(argv[0], "--help") == 0 || strcmp(argv[0], "-h") == 0)) {
		print_help(verb, subs, count);
		return 0;
	}
	for (size_t i = 0; i < count; i++)
		if (strcmp(argv[0], subs[i].name) == 0)
			return subs[i].run(argc - 1, argv + 1, err);
	near = near_name(argv[0], names, count);
	if (near)
		return err_set(err, EINVAL, "unknown verb '%s%s%s' (did you mean %s?)", where,
			       space, argv[0], near);
	return err_set(err, EINVAL, "unknown verb '%s%s%s' (flashcast %s%s--help lists them)",
		       where, space, argv[0], where, space);
}
