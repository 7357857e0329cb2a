/* SPDX-License-Identifier: GPL-3.0-or-later */
/* hf_config.c - reads config.json; JSON is YAML in flow style, so its nodes know their places
 *
 * Every key that the computation hangs on is a row of a table: what it is called (old names too),
 * what may stand there, and what it means when it is absent, which is what transformers'
 * configuration classes say. */
#include "hf_config.h"

#include "config_json.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { NAMES = 3 };

/* The first of the names that is there and not null, with the name it was found by. */
static const struct ynode *find(const struct ynode *map, const char *const names[NAMES],
				const char **name)
{
	*name = names[0];
	for (unsigned i = 0; i < NAMES && names[i]; i++) {
		const struct ynode *node = ynode_get(map, names[i]);

		if (!node)
			continue;
		if (node->kind == YNODE_SCALAR && !node->quoted && strcmp(node->text, "null") == 0)
			continue;
		*name = names[i];
		return node;
	}
	return NULL;
}

/* What stands there, for messages. */
static const char *got(const struct ynode *node)
{
	if (node->kind == YNODE_LIST)
		return "a list";
	return node->kind == YNODE_MAP ? "a mapping" : node->text;
}

static int wrong(const struct ynode *node, const char *name, const char *expected, struct err *err)
{
	const char *quote = node->kind == YNODE_SCALAR && node->quoted ? "\"" : "";

	return ynode_err(node, err, "%s: got %s%.64s%s, expected %s", name, quote, got(node), quote,
			 expected);
}

static int unsupported(const struct ynode *node, const char *name, const char *expected,
		       struct err *err)
{
	return err_set(err, ENOTSUP, "%s:%d:%d: %s: got %.64s, which is not supported: expected %s",
		       node->file, node->line, node->column, name, got(node), expected);
}

static int missing(const struct ynode *map, const char *name, struct err *err)
{
	return ynode_err(map, err, "%s is missing", name);
}

static bool is_plain(const struct ynode *node)
{
	return node->kind == YNODE_SCALAR && !node->quoted;
}

/* JSON's true and false, and nothing that YAML would also take for one. */
static int read_bool(const struct ynode *node, const char *name, bool *value, struct err *err)
{
	if (is_plain(node) && strcmp(node->text, "true") == 0)
		*value = true;
	else if (is_plain(node) && strcmp(node->text, "false") == 0)
		*value = false;
	else
		return wrong(node, name, "true or false", err);
	return 0;
}

static int read_count(const struct ynode *node, const char *name, uint64_t least, uint64_t most,
		      uint64_t *value, struct err *err)
{
	size_t digits = is_plain(node) ? strspn(node->text, "0123456789") : 0;
	char expected[80];

	snprintf(expected, sizeof(expected), "a whole number, %" PRIu64 " to %" PRIu64, least,
		 most);
	if (digits == 0 || digits > 18 || node->text[digits] != '\0')
		return wrong(node, name, expected, err);
	*value = strtoull(node->text, NULL, 10);
	if (*value < least || *value > most)
		return wrong(node, name, expected, err);
	return 0;
}

static int read_real(const struct ynode *node, const char *name, double *value, struct err *err)
{
	char *end = NULL;

	if (is_plain(node) && strspn(node->text, "+-.0123456789eE") == strlen(node->text))
		*value = strtod(node->text, &end);
	if (!end || end == node->text || *end != '\0' || !isfinite(*value))
		return wrong(node, name, "a number", err);
	return 0;
}

/* Sizes. */
struct size_row {
	const char *names[NAMES];
	const char *member; /* row of model_params.h, whose limits hold */
	uint64_t dflt;	    /* 0: it must be there */
};

static const struct size_row opt_sizes[] = {
	{{"hidden_size"}, "d_model", 0},
	{{"ffn_dim"}, "d_ffn", 0},
	{{"num_hidden_layers"}, "layer_count", 0},
	{{"num_attention_heads"}, "head_count", 0},
	{{"vocab_size"}, "vocab_count", 0},
	{{"max_position_embeddings"}, "position_count", 0},
	{{NULL}, NULL, 0},
};

