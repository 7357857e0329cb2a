/* SPDX-License-Identifier: GPL-3.0-or-later */
/* model_make.c - checks what a model is to be made of, and tells what was made */
#include "model_make.h"

#include "cli.h"
#include "model_report.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

/* All that a signal handler may write. */
static volatile sig_atomic_t stopped;

static void stop(int number)
{
	(void)number;
	stopped = 1;
}

void make_stoppable(void)
{
	struct sigaction action = {.sa_handler = stop, .sa_flags = (int)SA_RESETHAND | SA_RESTART};

	sigemptyset(&action.sa_mask);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

int make_tell(void *progress, double done)
{
	(void)fraction_tell(progress, done);
	return stopped;
}

static const struct layout_ops *const layouts[] = {
#define LAYOUT(name) &layout_##name,
#include "layouts.h"
#undef LAYOUT
};
enum { LAYOUT_COUNT = sizeof(layouts) / sizeof(layouts[0]) };
_Static_assert(LAYOUT_COUNT <= (int)MAKE_LAYOUTS, "room for every layout");

static int choose_one(struct make_layouts *chosen, const char *name, struct err *err)
{
	const char *names[LAYOUT_COUNT];
	unsigned i;

	for (i = 0; i < LAYOUT_COUNT; i++) {
		names[i] = layouts[i]->name;
		if (strcmp(name, names[i]) == 0)
			break;
	}
	for (unsigned k = 0; i < LAYOUT_COUNT && k < chosen->count; k++)
		if (chosen->layouts[k] == layouts[i])
			return err_set(err, EINVAL, "--layout: got '%s' twice, expected it once",
				       name);
	if (i == LAYOUT_COUNT) {
		const char *near = near_name(name, names, LAYOUT_COUNT);

		return err_set(err, EINVAL, "--layout: got '%s', expected a layout%s%s%s", name,
			       near ? " (did you mean " : "", near ? near : "", near ? "?)" : "");
	}
	chosen->layouts[chosen->count++] = layouts[i];
	return 0;
}

int make_layouts(struct make_layouts *chosen, const struct arg_list *names, struct err *err)
{
	*chosen = (struct make_layouts){.count = 0};
	for (size_t i = 0; i < names->count; i++)
		if (choose_one(chosen, names->items[i], err))
			return err->code;
	if (names->count == 0) {
		memcpy(chosen->layouts, layouts, sizeof(layouts));
		chosen->count = LAYOUT_COUNT;
	}
	return 0;
}

int make_word(int *value, const char *option, const struct param_word *words, const char *text,
	      struct err *err)
{
	char expected[128] = "";

	*value = text ? word_value(words, text) : -1;
	if (!text || *value >= 0)
		return 0;
	for (size_t i = 0; words[i].text; i++) {
		size_t used = strlen(expected);

		snprintf(expected + used, sizeof(expected) - used, "%s%s", i ? ", " : "",
			 words[i].text);
	}
	return err_set(err, EINVAL, "--%s: got '%s', expected one of %s", option, text, expected);
}

int make_check(const struct make_args *args, struct err *err)
{
	if (!args->dir)
		return err_set(err, EINVAL, "-o MODEL is missing: the folder to make");
	return 0;
}

int make_report(const struct make_args *args, struct err *err)
{
	struct model_facts facts;
	const struct model_report report = {.dir = args->dir, .facts = &facts};

	if (model_facts_read(&facts, args->dir, err))
		return err->code;
	if (args->json)
		model_report_json(stdout, &report);
	else
		model_report_line(stdout, &report);
	return 0;
}
