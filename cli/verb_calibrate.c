/* SPDX-License-Identifier: GPL-3.0-or-later */
/* verb_calibrate.c - `calibrate`: probes and fits become a device profile */
#include "cli.h"

#include "calibrate.h"
#include "cores.h"
#include "fit_points.h"
#include "json_config.h"
#include "newfile.h"
#include "real_read.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

struct calibrate_args {
	const char *engine, *dir, *device, *out, *name, *fit, *mode;
	struct arg_list hold;
	uint64_t threads, in_flight, seed;
	double budget_ns;
	bool json;
};

/* The profile that was written, in base units, with its points, intervals and checks. */
static int print_profile(const char *path, struct err *err)
{
	static const char *const kept[] = {"points", "intervals", "checks"};
	struct json json = {.out = stdout};
	struct ynode *map = NULL;
	struct device device;

	if (yaml_load(&map, path, err) || device_read(&device, map, err))
		goto out;
	json_put_object(&json, NULL);
	json_put_text(&json, "file", path);
	json_put_text(&json, "name", device.name);
	json_put_text(&json, "about", device.about);
	json_put_params(&json, "flash", &flash_table, &device.flash);
	json_put_params(&json, "dram", &dram_table, &device.dram);
	json_put_params(&json, "compute", &compute_table, &device.compute);
	json_put_params(&json, "origin", &origin_table, &device.origin);
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		if (ynode_get(map, kept[i]))
			json_put_ynode(&json, kept[i], ynode_get(map, kept[i]));
	json_put_end(&json);
out:
	ynode_free(map);
	return err->code;
}

/* Before half a minute is measured for nothing. */
static int check_writable(const char *path, struct err *err)
{
	struct newfile file;

	if (newfile_open(&file, path, err))
		return err->code;
	newfile_drop(&file);
	return 0;
}

static int run_calibrate(const struct calibrate_args *args, struct err *err)
{
	struct fraction_progress progress = {NULL, 0};
	struct real_target target;
	struct calibrate_options options = {
		.model_dir = args->dir,
		.target = &target,
		.engine = READ_AUTO,
		.threads = args->threads ? (unsigned)args->threads : cores_usable(),
		.in_flight = (unsigned)args->in_flight,
		.seconds = args->budget_ns / 1e9,
		.seed = args->seed,
		.name = args->name,
		.progress = fraction_tell,
		.progress_arg = &progress,
	};

	if (calibrate_mode_named(&options.mode, args->mode, err))
		return err->code;
	if (!args->dir)
		return err_set(
			err, EINVAL,
			"--dir MODEL is missing: the synthesised model whose files are read");
	if (!args->out)
		return err_set(err, EINVAL, "-o FILE is missing: the device profile to write");
	if (reader_engine_named(&options.engine, args->engine, err) ||
	    target_load(&target, args->device, err))
		return err->code;
	if (target.is_emulated && options.engine != READ_AUTO)
		return err_set(err, EINVAL, "--engine %s: an emulated device has its own",
			       args->engine);
	if (check_writable(args->out, err))
		return err->code;
	progress.line = progress_open("calibrate", 2); /* flash, then the engine's steps */
	(void)!calibrate(&options, args->out, args->json ? NULL : stdout, err);
	progress_close(progress.line);
	if (err->code)
		return err->code;
	if (args->json)
		return print_profile(args->out, err);
	printf("wrote %s\n", args->out);
	return 0;
}

/* --fit: points that somebody else measured. */
static int run_fit(const struct calibrate_args *args, struct err *err)
{
	struct flash_fit_options options = {
		.seed = args->seed, .bootstrap = 200, .robust = true, .correct = true};
	struct flash_choice *choice = calloc(1, sizeof(*choice));
	struct json json = {.out = stdout};
	struct flash_point *points = NULL;
	size_t count;

	if (!choice)
		return err_nomem(err, "a fit", sizeof(*choice));
	for (size_t i = 0; i < args->hold.count && !err->code; i++)
		(void)!fit_points_hold(&options, args->hold.items[i], err);
	if (err->code || fit_points_read(&points, &count, args->fit, err) ||
	    flash_forms_fit(choice, points, count, &options, err))
		goto out;
	if (args->json)
		fit_points_json(&json, choice);
	else
		fit_points_print(stdout, choice);
out:
	free(points);
	free(choice);
	return err->code;
}

int verb_calibrate(int argc, char **argv, struct err *err)
{
	struct calibrate_args got = {
		.engine = "auto", .name = "this-host", .seed = 1, .mode = "full"};
	const struct opt opts[] = {
		{"dir", 'd', OPT_TEXT, &got.dir, "MODEL",
		 "folder that `model synth` made; its FFN file is what is read", 0, 0},
		{"device", 0, OPT_TEXT, &got.device, "DEVICE",
		 "an emulated device (name or YAML); without it the disk under MODEL", 0, 0},
		{"engine", 0, OPT_TEXT, &got.engine, "ENGINE",
		 "how the disk is read: auto (what a run would take), pread, io_uring or mmap", 0,
		 0},
		{"out", 'o', OPT_TEXT, &got.out, "FILE", "the device profile to write", 0, 0},
		{"name", 0, OPT_TEXT, &got.name, "NAME", "of the profile; default this-host", 0, 0},
		{"mode", 0, OPT_TEXT, &got.mode, "MODE",
		 "quick (under 20 s, a coarse grid) or full (the default)", 0, 0},
		{"in-flight", 0, OPT_COUNT, &got.in_flight, "N",
		 "reads that the policies keep in flight, if not 32", 0, 0},
		{"threads", 't', OPT_COUNT, &got.threads, "N",
		 "compute threads; 0 or none: all cores", 0, 0},
		{"time", 0, OPT_UNIT, &got.budget_ns, "TIME",
		 "budget for all of it; default 17s or 3min, by --mode", DIM_TIME, 0},
		{"json", 0, OPT_FLAG, &got.json, NULL,
		 "the profile as JSON in base units, with points, intervals and checks", 0, 0},
		{"fit", 0, OPT_TEXT, &got.fit, "POINTS.csv",
		 "measure nothing: fit these points (read_bytes, in_flight, reads_per_s[, "
		 "noise_frac]) and print forms, scores and intervals",
		 0, 0},
		{"hold", 0, OPT_LIST, &got.hold, "NAME=VALUE",
		 "with --fit: hold a parameter, as peak_bytes_per_s=6.1GB/s", 0, 0},
		{"seed", 0, OPT_COUNT, &got.seed, "N", "of offsets and orders; default 1", 0, 0},
	};
	const struct verb_spec spec = {
		.usage = "calibrate --dir MODEL [--device DEVICE] -o FILE.yaml [OPTIONS]\n"
			 "       flashcast calibrate --fit POINTS.csv [--hold NAME=VALUE]...",
		.about = "Measures flash (request size x reads in flight), the store's copies and "
			 "the kernels, on this host\n"
			 "or on an emulated device, fits the cost model and writes a device "
			 "profile with intervals, noise\n"
			 "floor and provenance. Foreign disk traffic is noticed, retried and told.",
		.opts = opts,
		.opt_count = sizeof(opts) / sizeof(opts[0]),
	};
	struct args args;

	if (!args_parse(&args, &spec, argc, argv, err) && !args.helped)
		(void)!(got.fit ? run_fit(&got, err) : run_calibrate(&got, err));
	args_fini(&args, &spec);
	return err->code;
}
