/* SPDX-License-Identifier: BSD-3-Clause */
#include "test/unit/dataplane/wireguard/sim_peer.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

uint8_t sim_peer_last_timestamp[12];

/* --- BLAKE2s: RFC 7693, sections 2.6, 3.1 and 3.2 ------------------------------------------- */

static const uint32_t iv[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f,
	0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

static const uint8_t sigma[10][16] = {
	{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
	{14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3},
	{11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4},
	{7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8},
	{9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13},
	{2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9},
	{12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11},
	{13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10},
	{6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5},
	{10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0},
};

static uint32_t rotr(uint32_t x, int n)
{
	return x >> n | x << (32 - n);
}

static void quarter(uint32_t *a, uint32_t *b, uint32_t *c, uint32_t *d, uint32_t x, uint32_t y)
{
	*a += *b + x;
	*d = rotr(*d ^ *a, 16);
	*c += *d;
	*b = rotr(*b ^ *c, 12);
	*a += *b + y;
	*d = rotr(*d ^ *a, 8);
	*c += *d;
	*b = rotr(*b ^ *c, 7);
}

static void compress(uint32_t h[8], const uint8_t block[64], uint64_t bytes, bool last)
{
	uint32_t m[16], v[16];

	memcpy(m, block, sizeof(m)); /* a little-endian machine */
	memcpy(v, h, 32);
	memcpy(v + 8, iv, 32);
	v[12] ^= (uint32_t)bytes;
	v[13] ^= (uint32_t)(bytes >> 32);
	if (last)
		v[14] = ~v[14];
	for (int r = 0; r < 10; r++) {
		const uint8_t *s = sigma[r];

		for (int i = 0; i < 4; i++)
			quarter(&v[i], &v[4 + i], &v[8 + i], &v[12 + i], m[s[2 * i]],
				m[s[2 * i + 1]]);
		for (int i = 0; i < 4; i++)
			quarter(&v[i], &v[4 + (i + 1) % 4], &v[8 + (i + 2) % 4],
				&v[12 + (i + 3) % 4], m[s[8 + 2 * i]], m[s[9 + 2 * i]]);
	}
	for (int i = 0; i < 8; i++)
		h[i] ^= v[i] ^ v[8 + i];
}

void sim_blake2s(uint8_t *out, size_t out_size, const void *key, size_t key_size, const void *in,
	size_t in_size)
{
	uint8_t buffer[1024] = {0};
	size_t size = 0;
	uint32_t h[8];

	if (key_size > 0) {
		memcpy(buffer, key, key_size);
		size = 64;
	}
	if (size + in_size > sizeof(buffer))
		abort();
	memcpy(buffer + size, in, in_size);
	size += in_size;
	memcpy(h, iv, sizeof(h));
	h[0] ^= 0x01010000 ^ (uint32_t)key_size << 8 ^ (uint32_t)out_size;
	for (size_t at = 0;; at += 64) {
		if (at + 64 >= size) {
			compress(h, buffer + at, size, true);
			break;
		}
		compress(h, buffer + at, at + 64, false);
	}
	memcpy(out, h, out_size);
}

/* --- The functions of the paper, section 5.4 ------------------------------------------------ */

static void hash2(uint8_t out[32], const void *a, size_t a_size, const void *b, size_t b_size)
{
	uint8_t joined[512];

	memcpy(joined, a, a_size);
	memcpy(joined + a_size, b, b_size);
	sim_blake2s(out, 32, NULL, 0, joined, a_size + b_size);
}

static void hmac(uint8_t out[32], const uint8_t key[32], const void *in, size_t size)
{
	uint8_t inner[64], outer[64], digest[32];

	memset(inner, 0x36, 64);
	memset(outer, 0x5c, 64);
	for (int i = 0; i < 32; i++) {
		inner[i] ^= key[i];
		outer[i] ^= key[i];
	}
	hash2(digest, inner, 64, in, size);
	hash2(out, outer, 64, digest, 32);
}

/* Kdf_n: the nth output goes to the nth place. */
static void kdf(uint8_t *const *outs, int n, const uint8_t key[32], const void *in, size_t size)
{
	uint8_t t0[32], last[33];
	size_t held = 0;

	hmac(t0, key, in, size);
	for (int i = 0; i < n; i++) {
		uint8_t next[32];

		last[held] = (uint8_t)(i + 1);
		hmac(next, t0, last, held + 1);
		memcpy(last, next, 32);
		held = 32;
		memcpy(outs[i], next, 32);
	}
}

static const uint8_t zero_nonce[24];

static void seal(
	uint8_t *out, const uint8_t key[32], const void *in, size_t size, const uint8_t hash[32])
{
	crypto_aead_chacha20poly1305_ietf_encrypt(
		out, NULL, in, size, hash, 32, NULL, zero_nonce, key);
}

static bool unseal(
	void *out, const uint8_t key[32], const uint8_t *in, size_t size, const uint8_t hash[32])
{
	return crypto_aead_chacha20poly1305_ietf_decrypt(
		       out, NULL, NULL, in, size, hash, 32, zero_nonce, key) == 0;
}

static void dh(uint8_t out[32], const uint8_t private_key[32], const uint8_t public_key[32])
{
	if (crypto_scalarmult(out, private_key, public_key) != 0)
		memset(out, 0, 32); /* a careless peer goes on with zeros */
}

static void put32(uint8_t *to, uint32_t value)
{
	for (int i = 0; i < 4; i++)
		to[i] = (uint8_t)(value >> (8 * i));
}

static uint32_t get32(const uint8_t *from)
{
	return from[0] | from[1] << 8 | from[2] << 16 | (uint32_t)from[3] << 24;
}

/* --- The peer ------------------------------------------------------------------------------- */

void sim_peer_init(struct sim_peer *sim, uint8_t seed)
{
	memset(sim, 0, sizeof(*sim));
	sim_blake2s(sim->private_key, 32, NULL, 0, &seed, 1);
	crypto_scalarmult_base(sim->public_key, sim->private_key);
	sim->seconds = 1700000000;
	sim->local_index = 0x51000000u | seed;
}

void sim_peer_add_macs(struct sim_peer *sim, uint8_t *message, size_t size)
{
	uint8_t key[32];

	hash2(key, "mac1----", 8, sim->remote_key, 32);
	sim_blake2s(message + size - 32, 16, key, 32, message, size - 32);
	memcpy(sim->last_mac1, message + size - 32, 16);
	memset(message + size - 16, 0, 16);
	if (sim->has_cookie)
		sim_blake2s(message + size - 16, 16, sim->cookie, 16, message, size - 16);
}

static void start_chain(uint8_t chain[32], uint8_t hash[32], const uint8_t responder[32])
{
	static const char construction[] = "Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s";
	static const char identifier[] = "WireGuard v1 zx2c4 Jason@zx2c4.com";

	sim_blake2s(chain, 32, NULL, 0, construction, strlen(construction));
	hash2(hash, chain, 32, identifier, strlen(identifier));
	hash2(hash, hash, 32, responder, 32);
}

static void fresh_ephemeral(struct sim_peer *sim)
{
	/* Differs each time, repeats in each run. */
	sim->local_index += 0x100;
	hash2(sim->ephemeral, sim->private_key, 32, &sim->local_index, 4);
}

void sim_peer_initiate(struct sim_peer *sim, uint8_t out[SIM_INITIATION])
{
	uint8_t key[32], shared[32], stamp[12];
	uint64_t tai = sim->seconds + 0x400000000000000aULL;
	uint8_t *const one[] = {sim->chain}, *const two[] = {sim->chain, key};

	fresh_ephemeral(sim);
	start_chain(sim->chain, sim->hash, sim->remote_key);
	memset(out, 0, SIM_INITIATION);
	out[0] = 1;
	put32(out + 4, sim->local_index);
	crypto_scalarmult_base(out + 8, sim->ephemeral);
	kdf(one, 1, sim->chain, out + 8, 32);
	hash2(sim->hash, sim->hash, 32, out + 8, 32);
	dh(shared, sim->ephemeral, sim->remote_key);
	kdf(two, 2, sim->chain, shared, 32);
	seal(out + 40, key, sim->public_key, 32, sim->hash);
	hash2(sim->hash, sim->hash, 32, out + 40, 48);
	dh(shared, sim->private_key, sim->remote_key);
	kdf(two, 2, sim->chain, shared, 32);
	for (int i = 0; i < 8; i++)
		stamp[i] = (uint8_t)(tai >> (56 - 8 * i));
	for (int i = 0; i < 4; i++)
		stamp[8 + i] = (uint8_t)(sim->nanoseconds >> (24 - 8 * i));
	seal(out + 88, key, stamp, 12, sim->hash);
	hash2(sim->hash, sim->hash, 32, out + 88, 28);
	sim_peer_add_macs(sim, out, SIM_INITIATION);
	sim->waiting = true;
}

/* The last steps are the same for both: psk, empty payload, keys. */
static void mix_preshared(struct sim_peer *sim, uint8_t key[32])
{
	uint8_t tau[32];
	uint8_t *const three[] = {sim->chain, tau, key};

	kdf(three, 3, sim->chain, sim->preshared_key, 32);
	hash2(sim->hash, sim->hash, 32, tau, 32);
}

static void establish(struct sim_peer *sim, bool initiator)
{
	uint8_t *const outs[] = {initiator ? sim->send_key : sim->receive_key,
		initiator ? sim->receive_key : sim->send_key};

	kdf(outs, 2, sim->chain, "", 0);
	sim->counter = 0;
	sim->established = true;
}

bool sim_peer_answer(
	struct sim_peer *sim, const uint8_t in[SIM_INITIATION], uint8_t out[SIM_RESPONSE])
{
	uint8_t key[32], shared[32], mac[16];
	uint8_t *const one[] = {sim->chain}, *const two[] = {sim->chain, key};

	hash2(key, "mac1----", 8, sim->public_key, 32);
	sim_blake2s(mac, 16, key, 32, in, SIM_INITIATION - 32);
	if (memcmp(mac, in + SIM_INITIATION - 32, 16) != 0 || get32(in) != 1)
		return false;
	start_chain(sim->chain, sim->hash, sim->public_key);
	kdf(one, 1, sim->chain, in + 8, 32);
	hash2(sim->hash, sim->hash, 32, in + 8, 32);
	dh(shared, sim->private_key, in + 8);
	kdf(two, 2, sim->chain, shared, 32);
	if (!unseal(sim->remote_key, key, in + 40, 48, sim->hash))
		return false;
	hash2(sim->hash, sim->hash, 32, in + 40, 48);
	dh(shared, sim->private_key, sim->remote_key);
	kdf(two, 2, sim->chain, shared, 32);
	if (!unseal(sim_peer_last_timestamp, key, in + 88, 28, sim->hash))
		return false;
	hash2(sim->hash, sim->hash, 32, in + 88, 28);
	sim->remote_index = get32(in + 4);

	fresh_ephemeral(sim);
	memset(out, 0, SIM_RESPONSE);
	out[0] = 2;
	put32(out + 4, sim->local_index);
	put32(out + 8, sim->remote_index);
	crypto_scalarmult_base(out + 12, sim->ephemeral);
	kdf(one, 1, sim->chain, out + 12, 32);
	hash2(sim->hash, sim->hash, 32, out + 12, 32);
	dh(shared, sim->ephemeral, in + 8);
	kdf(one, 1, sim->chain, shared, 32);
	dh(shared, sim->ephemeral, sim->remote_key);
	kdf(one, 1, sim->chain, shared, 32);
	mix_preshared(sim, key);
	seal(out + 44, key, "", 0, sim->hash);
	sim_peer_add_macs(sim, out, SIM_RESPONSE);
	establish(sim, false);
	return true;
}

bool sim_peer_finish(struct sim_peer *sim, const uint8_t in[SIM_RESPONSE])
{
	uint8_t key[32], shared[32], mac[16], nothing[1];
	uint8_t *const one[] = {sim->chain};

	hash2(key, "mac1----", 8, sim->public_key, 32);
	sim_blake2s(mac, 16, key, 32, in, SIM_RESPONSE - 32);
	if (memcmp(mac, in + SIM_RESPONSE - 32, 16) != 0 || get32(in) != 2 || !sim->waiting ||
		get32(in + 8) != sim->local_index)
		return false;
	kdf(one, 1, sim->chain, in + 12, 32);
	hash2(sim->hash, sim->hash, 32, in + 12, 32);
	dh(shared, sim->ephemeral, in + 12);
	kdf(one, 1, sim->chain, shared, 32);
	dh(shared, sim->private_key, in + 12);
	kdf(one, 1, sim->chain, shared, 32);
	mix_preshared(sim, key);
	if (!unseal(nothing, key, in + 44, 16, sim->hash))
		return false;
	sim->remote_index = get32(in + 4);
	sim->waiting = false;
	establish(sim, true);
	return true;
}

bool sim_peer_take_cookie(struct sim_peer *sim, const uint8_t in[SIM_COOKIE])
{
	uint8_t key[32];

	if (get32(in) != 3 || get32(in + 4) != sim->local_index)
		return false;
	hash2(key, "cookie--", 8, sim->remote_key, 32);
	sim->has_cookie = crypto_aead_xchacha20poly1305_ietf_decrypt(sim->cookie, NULL, NULL,
				  in + 32, 32, sim->last_mac1, 16, in + 8, key) == 0;
	return sim->has_cookie;
}

void sim_peer_demand_cookie(const struct sim_peer *sim, const uint8_t *message, size_t size,
	const uint8_t cookie[16], uint8_t out[SIM_COOKIE])
{
	uint8_t key[32];

	memset(out, 0, SIM_COOKIE);
	out[0] = 3;
	memcpy(out + 4, message + 4, 4);
	memset(out + 8, 0x42, 24);
	hash2(key, "cookie--", 8, sim->public_key, 32);
	crypto_aead_xchacha20poly1305_ietf_encrypt(
		out + 32, NULL, cookie, 16, message + size - 32, 16, NULL, out + 8, key);
}

bool sim_peer_mac2_is(const uint8_t *message, size_t size, const uint8_t cookie[16])
{
	uint8_t mac[16];

	sim_blake2s(mac, 16, cookie, 16, message, size - 16);
	return memcmp(mac, message + size - 16, 16) == 0;
}
