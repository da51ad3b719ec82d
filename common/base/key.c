/* SPDX-License-Identifier: BSD-3-Clause */
#include "common/base/key.h"

#include <assert.h>
#include <errno.h>
#include <sodium.h>
#include <string.h>

_Static_assert(KEY_TEXT_MAX == sodium_base64_ENCODED_LEN(KEY_SIZE, sodium_base64_VARIANT_ORIGINAL),
	"44 characters and the terminator");

int key_parse(const char *text, struct key *out)
{
	char canonical[KEY_TEXT_MAX];
	struct key key;
	size_t size;
	int rc = -EINVAL;

	if (strlen(text) != KEY_TEXT_MAX - 1)
		return -EINVAL;
	if (sodium_base642bin(key.bytes, sizeof(key.bytes), text, KEY_TEXT_MAX - 1, NULL, &size,
		    NULL, sodium_base64_VARIANT_ORIGINAL) != 0 ||
		size != KEY_SIZE)
		goto out;
	/* Trailing bits must be zero, or one key would have several texts. */
	if (sodium_memcmp(key_format(&key, canonical), text, KEY_TEXT_MAX - 1) != 0)
		goto out;
	*out = key;
	rc = 0;
out:
	key_wipe(&key);
	sodium_memzero(canonical, sizeof(canonical));
	return rc;
}

const char *key_format(const struct key *key, char text[KEY_TEXT_MAX])
{
	return sodium_bin2base64(
		text, KEY_TEXT_MAX, key->bytes, sizeof(key->bytes), sodium_base64_VARIANT_ORIGINAL);
}

bool key_equal(const struct key *a, const struct key *b)
{
	return sodium_memcmp(a->bytes, b->bytes, KEY_SIZE) == 0;
}

bool key_is_zero(const struct key *key)
{
	return sodium_is_zero(key->bytes, KEY_SIZE) == 1;
}

void key_generate(struct key *private_key)
{
	int rc = sodium_init();

	assert(rc >= 0);
	randombytes_buf(private_key->bytes, KEY_SIZE);
	private_key->bytes[0] &= 248;
	private_key->bytes[31] = (private_key->bytes[31] & 127) | 64;
}

int key_public(const struct key *private_key, struct key *public_key)
{
	if (crypto_scalarmult_base(public_key->bytes, private_key->bytes) != 0)
		return -EINVAL;
	return key_is_zero(public_key) ? -EINVAL : 0;
}

void key_wipe(struct key *key)
{
	sodium_memzero(key, sizeof(*key));
}
