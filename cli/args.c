/* SPDX-License-Identifier: GPL-3.0-or-later */
/* args.c - parses options by their table, and prints the table as help */
#include "args.h"

#include "param.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void print_option(const struct opt *opt)
{
	char left[64];

	if (opt->letter)
		snprintf(left, sizeof(left), "-%c, --%s%s%s", opt->letter, opt->name,
			 opt->value ? " " : "", opt->value ? opt->value : "");
	else
		snprintf(left, sizeof(left), "    --%s%s%s", opt->name, opt->value ? " " : "",
			 opt->value ? opt->value : "");
	printf("  %-28s %s\n", left, opt->help);
}

static void print_help(const struct verb_spec *spec)
{
	printf("usage: flashcast %s\n\n%s\n", spec->usage, spec->about);
	if (spec->opt_count)
		printf("\noptions:\n");
	for (size_t i = 0; i < spec->opt_count; i++)
		print_option(&spec->opts[i]);
}

static const struct opt *find_long(const struct verb_spec *spec, const char *name, size_t length)
{
	for (size_t i = 0; i < spec->opt_count; i++)
		if (strlen(spec->opts[i].name) == length &&
		    strncmp(spec->opts[i].name, name, length) == 0)
			return &spec->opts[i];
	return NULL;
}

static const struct opt *find_letter(const struct verb_spec *spec, char letter)
{
	for (size_t i = 0; i < spec->opt_count; i++)
		if (spec->opts[i].letter == letter)
			return &spec->opts[i];
	return NULL;
}

static int unknown_option(const struct verb_spec *spec, const char *arg, struct err *err)
{
	const char **names = calloc(spec->opt_count + 1, sizeof(*names));
	const char *near = NULL;

	for (size_t i = 0; names && i < spec->opt_count; i++)
		names[i] = spec->opts[i].name;
	if (names && arg[1] == '-')
		near = near_name(arg + 2, names, spec->opt_count);
	if (near)
		err_set(err, EINVAL, "unknown option %s (did you mean --%s?)", arg, near);
	else
		err_set(err, EINVAL, "unknown option %s (flashcast %.*s --help lists them)", arg,
			(int)strcspn(spec->usage, " "), spec->usage);
	free(names);
	return err->code;
}

static int store_count(const struct opt *opt, const char *text, struct err *err)
{
	double value;

	if (unit_parse(&value, text, DIM_COUNT, err))
		return err_where(err, "--%s", opt->name);
	if (value != floor(value) || value < (double)opt->least || value > 9007199254740992.0)
		return err_set(err, EINVAL,
			       "--%s: got %s, expected a whole number of at least %llu", opt->name,
			       text, (unsigned long long)opt->least);
	*(uint64_t *)opt->to = (uint64_t)value;
	return 0;
}

static int store_value(const struct opt *opt, const char *text, struct err *err)
{
	struct arg_list *list;

	switch (opt->kind) {
	case OPT_TEXT:
		*(const char **)opt->to = text;
		return 0;
	case OPT_LIST:
		list = opt->to;
		list->items[list->count++] = text;
		return 0;
	case OPT_COUNT:
		return store_count(opt, text, err);
	case OPT_UNIT:
		if (unit_parse(opt->to, text, opt->dim, err))
			return err_where(err, "--%s", opt->name);
		return 0;
	case OPT_FLAG:
		break;
	}
	*(bool *)opt->to = true;
	return 0;
}

/* One option at argv[*i]; takes the argument after it when it needs a value. */
static int take_option(const struct verb_spec *spec, int argc, char **argv, int *i, struct err *err)
{
	const char *arg = argv[*i], *value = NULL;
	const struct opt *opt;

	if (arg[1] == '-') {
		size_t length = strcspn(arg + 2, "=");

		opt = find_long(spec, arg + 2, length);
		if (arg[2 + length] == '=')
			value = arg + 2 + length + 1;
	} else {
		opt = find_letter(spec, arg[1]);
		if (arg[2])
			value = arg + 2;
	}
	if (!opt)
		return unknown_option(spec, arg, err);
	if (opt->kind == OPT_FLAG && value)
		return err_set(err, EINVAL, "--%s takes no value, got '%s'", opt->name, value);
	if (opt->kind != OPT_FLAG && !value) {
		if (*i + 1 >= argc)
			return err_set(err, EINVAL, "--%s needs a value: %s", opt->name,
				       opt->value);
		value = argv[++*i];
	}
	return store_value(opt, value, err);
}

static int make_room(struct args *args, const struct verb_spec *spec, size_t argc, struct err *err)
{
	args->operands.items = calloc(argc + 1, sizeof(char *));
	if (!args->operands.items)
		return err_nomem(err, "arguments", argc * sizeof(char *));
	for (size_t i = 0; i < spec->opt_count; i++) {
		struct arg_list *list = spec->opts[i].to;

		if (spec->opts[i].kind != OPT_LIST)
			continue;
		list->items = calloc(argc + 1, sizeof(char *));
		if (!list->items)
			return err_nomem(err, "arguments", argc * sizeof(char *));
	}
	return 0;
}

static int check_operands(const struct args *args, const struct verb_spec *spec, struct err *err)
{
	if (args->operands.count < spec->operands_least)
		return err_set(err, EINVAL, "too few arguments: got %zu, expected: flashcast %s",
			       args->operands.count, spec->usage);
	if (args->operands.count > spec->operands_most)
		return err_set(err, EINVAL, "unexpected argument '%s', expected: flashcast %s",
			       args->operands.items[spec->operands_most], spec->usage);
	return 0;
}

int args_parse(struct args *args, const struct verb_spec *spec, int argc, char **argv,
	       struct err *err)
{
	bool options = true;

	*args = (struct args){0};
	for (int i = 0; i < argc; i++)
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
			args->helped = true;
	if (args->helped) {
		print_help(spec);
		return 0;
	}
	if (make_room(args, spec, (size_t)argc, err))
		return err->code;
	for (int i = 0; i < argc; i++) {
		if (options && strcmp(argv[i], "--") == 0)
			options = false;
		else if (options && argv[i][0] == '-' && argv[i][1]) {
			if (take_option(spec, argc, argv, &i, err))
				return err->code;
		} else {
			args->operands.items[args->operands.count++] = argv[i];
		}
	}
	return check_operands(args, spec, err);
}

void args_fini(struct args *args, const struct verb_spec *spec)
{
	free(args->operands.items);
	for (size_t i = 0; i < spec->opt_count; i++) {
		struct arg_list *list = spec->opts[i].to;

		if (spec->opts[i].kind != OPT_LIST)
			continue;
		free(list->items);
		*list = (struct arg_list){0};
	}
}
