/* SPDX-License-Identifier: GPL-3.0-or-later */
/* fuzz_pickle.c - the pickle of a state dict, without the archive around it */
#include "fuzz.h"
#include "pickle.h"

static void check_tensor(const struct pickle_tensor *tensor)
{
	uint64_t elements = 1;

	for (unsigned i = 0; i < CHECKPOINT_DIMS; i++)
		FUZZ_CHECK(!__builtin_mul_overflow(elements, tensor->tensor.dims[i], &elements) ||
			   tensor->tensor.bytes == 0);
	FUZZ_CHECK(tensor->tensor.bytes == 0 ||
		   tensor->tensor.bytes == elements * weight_bytes(tensor->tensor.type));
	FUZZ_CHECK(tensor->tensor.name[0] != '\0' && tensor->tensor.dim_count <= CHECKPOINT_DIMS);
	FUZZ_CHECK(strspn(tensor->storage, "0123456789") == strlen(tensor->storage));
	FUZZ_CHECK(tensor->storage_at_bytes <= tensor->storage_bytes);
	FUZZ_CHECK(tensor->tensor.bytes <= tensor->storage_bytes - tensor->storage_at_bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pickle_tensors tensors;
	struct err err = {0};

	if (pickle_read(&tensors, data, size, "x.bin", &err) == 0)
		for (size_t i = 0; i < tensors.count; i++)
			check_tensor(&tensors.items[i]);
	else
		FUZZ_CHECK(err.code != 0 && err.msg[0] != '\0');
	pickle_fini(&tensors);
	return 0;
}
