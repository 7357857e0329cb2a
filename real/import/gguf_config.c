/* SPDX-License-Identifier: GPL-3.0-or-later */
/* gguf_config.c - reads the falcon.* keys */
#include "gguf_config.h"

#include "real_files.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

static int check_family(const struct gguf *gguf, struct err *err)
{
	const char *family;

	if (gguf_has(gguf, "flashcast.layout"))
		return err_set(err, EINVAL,
			       "%s: already a flashcast model: got one of its files, expected a "
			       "checkpoint",
			       gguf_path(gguf));
	if (gguf_text(gguf, "general.architecture", &family, err))
		return err->code;
	if (strcmp(family, "falcon") != 0)
		return err_set(err, ENOTSUP,
			       "%s: general.architecture: got '%.32s', which is not supported: "
			       "expected 'falcon' (OPT comes as a Hugging Face folder)",
			       gguf_path(gguf), family);
	return 0;
}

/* A number that the forward pass has built in; absent, it is that. */
static int check_number(const struct gguf *gguf, const char *key, double want, struct err *err)
{
	double got;

	if (!gguf_has(gguf, key))
		return 0;
	if (gguf_float(gguf, key, &got, err))
		return err->code;
	if (!(fabs(got - want) <= want * 1e-6))
		return err_set(err, ENOTSUP, "%s: %s: got %g, which is not supported: expected %g",
			       gguf_path(gguf), key, got, want);
	return 0;
}

static int check_text(const struct gguf *gguf, const char *key, const char *want, struct err *err)
{
	const char *got;

	if (!gguf_has(gguf, key))
		return 0;
	if (gguf_text(gguf, key, &got, err))
		return err->code;
	if (strcmp(got, want) != 0)
		return err_set(err, ENOTSUP,
			       "%s: %s: got '%.32s', which is not supported: expected '%s'",
			       gguf_path(gguf), key, got, want);
	return 0;
}

static int read_sizes(struct model *m, const struct gguf *gguf, struct err *err)
{
	const struct gguf_tensor *embedding = gguf_find_tensor(gguf, "token_embd.weight");
	char key[FILE_KEY];

	for (const struct file_key *row = file_keys; row->part; row++) {
		uint64_t value;

		file_key_name(key, m, row);
		/* Older converters leave it out. */
		if (strcmp(row->part, "vocab_size") == 0 && !gguf_has(gguf, key) && embedding)
			value = embedding->dims[1];
		else if (gguf_number(gguf, key, &value, err))
			return err->code;
		memcpy((char *)m + row->offset, &value, sizeof(value));
	}
	return 0;
}

static int check_rope(const struct model *m, const struct gguf *gguf, struct err *err)
{
	static const char key[] = "falcon.rope.dimension_count";
	uint64_t size;

	if (check_number(gguf, "falcon.rope.freq_base", 10000, err) ||
	    check_text(gguf, "falcon.rope.scaling.type", "none", err))
		return err->code;
	if (!gguf_has(gguf, key))
		return 0;
	if (gguf_number(gguf, key, &size, err))
		return err->code;
	if (size != m->d_model / m->head_count)
		return err_set(err, ENOTSUP,
			       "%s: %s: got %" PRIu64 ", which is not supported: expected %" PRIu64
			       ", a whole head",
			       gguf_path(gguf), key, size, m->d_model / m->head_count);
	return 0;
}

int gguf_config_read(struct hf_config *config, const struct gguf *gguf, struct err *err)
{
	struct model *m = &config->model;
	const char *name;

	memset(config, 0, sizeof(*config));
	m->family = MODEL_FALCON;
	m->activation = ACT_GELU;
	m->row_align = 512;
	if (check_family(gguf, err) || read_sizes(m, gguf, err) ||
	    shape_check(m, gguf_path(gguf), err) || check_rope(m, gguf, err) ||
	    check_number(gguf, "falcon.attention.layer_norm_epsilon", 1e-5, err) ||
	    check_text(gguf, "falcon.tensor_data_layout", "jploski", err))
		return err->code;
	if (gguf_has(gguf, "general.name") && !gguf_text(gguf, "general.name", &name, err))
		snprintf(m->name, sizeof(m->name), "%s", name);
	return err->code;
}
