/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <sodium.h>
#include <string.h>

#include "dataplane/wireguard/blake2s.h"
#include "test/unit/dataplane/wireguard/sim_peer.h"

static void unhex(const char *hex, uint8_t *out, size_t size)
{
	assert_int_equal(sodium_hex2bin(out, size, hex, strlen(hex), NULL, &size, NULL), 0);
	assert_int_equal(size, strlen(hex) / 2);
}

/* RFC 7693, appendix B. */
static void hash_is_the_known_answer(void **state)
{
	uint8_t expected[BLAKE2S_SIZE], out[BLAKE2S_SIZE];

	unhex("508c5e8c327c14e2e1a72ba34eeb452f37458b209ed63a294d999b4c86675982", expected,
		sizeof(expected));
	blake2s_hash(out, (struct blake2s_bytes){"abc", 3}, (struct blake2s_bytes){"", 0});
	assert_memory_equal(out, expected, sizeof(out));
	blake2s_hash(out, (struct blake2s_bytes){"a", 1}, (struct blake2s_bytes){"bc", 2});
	assert_memory_equal(out, expected, sizeof(out));
}

/* The independent BLAKE2s of the tests must itself be right: RFC 7693 and the reference KAT. */
static void model_is_the_known_answer(void **state)
{
	uint8_t expected[32], key[32], out[32];

	unhex("508c5e8c327c14e2e1a72ba34eeb452f37458b209ed63a294d999b4c86675982", expected, 32);
	sim_blake2s(out, 32, NULL, 0, "abc", 3);
	assert_memory_equal(out, expected, 32);
	for (uint8_t i = 0; i < 32; i++)
		key[i] = i;
	unhex("48a8997da407876b3d79c0d92325ad3b89cbb754d86ab71aee047ad345fd2c49", expected, 32);
	sim_blake2s(out, 32, key, 32, "", 0);
	assert_memory_equal(out, expected, 32);
}

/* Keys 00 01 .., input 00 01 ..; by Python's hashlib. */
static void keyed_mac_is_the_known_answer(void **state)
{
	static const struct {
		size_t key_size;
		size_t size;
		const char *mac;
	} rows[] = {
		{32, 0, "9536f9b267655743dee97b8a670f9f53"},
		{16, 0, "af4e5d3bb230e9ff9096ca6f7c501f76"},
		{32, 1, "13bacfb85b48a1223c595f8c1e7e82cb"},
		{32, 63, "ece382a8bd5018f1de5da44b72cea75b"},
		{32, 64, "f1efa90d2547036841ecd3627fafbc36"},
		{16, 65, "9018c671bb7e94a6d540a91765bbecad"},
		{32, 116, "072e94ffbfc684bd8ab2a1b9dade2fd5"},
		{16, 132, "b03d1196bdcfaad40f911db86b79ac7e"},
	};
	uint8_t bytes[256], expected[BLAKE2S_MAC_SIZE], mac[BLAKE2S_MAC_SIZE];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)i;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		unhex(rows[i].mac, expected, sizeof(expected));
		blake2s_mac(mac, (struct blake2s_bytes){bytes, rows[i].key_size},
			(struct blake2s_bytes){bytes, rows[i].size});
		assert_memory_equal(mac, expected, sizeof(mac));
	}
}

static void mac_equals_the_model(void **state)
{
	uint8_t bytes[200], mac[BLAKE2S_MAC_SIZE], model[BLAKE2S_MAC_SIZE];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 7 + 3);
	for (size_t size = 0; size <= sizeof(bytes); size++) {
		size_t key_size = 1 + size % 32;

		blake2s_mac(mac, (struct blake2s_bytes){bytes, key_size},
			(struct blake2s_bytes){bytes, size});
		sim_blake2s(model, sizeof(model), bytes, key_size, bytes, size);
		assert_memory_equal(mac, model, sizeof(mac));
	}
}

