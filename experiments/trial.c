/* SPDX-License-Identifier: GPL-3.0-or-later */
/* trial.c - a resolved experiment mapping becomes a trial: parts, defaults, digest, columns */
#include "trial.h"

#include "configs.h"
#include "flash.h"
#include "flash_version.h"
#include "real_probe.h"
#include "real_read.h"
#include "trial_books.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

const struct param_word threads_words[] = {
	[THREADS_ALL] = {"all", "every core of the host"},
	[THREADS_ALL + 1] = {NULL, NULL},
};

const struct param_word visits_words[] = {
	[VISITS_EACH] = {"each", "a round for each repeat: opened anew every time"},
	[VISITS_EACH + 1] = {NULL, NULL},
};

// clang-format off
static const struct param trial_run_rows[] = {
#define PARAM_OWNER trial_run
#include "param_rows.h"
#include "experiment_params.h"
#include "param_end.h"
};
// clang-format on

const struct param_table trial_run_table = {
	.name = "experiment",
	.about = "An experiment: these keys, its parts (model, device, policy, target), worlds, "
		 "sweep, "
		 "figures.",
	.rows = trial_run_rows,
	.count = sizeof(trial_run_rows) / sizeof(*trial_run_rows),
};

const char *const trial_other_keys[] = {"model",  "device", "policy",  "target",
					"worlds", "sweep",  "figures", NULL};

/* ---- reading ----------------------------------------------------------------------------------
 */

static int part_get(struct ynode **part, enum config_kind kind, const struct ynode *map,
		    struct err *err)
{
	const char *name = config_kind_name(kind);
	const struct ynode *named = ynode_get(map, name);

	if (!named)
		return ynode_err(map, err,
				 "experiment: %s is missing (a name, a path or a mapping)", name);
	return config_resolve(part, kind, named, err);
}

static int read_model(struct trial *trial, const struct ynode *map, struct err *err)
{
	struct ynode *part;

	if (part_get(&part, CONFIG_MODEL, map, err))
		return err->code;
	trial->has_activity = ynode_get(part, "activity") != NULL;
	if (trial->has_activity && activity_read(&trial->activity, part, err))
		goto out;
	ynode_remove(part, "activity");
	(void)!model_read(&trial->model, part, err);
out:
	ynode_free(part);
	return err->code;
}

/* A resolved config alone says how good its forecast is: what that goes by stays with it. */
static int checks_keep(struct trial *trial, const struct ynode *profile, struct err *err)
{
	const struct ynode *check = forecast_error_check(profile);
	struct ynode *copy = check ? ynode_clone(check) : NULL;

	if (!check)
		return 0;
	trial->checks = ynode_new_list(check->file);
	if (!trial->checks || !copy) {
		ynode_free(copy);
		return err_nomem(err, "a profile's checks", sizeof(*check));
	}
	return ynode_append(trial->checks, copy, err);
}

static int read_device(struct trial *trial, const struct ynode *map, struct err *err)
{
	struct ynode *part;

	if (part_get(&part, CONFIG_DEVICE, map, err))
		return err->code;
	/* The likeliest mistake first: what is measured on, where a profile to predict from belongs. */
	if (part->kind == YNODE_MAP && ynode_get(part, "emulated"))
		ynode_err(ynode_get(part, "emulated"), err,
			  "device: an emulated device predicts nothing: name it with target: (or "
			  "--set target=...), and give device: the profile that `flashcast "
			  "calibrate --device` makes of it");
	else if (device_read(&trial->device, part, err) == 0) {
		forecast_error_read(&trial->forecast, &trial->device.origin, part);
		if (!trial->device.name[0])
			config_name(trial->device.name, part->file);
		(void)!checks_keep(trial, part, err);
	}
	ynode_free(part);
	return err->code;
}

/* A policy never sees the device: what the profile says of gaps becomes a size here, before any world
 * runs, so that both decide by the same one. */
static void gap_resolve(struct trial *trial)
{
	struct policy_config *policy = &trial->policy;
	uint64_t slot_bytes = policy_slot_bytes(policy, &trial->model);
	uint32_t slots;

	if (policy->coalesce != COALESCE_GAP || policy->coalesce_gap != COALESCE_GAP_AUTO)
		return;
	slots = flash_gap_slots(&trial->device.flash, slot_bytes, (unsigned)policy->in_flight,
				policy->coalesce_most);
	policy->coalesce_gap = slots ? slots * slot_bytes : COALESCE_GAP_NONE;
}

