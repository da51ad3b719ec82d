/* SPDX-License-Identifier: BSD-3-Clause */
/* Published answers for the primitives that the handshake takes from libraries, from each library
 * that it could take them from. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <openssl/evp.h>
#include <sodium.h>
#include <string.h>

#include "test/unit/dataplane/wireguard/xchacha_cases.h"

enum { TAG = 16, ROOM = 512 };

static size_t unhex(const char *text, uint8_t *out, size_t room)
{
	size_t size;

	assert_int_equal(sodium_hex2bin(out, room, text, strlen(text), NULL, &size, NULL), 0);
	return size;
}

/* With OpenSSL, which has no XChaCha20: a key by HChaCha20, then the rest of the nonce. */
static void openssl_seal(uint8_t *out, const uint8_t *plain, size_t size, const uint8_t *aad,
	size_t aad_size, const uint8_t nonce[24], const uint8_t key[32])
{
	EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
	uint8_t subkey[32], rest[12] = {0};
	int length;

	assert_non_null(context);
	assert_int_equal(crypto_core_hchacha20(subkey, nonce, key, NULL), 0);
	memcpy(rest + 4, nonce + 16, 8);
	assert_int_equal(
		EVP_EncryptInit_ex(context, EVP_chacha20_poly1305(), NULL, subkey, rest), 1);
	assert_int_equal(EVP_EncryptUpdate(context, NULL, &length, aad, (int)aad_size), 1);
	assert_int_equal(EVP_EncryptUpdate(context, out, &length, plain, (int)size), 1);
	assert_int_equal(EVP_EncryptFinal_ex(context, out + size, &length), 1);
	assert_int_equal(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, TAG, out + size), 1);
	EVP_CIPHER_CTX_free(context);
}

static void xchacha_known_answers(void **state)
{
	for (unsigned i = 0; i < XCHACHA_CASES; i++) {
		uint8_t key[32], nonce[24], aad[64], plain[ROOM], sealed[ROOM + TAG],
			out[ROOM + TAG];
		size_t aad_size = unhex(xchacha_cases[i].aad, aad, sizeof(aad));
		size_t size = unhex(xchacha_cases[i].plain, plain, sizeof(plain));

		unhex(xchacha_cases[i].key, key, sizeof(key));
		unhex(xchacha_cases[i].nonce, nonce, sizeof(nonce));
		assert_int_equal(
			unhex(xchacha_cases[i].sealed, sealed, sizeof(sealed)), size + TAG);
		crypto_aead_xchacha20poly1305_ietf_encrypt(
			out, NULL, plain, size, aad, aad_size, NULL, nonce, key);
		if (memcmp(out, sealed, size + TAG) != 0)
			fail_msg("libsodium, case %u", xchacha_cases[i].number);
		openssl_seal(out, plain, size, aad, aad_size, nonce, key);
		if (memcmp(out, sealed, size + TAG) != 0)
			fail_msg("OpenSSL, case %u", xchacha_cases[i].number);
		assert_int_equal(crypto_aead_xchacha20poly1305_ietf_decrypt(out, NULL, NULL, sealed,
					 size + TAG, aad, aad_size, nonce, key),
			0);
		assert_memory_equal(out, plain, size);
		sealed[size] ^= 1;
		assert_int_not_equal(crypto_aead_xchacha20poly1305_ietf_decrypt(out, NULL, NULL,
					     sealed, size + TAG, aad, aad_size, nonce, key),
			0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(xchacha_known_answers),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
