/* SPDX-License-Identifier: GPL-3.0-or-later */
/* hf_config.h - what a checkpoint's config.json says, as a geometry of ours
 *
 * OPT (pre-norm, no projections: 125M and 1.3B to 66B) and Falcon as the 7B is built (multi-query,
 * parallel attention, rotary, no biases).  Whatever would change what the forward pass computes and
 * is not what it computes is refused by name: a model that runs and is wrong is worse than none.
 * Keys that say nothing of the computation (dropout, token ids, versions) are passed over, but for
 * the token that ends a text, where the tokenizer does not name one. */
#ifndef FLASH_HF_CONFIG_H
#define FLASH_HF_CONFIG_H

#include "err.h"
#include "model.h"

struct hf_config {
	struct model model; /* row_align: 512; name: what the config remembers, or "" */
	bool no_biases;	    /* OPT: the checkpoint has none; they count as zeros */
	bool plain_norms;   /* OPT: norms have neither weights nor biases: ones and zeros */
	bool tied;	    /* the head is the embedding, whatever the checkpoint holds */
	char note[512];	    /* what the user should know of how it was read; "" mostly */
};

/* EINVAL with file:line:column for what is malformed, ENOTSUP for what is known and not supported.
 * */
MUST_CHECK int hf_config_read(struct hf_config *config, const char *path, struct err *err);

/* "eos_token_id" of generation_config.json, else of config.json, in a checkpoint's folder; -1 where
 * neither says it. */
MUST_CHECK int hf_eos_read(int64_t *id, const char *dir, struct err *err);

#endif