static const struct size_row falcon_sizes[] = {
	{{"hidden_size"}, "d_model", 0},
	{{"num_hidden_layers", "n_layer"}, "layer_count", 0},
	{{"num_attention_heads", "n_head"}, "head_count", 0},
	{{"vocab_size"}, "vocab_count", 0},
	{{"max_position_embeddings"}, "position_count", 2048},
	{{NULL}, NULL, 0},
};

static void set_member(struct model *m, const char *member, uint64_t value)
{
	const struct param *row = param_find(&model_table, member);

	assert(row && row->type == PARAM_U64);
	memcpy((char *)m + row->offset, &value, sizeof(value));
}

static int read_sizes(struct model *m, const struct ynode *map, const struct size_row *rows,
		      struct err *err)
{
	for (const struct size_row *row = rows; row->member; row++) {
		const struct param *limits = param_find(&model_table, row->member);
		uint64_t value = row->dflt;
		const char *name;
		const struct ynode *node = find(map, row->names, &name);

		if (!node && value == 0)
			return missing(map, name, err);
		if (node && read_count(node, name, (uint64_t)limits->min, (uint64_t)limits->max,
				       &value, err))
			return err->code;
		set_member(m, row->member, value);
	}
	return 0;
}

/* Switches that must stand one way. */
struct switch_row {
	const char *names[NAMES];
	bool want;
	bool dflt;
	const char *expected; /* why, for the message */
};

static const struct switch_row opt_switches[] = {
	{{"do_layer_norm_before"},
	 true,
	 true,
	 "true: norms before each half, as in all OPT but 350M"},
	{{"_remove_final_layer_norm"}, false, false, "false: a norm before the head"},
	{{NULL}, false, false, NULL},
};

static const struct switch_row falcon_switches[] = {
	{{"new_decoder_architecture"}, false, false, "false: one norm a block, as in Falcon 7B"},
	{{"alibi"}, false, false, "false: rotary positions, as in Falcon 7B"},
	{{"bias"}, false, false, "false: no biases, as in Falcon 7B"},
	{{"multi_query"}, true, true, "true: one key/value head, as in Falcon 7B"},
	{{"parallel_attn"}, true, true, "true: attention and FFN side by side, as in Falcon 7B"},
	{{NULL}, false, false, NULL},
};

static int check_switches(const struct ynode *map, const struct switch_row *rows, struct err *err)
{
	for (const struct switch_row *row = rows; row->expected; row++) {
		bool value = row->dflt;
		const char *name;
		const struct ynode *node = find(map, row->names, &name);

		if (node && read_bool(node, name, &value, err))
			return err->code;
		if (node && value != row->want)
			return unsupported(node, name, row->expected, err);
	}
	return 0;
}

static int read_switch(const struct ynode *map, const char *key, bool dflt, bool *value,
		       struct err *err)
{
	const char *const names[NAMES] = {key};
	const char *name;
	const struct ynode *node = find(map, names, &name);

	*value = dflt;
	return node ? read_bool(node, name, value, err) : 0;
}

/* What transformers calls them. */
static const struct {
	const char *text;
	enum activation activation;
} activations[] = {
	{"relu", ACT_RELU},	      {"gelu", ACT_GELU},
	{"gelu_python", ACT_GELU},    {"gelu_new", ACT_GELU_TANH},
	{"gelu_fast", ACT_GELU_TANH}, {"gelu_pytorch_tanh", ACT_GELU_TANH},
};

static int read_activation(struct model *m, const struct ynode *map, const char *const names[NAMES],
			   enum activation dflt, struct err *err)
{
	const char *name;
	const struct ynode *node = find(map, names, &name);

	m->activation = dflt;
	if (!node)
		return 0;
	if (node->kind != YNODE_SCALAR || !node->quoted)
		return wrong(node, name, "\"relu\" or \"gelu\"", err);
	for (size_t i = 0; i < sizeof(activations) / sizeof(activations[0]); i++)
		if (strcmp(node->text, activations[i].text) == 0) {
			m->activation = activations[i].activation;
			return 0;
		}
	return unsupported(node, name, "relu, gelu or gelu_new", err);
}

/* transformers' Falcon looks at "activation" alone.  Some relufied checkpoints say "hidden_act": it
 * is obeyed where only it stands, and said, since the reference would run a GELU. */
