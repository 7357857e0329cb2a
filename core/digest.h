/* SPDX-License-Identifier: GPL-3.0-or-later */
/* digest.h - 128-bit digests (XXH3) of decisions, configs and files
 *
 * Not cryptographic: it finds a difference, it does not resist an adversary. */
#ifndef FLASH_DIGEST_H
#define FLASH_DIGEST_H

#include <stddef.h>

#include "err.h"

enum { DIGEST_TEXT = 33 }; /* 32 hexadecimal digits and a NUL */

struct digest;

struct digest *digest_open(void); /* NULL: out of memory */
void digest_add(struct digest *digest, const void *data, size_t bytes);
/* The digest of all that was added so far; adding may go on. */
void digest_text(const struct digest *digest, char text[DIGEST_TEXT]);
void digest_close(struct digest *digest); /* NULL is fine */

void digest_of(const void *data, size_t bytes, char text[DIGEST_TEXT]);

#endif
