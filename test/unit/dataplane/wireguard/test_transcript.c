/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A published transcript of Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s: cacophony's vector, which other
 * implementations of Noise ship, too (snow: tests/vectors/cacophony.txt). Its prologue and its
 * payloads are not WireGuard's, so it is the steps that are driven here, in the order in which
 * noise.c's messages take them; therefore that file as a whole.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "dataplane/wireguard/noise.c" /* NOLINT(bugprone-suspicious-include) */

enum { MESSAGE_MAX = 128, TRANSPORT = 4 };

static const char prologue[] = "John Galt";
static const char preshared[] = "This is my Austrian perspective!";
static const char *const payloads[] = {"Ludwig von Mises", "Murray Rothbard"};

static const struct {
	const char *initiator_static, *initiator_ephemeral, *responder_static, *responder_ephemeral;
	const char *responder_public, *messages[2], *hash;
} vector = {
	"e61ef9919cde45dd5f82166404bd08e38bceb5dfdfded0a34c8df7ed542214d1",
	"893e28b9dc6ca8d611ab664754b8ceb7bac5117349a4439a6b0569da977c464a",
	"4a3acbfdb163dec651dfa3194dece676d437029c62a408b4c5ea9114246e4893",
	"bbdb4cdbd309f1a1f2e1456967fe288cadd6f712d65dc7b7793d5e63da6b375b",
	"31e0303fd6418d2f8c0e78b91f22e8caed0fbe48656dcf4767e4834f701b8f62",
	{"ca35def5ae56cec33dc2036731ab14896bc4c75dbb07a61f879f8e3afa4c7944001e21de9f98ddd8e2ad57527"
	 "207feb56253c9c94a9e496782ecfcb2a75fbcaf1b52948cc48daefe660c62119ab5000980c84831215f2441eb"
	 "a616548e832985464cf17e51ee93109008399a21f7e13f",
		"95ebc60d2b1fa672c1f46a8aa265ef51bfe38e7ccb39ec5be34069f144808843cb765f2caef0751b8f"
		"007572dab0322217755c0632f365717edbf34d33e87a"},
	"f5191b875290abcd41347ac3622d9679688a7e980229cb937ef748336cfde0e5",
};

/* What is sent with the keys that come of it, in turns, the initiator first. */
static const struct {
	const char *payload, *sealed;
} transport[TRANSPORT] = {
	{"F. A. Hayek", "8153ca9833bc3c1b91a7e66e5f4d4f5b59bf9e64c2f20d15f0bba7"},
	{"Carl Menger", "07af0c9c86e1b4e80f36b04ff7688d51141af3debd0332f0a705ef"},
	{"Jean-Baptiste Say", "6ab1467c0448cc78394494abaaf23afce0e234315d6e2624dcbfa8a21c1c4d073d"},
	{"Eugen B\xf6hm von Bawerk",
		"dfc346c0d2296ae6cf1acf6f12b8456a1dba228cf8d8b774aacf1c47fc53aa80ebc7a4c292"},
};

/* One side, with the keys that it has; of the other's those it has been told. */
struct side {
	struct transcript t;
	uint8_t own_static[KEY_SIZE], own_ephemeral[KEY_SIZE];
	uint8_t remote_static[KEY_SIZE], remote_ephemeral[KEY_SIZE];
	uint8_t read[MESSAGE_MAX]; /* the payload */
};

static size_t unhex(const char *text, uint8_t *out, size_t room)
{
	size_t size;

	assert_int_equal(sodium_hex2bin(out, room, text, strlen(text), NULL, &size, NULL), 0);
	return size;
}

static void begin_side(struct side *side, const char *own_static, const char *own_ephemeral)
{
	uint8_t responder[KEY_SIZE];

	memset(side, 0, sizeof(*side));
	unhex(own_static, side->own_static, KEY_SIZE);
	unhex(own_ephemeral, side->own_ephemeral, KEY_SIZE);
	unhex(vector.responder_public, responder, KEY_SIZE);
	blake2s_hash(side->t.chaining_key,
		(struct blake2s_bytes){construction, sizeof(construction) - 1},
		(struct blake2s_bytes){"", 0});
	memcpy(side->t.hash, side->t.chaining_key, sizeof(side->t.hash));
	mix_hash(&side->t, prologue, sizeof(prologue) - 1);
	mix_hash(&side->t, responder, KEY_SIZE);
}

static void mix(struct side *side, const uint8_t own[KEY_SIZE], const uint8_t remote[KEY_SIZE])
{
	struct key shared;

	assert_int_equal(crypto_scalarmult(shared.bytes, own, remote), 0);
	assert_int_equal(mix_shared(&side->t, &shared, true), 0);
}