/* After the model and the device. */
static int read_policy(struct trial *trial, const struct ynode *map, struct err *err)
{
	struct ynode *part;

	if (part_get(&part, CONFIG_POLICY, map, err))
		return err->code;
	if (policy_config_read(&trial->policy, part, err) == 0)
		gap_resolve(trial);
	ynode_free(part);
	return err->code;
}

static int read_target(struct trial *trial, const struct ynode *map, struct err *err)
{
	const struct ynode *named = ynode_get(map, "target");
	struct ynode *made = NULL;

	if (!named)
		named = made = ynode_new_scalar("target", "disk", 0);
	if (!named)
		return err_nomem(err, "a target", sizeof(*named));
	(void)!real_target_read(&trial->target, named, err);
	ynode_free(made);
	return err->code;
}

/* A path in a file is meant from that file's folder, one on the command line from here; it is kept
 * absolute, so that the resolved config says the same wherever it lies. */
static int path_resolve(char path[PARAM_STR], const struct ynode *map, const char *key,
			struct err *err)
{
	const struct ynode *node = ynode_get(map, key);
	const char *slash = node && path[0] != '/' ? strrchr(node->file, '/') : NULL;
	int folder = slash ? (int)(slash - node->file) + 1 : 0;
	char joined[PATH_MAX], cwd[PATH_MAX] = "";
	bool is_absolute = path[0] == '/' || (folder && node->file[0] == '/');

	if (!path[0])
		return 0;
	if (!is_absolute && !getcwd(cwd, sizeof(cwd)))
		return err_errno(err, "%s: no current folder", key);
	if (snprintf(joined, sizeof(joined), "%s%s%.*s%s", cwd, cwd[0] ? "/" : "", folder,
		     folder ? node->file : "", path) >= PARAM_STR)
		return ynode_err(node, err, "%s: '%.200s' is longer than %d bytes from the root",
				 key, path, PARAM_STR - 1);
	memcpy(path, joined, strlen(joined) + 1);
	return 0;
}

/* Where a key of a part stands, or the part, or the experiment: for messages. */
static const struct ynode *place_of(const struct ynode *map, const char *part, const char *key)
{
	const struct ynode *at = ynode_get(map, part);

	if (at && at->kind == YNODE_MAP && ynode_get(at, key))
		return ynode_get(at, key);
	return at ? at : map;
}

/* What is wrong only together. */
static int check_fit(const struct trial *trial, const struct ynode *map, struct err *err)
{
	const struct policy_config *policy = &trial->policy;
	uint64_t slot_bytes = policy_slot_bytes(policy, &trial->model);

	if (trial->run.ctx > trial->model.position_count)
		return ynode_err(ynode_get(map, "ctx") ? ynode_get(map, "ctx") : map, err,
				 "ctx: %" PRIu64 " is more than model %s's position_count %" PRIu64,
				 trial->run.ctx, trial->model.name, trial->model.position_count);
	if (policy->chunk != CHUNK_ROW && policy->chunk % trial->model.row_align)
		return ynode_err(place_of(map, "policy", "chunk"), err,
				 "chunk: %" PRIu64
				 " B is no multiple of model %s's row_align %" PRIu64 " B",
				 policy->chunk, trial->model.name, trial->model.row_align);
	if (policy->coalesce == COALESCE_GAP && policy->coalesce_most < slot_bytes)
		return ynode_err(place_of(map, "policy", "coalesce_most"), err,
				 "coalesce_most: %" PRIu64 " B is less than one slot of %" PRIu64
				 " B (a row, or a chunk of rows)",
				 policy->coalesce_most, slot_bytes);
	if (trial->run.trace[0] && access(trial->run.trace, R_OK) != 0)
		return ynode_err(ynode_get(map, "trace"), err, "trace: cannot read '%s': %s",
				 trial->run.trace, strerror(errno));
	if (!policy_demand(policy)->dense && !trial->run.trace[0] && !trial->has_activity)
		return ynode_err(
			place_of(map, "model", "activity"), err,
			"demand %s needs a trace: model %s has no activity: to generate one "
			"from, and trace: names no file",
			policy_demand(policy)->name, trial->model.name);
	return 0;
}

/* ---- writing ----------------------------------------------------------------------------------
 */

static int put_made(struct ynode *map, const char *key, struct ynode *made, struct err *err)
{
	return made ? ynode_put(map, key, made, err) : err_nomem(err, key, sizeof(*made));
}

static int put_model(struct ynode *map, const struct trial *trial, struct err *err)
{
	if (put_made(map, "model", param_write(&model_table, &trial->model), err))
		return err->code;
	if (!trial->has_activity)
		return 0;
	return put_made(map, "model.activity", param_write(&activity_table, &trial->activity), err);
}

