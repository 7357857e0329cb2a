/* SPDX-License-Identifier: GPL-3.0-or-later */
/* safetensors.h - the safetensors format: a JSON header that says where each tensor's bytes lie
 *
 * Eight bytes give the header's length N (little endian), N bytes the header, the rest is data.  The
 * header is an object: a tensor's name to its dtype, shape and data_offsets [begin, end) in the
 * data; beside them `__metadata__`, texts by name, which is checked and passed over.  Tensors must
 * fill the data without holes or overlaps. */
#ifndef FLASH_SAFETENSORS_H
#define FLASH_SAFETENSORS_H

#include "checkpoint_inside.h"

/* As the format's own reader has it: longer headers are refused. */
enum { SAFETENSORS_HEADER_MAX = 100 * 1000 * 1000 };

struct safetensors_header {
	const char *text; /* the JSON */
	size_t text_bytes;
	uint64_t data_bytes; /* that follow it in the file */
};

/* Adds the tensors of a header to a checkpoint; they belong to 'part', whose path stands in
 * messages. */
MUST_CHECK int safetensors_parse(struct checkpoint *checkpoint, struct checkpoint_part *part,
				 const struct safetensors_header *header, struct err *err);

#endif
