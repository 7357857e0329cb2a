/* SPDX-License-Identifier: GPL-3.0-or-later */
/* plot.c - the script around a figure, and the only pipe to gnuplot */
#include "plot.h"

#include "newfile.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

static const struct figure_ops *const figures[] = {
#define FIGURE(id) &figure_##id,
#include "figures.h"
#undef FIGURE
};
enum { FIGURE_COUNT = sizeof(figures) / sizeof(figures[0]) };

const struct figure_ops *figure_at(size_t i)
{
	return i < FIGURE_COUNT ? figures[i] : NULL;
}

/* '_' is as good as '-'. */
static bool names_figure(const char *text, const char *name)
{
	for (; *text && *name; text++, name++)
		if (*text != *name && !(*text == '_' && *name == '-'))
			return false;
	return *text == *name;
}

const struct figure_ops *figure_find(const char *name)
{
	for (size_t i = 0; i < FIGURE_COUNT; i++)
		if (names_figure(name, figures[i]->name))
			return figures[i];
	return NULL;
}

/* Text inside a double-quoted gnuplot string: quotes and backslashes would end it, '_' and '^' are
 * plain because every terminal is set noenhanced. */
void figure_put_text(FILE *script, const char *text)
{
	fputc('"', script);
	for (; *text; text++)
		fputc(*text == '"' || *text == '\\' || (unsigned char)*text < ' ' ? '\'' : *text,
		      script);
	fputc('"', script);
}

static void write_frame(FILE *script, const struct figure_ops *figure, const char *name)
{
	fprintf(script,
		"do for [kind in \"png svg\"] {\n"
		"reset\n"
		"if (kind eq \"png\") { set terminal pngcairo noenhanced size %.0f,%.0f font "
		"\"DejaVu Sans,10\" }\n"
		"if (kind eq \"svg\") { set terminal svg noenhanced size %.0f,%.0f font \"DejaVu "
		"Sans,12\" background \"white\" }\n"
		"set output \"%s.\".kind\n"
		"set style line 1 lc rgb \"#4477aa\" lw 2 pt 7\n"
		"set style line 2 lc rgb \"#ee6677\" lw 2 pt 5\n"
		"set style line 3 lc rgb \"#228833\" lw 2 pt 9\n"
		"set style line 4 lc rgb \"#ccbb44\" lw 2 pt 13\n"
		"set style line 5 lc rgb \"#aa3377\" lw 2 pt 11\n"
		"set style line 6 lc rgb \"#66ccee\" lw 2 pt 4\n"
		"set style line 7 lc rgb \"#bbbbbb\" lw 2 pt 6\n"
		"set border 3 lc rgb \"#444444\"\n"
		"set tics nomirror out\n"
		"set grid ytics lc rgb \"#dddddd\" lw 1\n"
		"%s"
		"unset output\n"
		"}\n",
		figure->width, figure->height, figure->width, figure->height, name, figure->body);
}

/* ": opt-6.7b on m1-max" for titles; what the rows do not share is left out. */
static void put_subject(FILE *script, const struct result_row *rows, size_t count)
{
	bool one_model = count > 0, one_device = count > 0;
	char text[2 * RESULT_TEXT + 16];

	for (size_t i = 1; i < count; i++) {
		one_model = one_model && strcmp(rows[i].model, rows[0].model) == 0;
		one_device = one_device && strcmp(rows[i].device, rows[0].device) == 0;
	}
	snprintf(text, sizeof(text), "%s%s%s%s", one_model || one_device ? ": " : "",
		 one_model ? rows[0].model : "", one_model && one_device ? " on " : "",
		 one_device ? rows[0].device : "");
	fputs("subject = ", script);
	figure_put_text(script, text);
	fputc('\n', script);
}

