/* SPDX-License-Identifier: GPL-3.0-or-later */
/* pickle.h - the tensors that a PyTorch state dict names, read without running it
 *
 * A pickle is a program for a stack machine that can call anything its reader can import.  This
 * machine knows what a state dict needs and nothing more: numbers, texts, tuples, dicts, and the
 * few names in pickle_torch.c, which it never calls: it notes what they would have built.  Every
 * other opcode and name is refused by name, so that no code can run. */
#ifndef FLASH_PICKLE_H
#define FLASH_PICKLE_H

#include "checkpoint.h"

enum { PICKLE_KEY = 32 };

struct pickle_tensor {
	struct checkpoint_tensor tensor;
	char storage[PICKLE_KEY];  /* its bytes are the archive's member data/<storage> */
	uint64_t storage_bytes;	   /* of the whole storage, which tensors may share */
	uint64_t storage_at_bytes; /* of the tensor's first byte in it; it ends inside it */
};

struct pickle_tensors {
	struct pickle_tensor *items; /* in the order of the state dict */
	size_t count;
};

/* Messages begin with 'path'.  Fills 'tensors' also when it fails: pickle_fini() either way. */
MUST_CHECK int pickle_read(struct pickle_tensors *tensors, const unsigned char *bytes, size_t size,
			   const char *path, struct err *err);
void pickle_fini(struct pickle_tensors *tensors);

#endif
