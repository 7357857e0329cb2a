/* SPDX-License-Identifier: GPL-3.0-or-later */
/* gguf_config.h - what a GGUF file of llama.cpp's says of itself, as a geometry of ours
 *
 * Falcon alone: llama.cpp knows no OPT.  The activation is not among its keys: GELU, as published.
 * */
#ifndef FLASH_GGUF_CONFIG_H
#define FLASH_GGUF_CONFIG_H

#include "gguf.h"
#include "hf_config.h"

/* EBADMSG for what is malformed, ENOTSUP for what is known and not supported. */
MUST_CHECK int gguf_config_read(struct hf_config *config, const struct gguf *gguf, struct err *err);

#endif