/* wireguard-go's kdf_test.go, confirmed with Python's hmac. */
static void kdf_is_the_known_answer(void **state)
{
	static const char *const expected[3] = {
		"6f0e5ad38daba1bea8a0d213688736f19763239305e0f58aba697f9ffc41c633",
		"df1194df20802a4fe594cde27e92991c8cae66c366e8106aaa937a55fa371e8a",
		"fac6e2745a325f5dc5d11a5b165aad08b0ada28e7b4e666b7c077934a4d76c24",
	};
	uint8_t outs[3][BLAKE2S_SIZE], bytes[BLAKE2S_SIZE];
	uint8_t secret[BLAKE2S_SIZE];
	struct blake2s_bytes key = {"test-key", 8};

	/* blake2s_kdf takes a 32-byte chaining key: HMAC pads with zeros, so pad the key. */
	uint8_t chaining_key[BLAKE2S_SIZE] = "test-key";

	for (int n = 1; n <= 3; n++) {
		uint8_t *outputs[3] = {outs[0], n > 1 ? outs[1] : NULL, n > 2 ? outs[2] : NULL};

		memset(outs, 0, sizeof(outs));
		blake2s_kdf(outputs, chaining_key, (struct blake2s_bytes){"test-input", 10});
		for (int i = 0; i < 3; i++) {
			unhex(expected[i], bytes, sizeof(bytes));
			if (i < n)
				assert_memory_equal(outs[i], bytes, sizeof(bytes));
			else
				assert_true(sodium_is_zero(outs[i], BLAKE2S_SIZE));
		}
	}
	/* The unpadded key must give the same. */
	blake2s_hmac(secret, key, (struct blake2s_bytes){"test-input", 10});
	blake2s_hmac(bytes, (struct blake2s_bytes){secret, 32}, (struct blake2s_bytes){"\1", 1});
	assert_memory_equal(outs[0], bytes, sizeof(bytes));
}

static void kdf_output_may_be_its_key(void **state)
{
	uint8_t chaining_key[BLAKE2S_SIZE] = "test-key";
	uint8_t expected[BLAKE2S_SIZE];
	uint8_t *outputs[3] = {chaining_key};

	unhex("6f0e5ad38daba1bea8a0d213688736f19763239305e0f58aba697f9ffc41c633", expected, 32);
	blake2s_kdf(outputs, chaining_key, (struct blake2s_bytes){"test-input", 10});
	assert_memory_equal(chaining_key, expected, 32);
}

/* Long ones, and whatever way they are cut in two. */
static void hash_equals_the_model(void **state)
{
	uint8_t bytes[300], hash[BLAKE2S_SIZE], model[BLAKE2S_SIZE];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 11 + 5);
	for (size_t size = 0; size <= sizeof(bytes); size++) {
		size_t cut = size * 7 % (size + 1);

		sim_blake2s(model, sizeof(model), NULL, 0, bytes, size);
		blake2s_hash(hash, (struct blake2s_bytes){bytes, cut},
			(struct blake2s_bytes){bytes + cut, size - cut});
		assert_memory_equal(hash, model, sizeof(hash));
	}
}

/* A key made ready gives the same MACs, as often as it is used. */
static void prepared_key_equals_the_key(void **state)
{
	uint8_t bytes[200], mac[BLAKE2S_MAC_SIZE], again[BLAKE2S_MAC_SIZE];
	struct blake2s_key key;

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 13 + 1);
	blake2s_key_set(&key, (struct blake2s_bytes){bytes, 32});
	for (size_t size = 1; size <= sizeof(bytes); size++) {
		blake2s_mac(mac, (struct blake2s_bytes){bytes, 32},
			(struct blake2s_bytes){bytes, size});
		blake2s_mac_with(again, &key, (struct blake2s_bytes){bytes, size});
		assert_memory_equal(mac, again, sizeof(mac));
	}
}

/* An empty message leaves the key's block the last one: how keys of a session are derived. */
static void hmac_of_nothing(void **state)
{
	uint8_t expected[BLAKE2S_SIZE], out[BLAKE2S_SIZE], pad[BLAKE2S_BLOCK_SIZE + BLAKE2S_SIZE];
	const uint8_t key[BLAKE2S_SIZE] = {1, 2, 3};

	for (size_t i = 0; i < BLAKE2S_BLOCK_SIZE; i++)
		pad[i] = 0x36 ^ (i < sizeof(key) ? key[i] : 0);
	sim_blake2s(pad + BLAKE2S_BLOCK_SIZE, BLAKE2S_SIZE, NULL, 0, pad, BLAKE2S_BLOCK_SIZE);
	for (size_t i = 0; i < BLAKE2S_BLOCK_SIZE; i++)
		pad[i] ^= 0x36 ^ 0x5c;
	sim_blake2s(expected, sizeof(expected), NULL, 0, pad, sizeof(pad));
	blake2s_hmac(out, (struct blake2s_bytes){key, sizeof(key)}, (struct blake2s_bytes){"", 0});
	assert_memory_equal(out, expected, sizeof(out));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hash_is_the_known_answer),
		cmocka_unit_test(model_is_the_known_answer),
		cmocka_unit_test(keyed_mac_is_the_known_answer),
		cmocka_unit_test(mac_equals_the_model),
		cmocka_unit_test(kdf_is_the_known_answer),
		cmocka_unit_test(kdf_output_may_be_its_key),
		cmocka_unit_test(hash_equals_the_model),
		cmocka_unit_test(prepared_key_equals_the_key),
		cmocka_unit_test(hmac_of_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