static void note_hidden_act(struct hf_config *c, const struct ynode *map)
{
	static const char *const act[NAMES] = {"activation"}, *const hidden[NAMES] = {"hidden_act"};
	const char *name;
	const struct ynode *node = find(map, hidden, &name);

	if (node && c->model.activation != ACT_GELU && !find(map, act, &name))
		snprintf(c->note, sizeof(c->note),
			 "%s:%d:%d: hidden_act: got %.32s, expected gelu: transformers' Falcon "
			 "reads 'activation' alone; what hidden_act says is obeyed",
			 node->file, node->line, node->column, node->text);
}

/* Numbers that the forward pass has built in. */
static int check_real(const struct ynode *map, const char *key, double want, struct err *err)
{
	const char *const names[NAMES] = {key};
	char expected[32];
	const char *name;
	double value = 0;
	const struct ynode *node = find(map, names, &name);

	if (!node)
		return 0;
	if (read_real(node, name, &value, err))
		return err->code;
	snprintf(expected, sizeof(expected), "%g", want);
	if (fabs(value - want) > want * 1e-6)
		return unsupported(node, name, expected, err);
	return 0;
}

/* "facebook/opt-6.7b" and "./models/opt-6.7b/" are opt-6.7b. */
static void read_name(struct model *m, const struct ynode *map)
{
	const struct ynode *node = ynode_get(map, "_name_or_path");
	const char *begin, *end;

	if (!node || node->kind != YNODE_SCALAR || !node->quoted)
		return;
	end = node->text + strlen(node->text);
	while (end > node->text && end[-1] == '/')
		end--;
	begin = end;
	while (begin > node->text && begin[-1] != '/')
		begin--;
	if ((size_t)(end - begin) >= sizeof(m->name) || *begin == '.')
		return;
	memcpy(m->name, begin, (size_t)(end - begin));
	m->name[end - begin] = '\0';
}

static int read_opt(struct hf_config *c, const struct ynode *map, struct err *err)
{
	static const char *const proj[NAMES] = {"word_embed_proj_dim"};
	static const char *const act[NAMES] = {"activation_function"};
	struct model *m = &c->model;
	const struct ynode *node;
	uint64_t width = 0;
	bool biases, affine;
	const char *name;

	if (read_sizes(m, map, opt_sizes, err) || check_switches(map, opt_switches, err) ||
	    read_activation(m, map, act, ACT_RELU, err) ||
	    read_switch(map, "enable_bias", true, &biases, err) ||
	    read_switch(map, "layer_norm_elementwise_affine", true, &affine, err))
		return err->code;
	m->kv_head_count = m->head_count;
	c->no_biases = !biases;
	c->plain_norms = !affine;
	node = find(map, proj, &name);
	if (node && read_count(node, name, 1, 65536, &width, err))
		return err->code;
	if (node && width != m->d_model)
		return unsupported(node, name,
				   "hidden_size: no projections around the embedding, which of all "
				   "OPT only 350M has",
				   err);
	return 0;
}

static int check_rope_map(const struct ynode *map, const char *key, struct err *err)
{
	static const char *const types[] = {"rope_type", "type"};
	const char *const keys[NAMES] = {key}, *name;
	const struct ynode *rope = find(map, keys, &name);

	if (!rope)
		return 0;
	if (rope->kind != YNODE_MAP)
		return wrong(rope, name, "a mapping", err);
	for (unsigned i = 0; i < 2; i++) {
		const char *const type_keys[NAMES] = {types[i]};
		const struct ynode *type = find(rope, type_keys, &name);

		if (type && strcmp(got(type), "default") != 0)
			return unsupported(type, name, "default: rotary positions as they are",
					   err);
	}
	return check_real(rope, "rope_theta", 10000, err);
}

/* Newer configs say it as "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0}, older
 * ones as "rope_scaling"; where both stand, both count. */
static int check_rope(const struct ynode *map, struct err *err)
{
	if (check_real(map, "rope_theta", 10000, err) ||
	    check_rope_map(map, "rope_parameters", err))
		return err->code;
	return check_rope_map(map, "rope_scaling", err);
}

