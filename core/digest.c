/* SPDX-License-Identifier: GPL-3.0-or-later */
/* digest.c - XXH3-128 as 32 hexadecimal digits, most significant first, as xxhsum prints it */
#include "digest.h"

#include <assert.h>
#include <stdlib.h>

#include <xxhash.h>

struct digest {
	XXH3_state_t *state; /* its own allocation: it wants more alignment than malloc promises */
};

struct digest *digest_open(void)
{
	struct digest *digest = malloc(sizeof(*digest));

	if (!digest)
		return NULL;
	digest->state = XXH3_createState();
	if (!digest->state) {
		free(digest);
		return NULL;
	}
	XXH3_128bits_reset(digest->state);
	return digest;
}

void digest_add(struct digest *digest, const void *data, size_t bytes)
{
	assert(digest && (data || bytes == 0));
	if (bytes > 0)
		XXH3_128bits_update(digest->state, data, bytes);
}

static void hash_text(XXH128_hash_t hash, char text[DIGEST_TEXT])
{
	static const char digits[] = "0123456789abcdef";
	XXH128_canonical_t canonical;

	XXH128_canonicalFromHash(&canonical, hash);
	for (size_t i = 0; i < sizeof(canonical.digest); i++) {
		text[2 * i] = digits[canonical.digest[i] >> 4];
		text[2 * i + 1] = digits[canonical.digest[i] & 15];
	}
	text[DIGEST_TEXT - 1] = '\0';
}

void digest_text(const struct digest *digest, char text[DIGEST_TEXT])
{
	assert(digest);
	hash_text(XXH3_128bits_digest(digest->state), text);
}

void digest_close(struct digest *digest)
{
	if (!digest)
		return;
	XXH3_freeState(digest->state);
	free(digest);
}

void digest_of(const void *data, size_t bytes, char text[DIGEST_TEXT])
{
	assert(data || bytes == 0);
	hash_text(XXH3_128bits(data, bytes), text);
}