static int put_device(struct ynode *map, struct trial *trial, struct err *err)
{
	struct ynode *checks = trial->checks;

	if (put_made(map, "device", device_write(&trial->device), err))
		return err->code;
	trial->checks = NULL;
	return checks ? ynode_put(map, "device.checks", checks, err) : 0;
}

static int put_target(struct ynode *map, const struct real_target *target, struct err *err)
{
	if (!target->is_emulated && !target->is_throttled)
		return put_made(map, "target", ynode_new_scalar("target", "disk", 0), err);
	if (put_made(map, "target.name", ynode_new_scalar("target", target->name, 0), err))
		return err->code;
	if (target->is_throttled)
		return put_made(map, "target.throttle",
				param_write(&throttle_table, &target->throttle), err);
	return put_made(map, "target.emulated", param_write(&emulated_table, &target->emulated),
			err);
}

static int put_copy(struct ynode *map, const char *key, const struct ynode *from, struct err *err)
{
	const struct ynode *value = ynode_get(from, key);

	return value ? put_made(map, key, ynode_clone(value), err) : 0;
}

static int write_resolved(struct trial *trial, const struct ynode *map, struct err *err)
{
	struct ynode *out = param_write(&trial_run_table, &trial->run);

	if (!out)
		return err_nomem(err, "a resolved config", sizeof(*out));
	trial->resolved = out;
	if (put_copy(out, "worlds", map, err) || put_model(out, trial, err) ||
	    put_device(out, trial, err) ||
	    put_made(out, "policy", policy_config_write(&trial->policy), err) ||
	    put_target(out, &trial->target, err) || put_copy(out, "figures", map, err))
		return err->code;
	return 0;
}

/* ---- digest -----------------------------------------------------------------------------------
 */

static void forget(struct ynode *map, const char *part, const char *const *keys)
{
	struct ynode *at = part ? ynode_get(map, part) : map;

	for (; at && at->kind == YNODE_MAP && *keys; keys++)
		ynode_remove(at, *keys);
}

/* A trace counts by its header, which holds the digest of what follows, and not by its name. */
static int put_trace_digest(struct ynode *map, const struct trial *trial, struct err *err)
{
	char head[4096], text[DIGEST_TEXT];
	FILE *in = fopen(trial->run.trace, "rb");
	size_t length;

	if (!in)
		return err_errno(err, "trace '%s'", trial->run.trace);
	length = fread(head, 1, sizeof(head), in);
	fclose(in);
	digest_of(head, length, text);
	return put_made(map, "trace", ynode_new_scalar("trace", text, 1), err);
}

/* Leave in 'map' what is computed and nothing else. */
static int forget_names(struct ynode *map, const struct trial *trial, struct err *err)
{
	static const char *const top[] = {"experiment", "about", "repeats",	"visits", "worlds",
					  "figures",	"trace", "model_files", "device", NULL};
	static const char *const named[] = {"name", "about", NULL};
	static const char *const activity[] = {"activity", NULL};
	bool dense = policy_demand(&trial->policy)->dense;
	char text[DIGEST_TEXT];

	forget(map, NULL, top);
	forget(map, "model", named);
	forget(map, "policy", named);
	forget(map, "target", named);
	if (dense || trial->run.trace[0])
		forget(map, "model", activity);
	if (!dense && trial->run.trace[0] && put_trace_digest(map, trial, err))
		return err->code;
	device_hash(&trial->device, text);
	return put_made(map, "device", ynode_new_scalar("device", text, 1), err);
}

static int hash_fill(struct trial *trial, struct err *err)
{
	struct ynode *map = ynode_clone(trial->resolved);
	char *text = NULL;

	if (!map)
		return err_nomem(err, "a trial's digest", sizeof(*map));
	if (forget_names(map, trial, err) == 0 && ynode_text(&text, map, err) == 0)
		digest_of(text, strlen(text), trial->hash);
	free(text);
	ynode_free(map);
	return err->code;
}

int trial_read(struct trial *trial, const struct ynode *map, struct err *err)
{
	const struct param_dest dest = {&trial_run_table, &trial->run};

	memset(trial, 0, sizeof(*trial));
	if (map->kind != YNODE_MAP)
		return ynode_err(map, err, "experiment: wanted a mapping");
	if (param_read(&dest, 1, map, trial_other_keys, err) || read_model(trial, map, err) ||
	    read_device(trial, map, err) || read_policy(trial, map, err) ||
	    read_target(trial, map, err) ||
	    path_resolve(trial->run.model_files, map, "model_files", err) ||
	    path_resolve(trial->run.trace, map, "trace", err) || check_fit(trial, map, err) ||
	    write_resolved(trial, map, err) || hash_fill(trial, err))
		trial_fini(trial);
	return err->code;
}

