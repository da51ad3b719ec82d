/* SPDX-License-Identifier: BSD-3-Clause */
/* Known answers of RFC 8439, special cases and the rules of the interface, for every
 * implementation. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "dataplane/aead/aead.h"
#include "test/unit/dataplane/aead/cases.h"

/* RFC 8439, section 2.8.2 and appendix A.5. */
static const struct {
	const char *key, *nonce, *aad, *sealed;
	const char *plain; /* text */
} vectors[] = {
	{
		.key = "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f",
		.nonce = "070000004041424344454647",
		.aad = "50515253c0c1c2c3c4c5c6c7",
		.plain = "Ladies and Gentlemen of the class of '99: If I could offer you only one "
			 "tip for the future, sunscreen would be it.",
		.sealed = "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d6"
			  "3dbea45e8ca9671282fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3b36"
			  "92ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc"
			  "3ff4def08e4b7a9de576d26586cec64b6116"
			  "1ae10b594f09e26a7e902ecbd0600691",
	},
	{
		.key = "1c9240a5eb55d38af333888604f6b5f0473917c1402b80099dca5cbc207075c0",
		.nonce = "000000000102030405060708",
		.aad = "f33388860000000000004e91",
		.plain =
			"Internet-Drafts are draft documents valid for a maximum of six months "
			"and may be updated, replaced, or obsoleted by other documents at any "
			"time. It is inappropriate to use Internet-Drafts as reference material "
			"or to cite them other than as /\xe2\x80\x9cwork in progress./\xe2\x80\x9d",
		.sealed = "64a0861575861af460f062c79be643bd5e805cfd345cf389f108670ac76c8cb2"
			  "4c6cfc18755d43eea09ee94e382d26b0bdb7b73c321b0100d4f03b7f355894cf"
			  "332f830e710b97ce98c8a84abd0b948114ad176e008d33bd60f982b1ff37c855"
			  "9797a06ef4f0ef61c186324e2b3506383606907b6a7c02b0f9f6157b53c867e4"
			  "b9166c767b804d46a59b5216cde7a4e99040c5a40433225ee282a1b0a06c523e"
			  "af4534d7f83fa1155b0047718cbc546a0d072b04b3564eea1b422273f548271a"
			  "0bb2316053fa76991955ebd63159434ecebb4e466dae5a1073a6727627097a10"
			  "49e617d91d361094fa68f0ff77987130305beaba2eda04df997b714d6c6f2c29"
			  "a6ad5cb4022b02709b"
			  "eead9d67890cbb22392336fea1851f38",
	},
};

enum { VECTORS = sizeof(vectors) / sizeof(vectors[0]) };

static size_t unhex(const char *text, uint8_t *out, size_t room)
{
	size_t size;

	assert_int_equal(sodium_hex2bin(out, room, text, strlen(text), NULL, &size, NULL), 0);
	return size;
}

/* NULL past the last implementation that this machine can run. */
static struct aead *create_next(unsigned *index)
{
	const char *name;
	int error;

	while ((name = aead_name_at((*index)++)) != NULL) {
		int rc = aead_select(name);

		if (rc == -ENOTSUP)
			continue;
		assert_int_equal(rc, 0);
		assert_string_equal(aead_name(), name);
		return aead_create(&error);
	}
	return NULL;
}

static void known_answers(void **state)
{
	unsigned index = 0;
	struct aead *aead;

	while ((aead = create_next(&index)) != NULL) {
		for (unsigned i = 0; i < VECTORS; i++) {
			uint8_t key[AEAD_KEY_SIZE], nonce[AEAD_NONCE_SIZE], aad[64];
			uint8_t sealed[512], out[512];
			struct aead_message m = {
				.key = key,
				.nonce = nonce,
				.aad = aad,
				.src = (const uint8_t *)vectors[i].plain,
				.length = (uint32_t)strlen(vectors[i].plain),
				.dst = out,
			};
			size_t size;

			unhex(vectors[i].key, key, sizeof(key));
			unhex(vectors[i].nonce, nonce, sizeof(nonce));
			m.aad_length = (uint32_t)unhex(vectors[i].aad, aad, sizeof(aad));
			size = unhex(vectors[i].sealed, sealed, sizeof(sealed));
			assert_int_equal(size, m.length + AEAD_TAG_SIZE);
			aead_seal_message(aead, &m);
			assert_memory_equal(out, sealed, size);

			m.src = sealed;
			assert_int_equal(aead_open_message(aead, &m), 0);
			assert_memory_equal(out, vectors[i].plain, m.length);
			for (size_t bit = 0; bit < 8 * size; bit++) {
				sealed[bit / 8] ^= (uint8_t)(1 << bit % 8);
				assert_int_equal(aead_open_message(aead, &m), -EBADMSG);
				assert_true(sodium_is_zero(out, m.length));
				sealed[bit / 8] ^= (uint8_t)(1 << bit % 8);
			}
			aad[0] ^= 1;
			assert_int_equal(aead_open_message(aead, &m), -EBADMSG);
		}
		aead_destroy(&aead);
		assert_null(aead);
	}
}

