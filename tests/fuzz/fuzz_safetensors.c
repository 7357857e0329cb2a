/* SPDX-License-Identifier: GPL-3.0-or-later */
/* fuzz_safetensors.c - whole files; or, beginning with '{', a header with a NUL and its data behind,
 * so that the header can grow without its length in front of it */
#include "fuzz.h"
#include "safetensors.h"

#include "err.h"

static void close_nothing(struct checkpoint_part *part)
{
	(void)part;
}

static const struct checkpoint_part_ops no_ops = {.close = close_nothing};

/* Each byte of the data belongs to one tensor: so their sizes sum up to it. */
static void check_entries(const struct checkpoint *checkpoint, uint64_t data_at,
			  uint64_t data_bytes)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < checkpoint->entry_count; i++) {
		const struct checkpoint_entry *entry = &checkpoint->entries[i];

		FUZZ_CHECK(entry->tensor.name[0] != '\0');
		FUZZ_CHECK(entry->at >= data_at && entry->at - data_at <= data_bytes);
		FUZZ_CHECK(entry->tensor.bytes <= data_bytes - (entry->at - data_at));
		sum += entry->tensor.bytes;
	}
	FUZZ_CHECK(sum == data_bytes);
}

static void parse_header(const uint8_t *data, size_t size)
{
	struct checkpoint_part part = {.ops = &no_ops, .path = (char[]){"x.safetensors"}};
	struct checkpoint *checkpoint = calloc(1, sizeof(*checkpoint));
	const uint8_t *end = memchr(data, '\0', size);
	size_t text_bytes = end ? (size_t)(end - data) : size;
	struct safetensors_header header = {.text_bytes = text_bytes,
					    .data_bytes = end ? size - text_bytes - 1 : 0};
	struct err err = {0};
	char *text = malloc(text_bytes + 1); /* what is read past it is seen */

	FUZZ_CHECK(checkpoint && text);
	memcpy(text, data, text_bytes);
	header.text = text;
	if (safetensors_parse(checkpoint, &part, &header, &err) == 0)
		check_entries(checkpoint, 8 + text_bytes, header.data_bytes);
	else
		FUZZ_CHECK(err.code != 0 && err.msg[0] != '\0');
	free(text);
	checkpoint_close(checkpoint);
}

static void read_tensors(struct checkpoint *checkpoint)
{
	for (size_t i = 0; i < checkpoint->entry_count; i++) {
		struct checkpoint_entry *entry = &checkpoint->entries[i];
		struct err err = {0};
		unsigned char *bytes = malloc(entry->tensor.bytes + 1);

		FUZZ_CHECK(bytes && entry->part->ops->read);
		FUZZ_CHECK(entry->tensor.bytes == 0 ||
			   entry->part->ops->read(entry->part, entry, 0, bytes, entry->tensor.bytes,
						  &err) == 0);
		free(bytes);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct checkpoint *checkpoint;
	struct err err = {0};

	if (size > 0 && data[0] == '{') {
		parse_header(data, size);
		return 0;
	}
	checkpoint = calloc(1, sizeof(*checkpoint));
	FUZZ_CHECK(checkpoint);
	if (checkpoint_read_safetensors(checkpoint, fuzz_file(data, size), &err) == 0)
		read_tensors(checkpoint);
	else
		FUZZ_CHECK(err.code != 0 && err.msg[0] != '\0');
	checkpoint_close(checkpoint);
	return 0;
}
