/* SPDX-License-Identifier: GPL-3.0-or-later */
/* trial_books.c - books become token lines; kept parts and resident rows become bytes of DRAM */
#include "trial_books.h"

#include "compute.h"
#include "cores.h"

#include <stdlib.h>
#include <string.h>

int trial_books_take(void *arg, uint32_t token, int32_t layer, const struct books *books)
{
	struct trial_books *to = arg;
	struct token_list *list = to->list;

	if (list->count == list->room) {
		size_t room = list->room ? 2 * list->room : 256;
		struct result_token *tokens = realloc(list->tokens, room * sizeof(*tokens));

		if (!tokens)
			return -1;
		list->tokens = tokens;
		list->room = room;
	}
	list->tokens[list->count++] = (struct result_token){
		.repeat = to->repeat,
		.token = token,
		.layer = layer,
		.read_count = books->read_count,
		.read_bytes = books->read_bytes,
		.moved_bytes = books->moved_bytes,
		.demand_neurons = (uint32_t)books->demand_neurons,
		.load_neurons = (uint32_t)books->load_neurons,
		.resident_neurons = (uint32_t)books->resident_neurons,
		.io_ns = books->io_ns,
		.io_wait_ns = books->io_wait_ns,
		.mem_ns = books->mem_ns,
		.compute_ns = books->compute_ns,
		.total_ns = books->total_ns,
	};
	if (layer < 0 && token >= list->warmup) {
		to->dropped_bytes += (double)books->dropped_bytes;
		to->resident_neurons += (double)books->resident_neurons;
		to->measured++;
	}
	return 0;
}

/* Unpadded weights that stay in DRAM between tokens: the persistent share of embeddings and
 * attention, and each layer's rows at their most.  A predictor's weights are not among them:
 * `noisy` has none. */
static uint64_t weights_kept_bytes(const struct trial *trial, const struct run_outcome *outcome)
{
	const struct policy_config *config = &trial->policy;
	const struct persistence_ops *persistence = policy_persistence(config);
	enum weight_type weights = (enum weight_type)config->weights;
	double embed = persistence->kept_frac(config, REGION_EMBED);
	double attention = persistence->kept_frac(config, REGION_ATTENTION);
	double kept = embed * (double)model_embed_bytes(&trial->model, weights) +
		      attention * (double)model_attention_bytes(&trial->model, weights);

	return (uint64_t)kept +
	       outcome->rows_peak_sum * model_row_bytes(&trial->model, weights, REGION_BUNDLE);
}

void trial_books_put(struct result_row *row, const struct trial_books *books,
		     const struct trial *trial, const struct run_outcome *outcome)
{
	double measured = (double)books->measured;
	double neurons = (double)(trial->model.layer_count * trial->model.d_ffn);

	memcpy(row->decision_hash, outcome->decision_hash, DIGEST_TEXT);
	row->dram_weights_bytes = weights_kept_bytes(trial, outcome);
	row->resident_frac = books->resident_neurons / measured / neurons;
	row->dropped_bytes_per_token = books->dropped_bytes / measured;
}

uint64_t trial_kv_bytes(const struct trial *trial)
{
	const struct model *model = &trial->model;
	uint64_t kv_width = model->d_model / model->head_count * model->kv_head_count;

	return 2 * trial->run.ctx * model->layer_count * kv_width * sizeof(float);
}

struct compute_params trial_sim_compute(const struct trial *trial)
{
	struct compute_params compute = trial->device.compute;

	if (trial->run.threads != THREADS_ALL)
		compute_set_threads(&compute, trial->run.threads);
	return compute;
}

unsigned trial_threads(const struct trial *trial)
{
	if (trial->run.threads != THREADS_ALL)
		return (unsigned)trial->run.threads;
	return cores_usable();
}