static int read_falcon(struct hf_config *c, const struct ynode *map, struct err *err)
{
	static const char *const act[NAMES] = {"activation", "hidden_act"};
	static const char *const ffn[NAMES] = {"ffn_hidden_size"};
	const struct param *limits = param_find(&model_table, "d_ffn");
	struct model *m = &c->model;
	const struct ynode *node;
	const char *name;

	if (read_sizes(m, map, falcon_sizes, err) || check_switches(map, falcon_switches, err) ||
	    read_activation(m, map, act, ACT_GELU, err) || check_rope(map, err) ||
	    check_real(map, "layer_norm_epsilon", 1e-5, err))
		return err->code;
	note_hidden_act(c, map);
	m->kv_head_count =
		1; /* of multi_query; num_kv_heads is ignored then, as transformers does */
	m->d_ffn = 4 * m->d_model;
	node = find(map, ffn, &name);
	return node ? read_count(node, name, (uint64_t)limits->min, (uint64_t)limits->max,
				 &m->d_ffn, err)
		    : 0;
}

/* What model_params.h asks beyond ranges, in this file's words. */
static int check_shape(const struct model *m, const struct ynode *map, struct err *err)
{
	if (m->d_model % m->head_count != 0 || m->d_model / m->head_count % 2 != 0)
		return ynode_err(map, err,
				 "%" PRIu64 " attention heads do not fit hidden_size %" PRIu64
				 ": expected heads of an even whole size",
				 m->head_count, m->d_model);
	if (m->d_model % 32 != 0)
		return err_set(err, ENOTSUP,
			       "%s: hidden_size: got %" PRIu64
			       ", which is not supported: expected a multiple of 32",
			       map->file, m->d_model);
	if (m->d_ffn % 64 != 0)
		return err_set(err, ENOTSUP,
			       "%s: the FFN's size: got %" PRIu64
			       ", which is not supported: expected a multiple of 64",
			       map->file, m->d_ffn);
	return 0;
}

static int read_map(struct hf_config *c, const struct ynode *map, struct err *err)
{
	static const char *const type[NAMES] = {"model_type"};
	const struct ynode *node;
	const char *name;

	if (map->kind != YNODE_MAP)
		return wrong(map, "config.json", "a mapping", err);
	node = find(map, type, &name);
	if (!node)
		return missing(map, "model_type", err);
	if (strcmp(got(node), "opt") == 0)
		c->model.family = MODEL_OPT;
	else if (strcmp(got(node), "falcon") == 0 || strcmp(got(node), "RefinedWebModel") == 0)
		c->model.family = MODEL_FALCON;
	else
		return unsupported(node, name, "opt or falcon", err);
	read_name(&c->model, map);
	if (read_switch(map, "tie_word_embeddings", true, &c->tied, err))
		return err->code;
	if (c->model.family == MODEL_OPT ? read_opt(c, map, err) : read_falcon(c, map, err))
		return err->code;
	return check_shape(&c->model, map, err);
}

int hf_config_read(struct hf_config *config, const char *path, struct err *err)
{
	struct ynode *map = NULL;

	memset(config, 0, sizeof(*config));
	config->model.row_align = 512;
	if (!config_json_load(&map, path, err))
		read_map(config, map, err);
	ynode_free(map);
	return err->code;
}

/* A number, or a list of which the first counts. */
static int read_eos(int64_t *id, const struct ynode *map, struct err *err)
{
	static const char *const keys[NAMES] = {"eos_token_id"};
	const struct ynode *node;
	uint64_t value = 0;
	const char *name;

	node = map->kind == YNODE_MAP ? find(map, keys, &name) : NULL;
	if (node && node->kind == YNODE_LIST)
		node = node->count > 0 ? node->items[0] : NULL;
	if (!node)
		return 0;
	if (read_count(node, name, 0, UINT32_MAX, &value, err))
		return err->code;
	*id = (int64_t)value;
	return 0;
}

int hf_eos_read(int64_t *id, const char *dir, struct err *err)
{
	static const char *const files[] = {"generation_config.json", "config.json"};
	const size_t size = strlen(dir) + 32;
	char *path = malloc(size);

	*id = -1;
	if (!path)
		return err_nomem(err, "a file's name", size);
	for (size_t i = 0; i < 2 && *id < 0 && !err->code; i++) {
		struct ynode *map = NULL;

		snprintf(path, size, "%s/%s", dir, files[i]);
		if (access(path, F_OK) == 0 && !config_json_load(&map, path, err))
			(void)!read_eos(id, map, err);
		ynode_free(map);
	}
	free(path);
	return err->code;
}