void trial_fini(struct trial *trial)
{
	ynode_free(trial->resolved);
	ynode_free(trial->checks);
	trial->resolved = trial->checks = NULL;
}

void token_list_fini(struct token_list *list)
{
	free(list->tokens);
	free(list->draws);
	*list = (struct token_list){0};
}

/* ---- columns ----------------------------------------------------------------------------------
 */

static void put_text(char to[RESULT_TEXT], const char *text)
{
	size_t length = strlen(text);

	if (length >= RESULT_TEXT)
		length = RESULT_TEXT - 1;
	memcpy(to, text, length);
	to[length] = '\0';
}

/* Shares that the demand itself states; what a recorded demand missed is not known here. */
static void describe_demand(struct result_row *row, const struct policy_config *config)
{
	const struct demand_ops *demand = policy_demand(config);

	put_text(row->demand, demand->name);
	if (demand->dense) {
		row->fn_frac = 0;
		row->fp_frac = 1;
	} else if (demand == &demand_noisy) {
		row->fn_frac = config->fn_frac;
		row->fp_frac = config->fp_frac;
	} else if (demand == &demand_oracle) {
		row->fn_frac = row->fp_frac = 0;
	}
}

static void describe_policy(struct result_row *row, const struct trial *trial)
{
	const struct policy_config *config = &trial->policy;
	const struct layout_ops *layout = policy_layout(config);
	double window = policy_residency_number(config, "window");
	enum weight_type weights = (enum weight_type)config->weights;
	enum read_engine engine =
		reader_engine_of((enum read_engine)config->read_engine, trial->target.is_emulated);

	put_text(row->policy, config->name);
	put_text(row->weights, weight_type_words[config->weights].text);
	describe_demand(row, config);
	put_text(row->persistence, policy_persistence(config)->name);
	put_text(row->residency, policy_residency(config)->name);
	row->window_tokens = isnan(window) ? COL_NONE : (uint64_t)window;
	put_text(row->layout, layout->name);
	row->chunk_bytes = config->chunk;
	if (policy_demand(config)->dense)
		row->chunk_bytes = config->dense_chunk;
	else if (config->chunk == CHUNK_ROW)
		row->chunk_bytes = model_row_stride(&trial->model, weights, layout->regions[0]);
	put_text(row->coalesce, coalesce_words[config->coalesce].text);
	put_text(row->read_engine, read_engine_words[engine].text);
	row->in_flight = config->in_flight;
	put_text(row->store, store_words[config->store].text);
	put_text(row->overlap, overlap_words[config->overlap].text);
	put_text(row->decode, decode_words[config->decode].text);
	put_text(row->compute_rows, compute_rows_words[config->compute_rows].text);
	row->model_bytes = model_param_bytes(&trial->model, weights);
}

static void describe_origin(struct result_row *row)
{
	time_t now = time(NULL);
	struct tm utc;

	put_text(row->version, FLASH_VERSION);
	put_text(row->git_rev, FLASH_GIT_REV);
	host_name(row->host, sizeof(row->host));
	if (gmtime_r(&now, &utc))
		strftime(row->started_at, sizeof(row->started_at), "%Y-%m-%dT%H:%M:%SZ", &utc);
}

/* A calibration says so by its word, a published profile in its paper's. */
static bool is_read_engine(const char *name)
{
	enum read_engine engine;
	struct err ignored = {0};

	return reader_engine_named(&engine, name, &ignored) == 0;
}

void trial_describe(struct result_row *row, const struct trial *trial, const char *world)
{
	result_row_init(row);
	put_text(row->experiment, trial->run.experiment);
	put_text(row->trial, trial->name);
	put_text(row->trial_hash, trial->hash);
	put_text(row->world, world);
	put_text(row->device, trial->device.name);
	device_hash(&trial->device, row->device_hash);
	if (strcmp(world, "real") == 0)
		put_text(row->target, trial->target.name);
	put_text(row->model, trial->model.name);
	describe_policy(row, trial);
	if (strcmp(world, "sim") == 0 && is_read_engine(trial->device.origin.read_engine))
		put_text(row->read_engine, trial->device.origin.read_engine);
	row->threads =
		strcmp(world, "sim") == 0 ? trial_sim_compute(trial).threads : trial_threads(trial);
	row->ctx_tokens = trial->run.ctx;
	row->tokens = trial->run.tokens;
	row->seed = trial->run.seed;
	describe_origin(row);
}