/* Cases with WireGuard's form of nonce and no associated data also go through the burst entry. */
static void check_burst(struct aead *aead, const struct aead_message *m, bool valid,
	const uint8_t *plain, const uint8_t *sealed, const char *comment)
{
	uint8_t out[512];
	struct aead_packet p = {.key = m->key, .length = m->length, .src = sealed, .dst = out};

	if (m->aad_length > 0 || !sodium_is_zero(m->nonce, 4))
		return;
	for (unsigned i = 0; i < 8; i++)
		p.counter |= (uint64_t)m->nonce[4 + i] << 8 * i;
	if ((aead_open(aead, &p, 1) == 1) != valid)
		fail_msg("%s: burst: %s", aead_name(), comment);
	p.src = plain;
	aead_seal(aead, &p, 1);
	if (valid && memcmp(out, sealed, p.length + AEAD_TAG_SIZE) != 0)
		fail_msg("%s: burst: %s", aead_name(), comment);
}

static void special_cases(void **state)
{
	unsigned index = 0;
	struct aead *aead;

	while ((aead = create_next(&index)) != NULL) {
		for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
			uint8_t key[AEAD_KEY_SIZE], nonce[AEAD_NONCE_SIZE], aad[256];
			uint8_t plain[512], sealed[512], out[512];
			struct aead_message m = {
				.key = key, .nonce = nonce, .aad = aad, .src = sealed, .dst = out};

			unhex(cases[i].key, key, sizeof(key));
			unhex(cases[i].nonce, nonce, sizeof(nonce));
			m.aad_length = (uint32_t)unhex(cases[i].aad, aad, sizeof(aad));
			m.length = (uint32_t)unhex(cases[i].plain, plain, sizeof(plain));
			unhex(cases[i].sealed, sealed, sizeof(sealed));
			if ((aead_open_message(aead, &m) == 0) != cases[i].valid)
				fail_msg("%s: %s", aead_name(), cases[i].comment);
			check_burst(aead, &m, cases[i].valid, plain, sealed, cases[i].comment);
			if (!cases[i].valid)
				continue;
			assert_int_equal(aead_open_message(aead, &m), 0);
			assert_memory_equal(out, plain, m.length);
			m.src = plain;
			aead_seal_message(aead, &m);
			assert_memory_equal(out, sealed, m.length + AEAD_TAG_SIZE);
		}
		aead_destroy(&aead);
	}
}

static void burst_agrees_with_message(void **state)
{
	unsigned index = 0;
	struct aead *aead;

	while ((aead = create_next(&index)) != NULL) {
		uint8_t key[AEAD_KEY_SIZE] = {9}, plain[200] = {5}, one[216], burst[216];
		/* The counter 0x0807060504030201 in WireGuard's nonce. */
		uint8_t nonce[AEAD_NONCE_SIZE] = {0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8};
		struct aead_message m = {
			.key = key, .nonce = nonce, .src = plain, .dst = one, .length = 200};
		struct aead_packet p = {.key = key,
			.counter = 0x0807060504030201,
			.src = plain,
			.dst = burst,
			.length = 200};

		aead_seal_message(aead, &m);
		aead_seal(aead, &p, 1);
		assert_memory_equal(one, burst, sizeof(one));
		aead_destroy(&aead);
	}
}

static void selection(void **state)
{
	assert_int_equal(aead_select("rot13"), -ENOENT);
	assert_int_equal(aead_select("sodium"), 0);
	assert_string_equal(aead_name(), "sodium");
	assert_int_equal(aead_select("rot13"), -ENOENT);
	assert_string_equal(aead_name(), "sodium");
	assert_int_equal(aead_select(NULL), 0);
	print_message("chosen by measurement: %s\n", aead_description());
	assert_string_not_equal(aead_name(), "ipsec-mb-avx2");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_answers),
		cmocka_unit_test(special_cases),
		cmocka_unit_test(burst_agrees_with_message),
		cmocka_unit_test(selection),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
