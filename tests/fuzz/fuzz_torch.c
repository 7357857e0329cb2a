/* SPDX-License-Identifier: GPL-3.0-or-later */
/* fuzz_torch.c - whole PyTorch files: the zip directory, its members, the pickle */
#include "checkpoint_inside.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct checkpoint *checkpoint = calloc(1, sizeof(*checkpoint));
	struct err err = {0};

	FUZZ_CHECK(checkpoint);
	if (checkpoint_read_torch(checkpoint, fuzz_file(data, size), &err))
		FUZZ_CHECK(err.code != 0 && err.msg[0] != '\0');
	for (size_t i = 0; i < checkpoint->entry_count && !err.code; i++) {
		const struct checkpoint_entry *entry = &checkpoint->entries[i];
		struct err read_err = {0};
		unsigned char *bytes;

		FUZZ_CHECK(entry->tensor.bytes <= size);
		bytes = malloc(entry->tensor.bytes + 1);
		FUZZ_CHECK(bytes);
		/* Its checksum may be wrong. */
		if (entry->tensor.bytes > 0 &&
		    entry->part->ops->read(entry->part, entry, 0, bytes, entry->tensor.bytes,
					   &read_err))
			FUZZ_CHECK(read_err.msg[0] != '\0');
		free(bytes);
	}
	checkpoint_close(checkpoint);
	return 0;
}