/* The whole script into memory, so that the file and the pipe get the same bytes. */
static int write_script(char **text, const struct figure_ops *figure, const char *name,
			const struct result_row *rows, size_t count, struct err *err)
{
	size_t bytes;
	FILE *script = open_memstream(text, &bytes);

	if (!script)
		return err_nomem(err, "a figure's script", 0);
	fprintf(script, "# %s - %s\n# draw again with: gnuplot %s.gp\n", name, figure->help, name);
	put_subject(script, rows, count);
	if (!figure->data(script, rows, count, err))
		write_frame(script, figure, name);
	if (fclose(script) && !err->code)
		err_errno(err, "a figure's script");
	return err->code;
}

static int save_script(const char *path, const char *text, struct err *err)
{
	struct newfile file;

	if (newfile_open(&file, path, err))
		return err->code;
	fputs(text, file.stream);
	return newfile_commit(&file, err);
}

/* Quote for the shell: inside single quotes all is literal but the quote itself. */
static void put_quoted(FILE *out, const char *text)
{
	fputc('\'', out);
	for (; *text; text++)
		fputs(*text == '\'' ? "'\\''" : (const char[]){*text, 0}, out);
	fputc('\'', out);
}

static int pipe_to_gnuplot(const char *folder, const char *name, const char *text, struct err *err)
{
	struct sigaction ignore = {.sa_handler = SIG_IGN}, before;
	char *command = NULL;
	size_t bytes;
	FILE *out = open_memstream(&command, &bytes), *gnuplot;
	int status, broken;

	if (!out)
		return err_nomem(err, "a command", 0);
	fputs("cd ", out);
	put_quoted(out, folder);
	fprintf(out, " && exec gnuplot 2>%s.log", name);
	if (fclose(out))
		return err_nomem(err, "a command", 0);
	sigaction(SIGPIPE, &ignore,
		  &before); /* a gnuplot that dies early is an error, not our end */
	gnuplot = popen(command, "w");
	free(command);
	if (!gnuplot) {
		err_errno(err, "cannot start gnuplot");
		goto out;
	}
	broken = fputs(text, gnuplot) < 0;
	status = pclose(gnuplot);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		err_set(err, ENOENT, "gnuplot is not installed; the script is kept at '%s/%s.gp'",
			folder, name);
	else if (broken || status != 0)
		err_set(err, EIO, "gnuplot failed on '%s/%s.gp' (its words are in %s.log)", folder,
			name, name);
out:
	sigaction(SIGPIPE, &before, NULL);
	return err->code;
}

/* What gnuplot said is kept only when it said something. */
static void drop_empty_log(const char *path)
{
	struct stat st;

	if (stat(path, &st) == 0 && st.st_size == 0)
		remove(path);
}

/* The files' name; a label comes from a YAML file and must not leave the folder. */
const char *figure_file(char name[FIGURE_FILE_TEXT], const struct figure_ops *figure,
			const char *label)
{
	static const char plain[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";

	snprintf(name, FIGURE_FILE_TEXT, "%s%s%.64s", figure->name, label[0] ? "." : "", label);
	for (char *c = name; *c; c++)
		if (!strchr(plain, *c))
			*c = '_';
	return name;
}

int figure_draw(const struct figure_ops *figure, const char *dir, const char *label,
		const struct result_row *rows, size_t count, struct err *err)
{
	char name[FIGURE_FILE_TEXT];
	char folder[4096], path[4400];
	char *text = NULL;

	figure_file(name, figure, label);
	if (snprintf(folder, sizeof(folder), "%s/figures", dir) >= (int)sizeof(folder))
		return err_set(err, EINVAL, "folder name is too long: '%s'", dir);
	if (write_script(&text, figure, name, rows, count, err))
		goto out;
	snprintf(path, sizeof(path), "%s/%s.gp", folder, name);
	if (save_script(path, text, err))
		goto out;
	if (pipe_to_gnuplot(folder, name, text, err))
		goto out;
	snprintf(path, sizeof(path), "%s/%s.log", folder, name);
	drop_empty_log(path);
out:
	free(text);
	if (err->code)
		err_where(err, "figure %s", name);
	return err->code;
}