static void mix_preshared(struct side *side)
{
	struct key key;

	memcpy(key.bytes, preshared, KEY_SIZE);
	mix_preshared_key(&side->t, &key);
}

/* -> e, es, s, ss, payload. Returns its size. */
static size_t write_first(struct side *side, uint8_t *message)
{
	uint8_t *at = message, own_public[KEY_SIZE];

	unhex(vector.responder_public, side->remote_static, KEY_SIZE);
	crypto_scalarmult_base(at, side->own_ephemeral);
	mix_ephemeral(&side->t, at);
	at += KEY_SIZE;
	mix(side, side->own_ephemeral, side->remote_static);
	crypto_scalarmult_base(own_public, side->own_static);
	seal(&side->t, at, own_public, KEY_SIZE);
	at += KEY_SIZE + WG_TAG_SIZE;
	mix(side, side->own_static, side->remote_static);
	seal(&side->t, at, payloads[0], strlen(payloads[0]));
	at += strlen(payloads[0]) + WG_TAG_SIZE;
	return (size_t)(at - message);
}

static void read_first(struct side *side, const uint8_t *message)
{
	memcpy(side->remote_ephemeral, message, KEY_SIZE);
	mix_ephemeral(&side->t, message);
	message += KEY_SIZE;
	mix(side, side->own_static, side->remote_ephemeral);
	assert_int_equal(open_sealed(&side->t, side->remote_static, message, KEY_SIZE), 0);
	message += KEY_SIZE + WG_TAG_SIZE;
	mix(side, side->own_static, side->remote_static);
	assert_int_equal(open_sealed(&side->t, side->read, message, strlen(payloads[0])), 0);
	assert_string_equal(side->read, payloads[0]);
}

/* <- e, ee, se, psk, payload. Returns its size. */
static size_t write_second(struct side *side, uint8_t *message)
{
	crypto_scalarmult_base(message, side->own_ephemeral);
	mix_ephemeral(&side->t, message);
	mix(side, side->own_ephemeral, side->remote_ephemeral);
	mix(side, side->own_ephemeral, side->remote_static);
	mix_preshared(side);
	seal(&side->t, message + KEY_SIZE, payloads[1], strlen(payloads[1]));
	return KEY_SIZE + strlen(payloads[1]) + WG_TAG_SIZE;
}

static void read_second(struct side *side, const uint8_t *message)
{
	mix_ephemeral(&side->t, message);
	mix(side, side->own_ephemeral, message);
	mix(side, side->own_static, message);
	mix_preshared(side);
	assert_int_equal(
		open_sealed(&side->t, side->read, message + KEY_SIZE, strlen(payloads[1])), 0);
	assert_string_equal(side->read, payloads[1]);
}

static void expect_bytes(const void *bytes, size_t size, const char *expected)
{
	uint8_t binary[MESSAGE_MAX];

	assert_int_equal(unhex(expected, binary, sizeof(binary)), size);
	assert_memory_equal(bytes, binary, size);
}

/* As data packets are sealed: the nonce is a counter of 64 bits, little-endian, behind zeros. */
static void expect_sealed(unsigned i, const struct key *key)
{
	uint8_t sealed[MESSAGE_MAX], nonce[12] = {[4] = (uint8_t)(i / 2)};
	size_t size = strlen(transport[i].payload);

	crypto_aead_chacha20poly1305_ietf_encrypt(sealed, NULL,
		(const uint8_t *)transport[i].payload, size, NULL, 0, NULL, nonce, key->bytes);
	expect_bytes(sealed, size + WG_TAG_SIZE, transport[i].sealed);
}

static void published_transcript(void **state)
{
	struct noise_keys ours = {.initiator = true}, theirs = {.initiator = false};
	struct side initiator, responder;
	uint8_t message[MESSAGE_MAX];

	begin_side(&initiator, vector.initiator_static, vector.initiator_ephemeral);
	begin_side(&responder, vector.responder_static, vector.responder_ephemeral);
	expect_bytes(message, write_first(&initiator, message), vector.messages[0]);
	read_first(&responder, message);
	expect_bytes(message, write_second(&responder, message), vector.messages[1]);
	read_second(&initiator, message);
	expect_bytes(initiator.t.hash, sizeof(initiator.t.hash), vector.hash);
	expect_bytes(responder.t.hash, sizeof(responder.t.hash), vector.hash);
	derive_keys(&initiator.t, &ours);
	derive_keys(&responder.t, &theirs);
	assert_memory_equal(&ours.send, &theirs.receive, sizeof(ours.send));
	for (unsigned i = 0; i < TRANSPORT; i++)
		expect_sealed(i, i % 2 == 0 ? &ours.send : &theirs.send);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(published_transcript),
	};

	return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
