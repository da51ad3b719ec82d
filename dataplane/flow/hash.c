/* SPDX-License-Identifier: BSD-3-Clause */
#include <sys/random.h>

#include <assert.h>

#include "dataplane/flow/hash.h"

void hash_key_random(struct hash_key *key)
{
	ssize_t got = getrandom(key, sizeof(*key), 0);

	/* up to 256 bytes are never cut short once the pool is ready */
	assert(got == (ssize_t)sizeof(*key));
	for (size_t i = 0; i < sizeof(key->word) / sizeof(key->word[0]); i++)
		key->word[i] |= 1;
}
