/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/wireguard/cookie.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "dataplane/wireguard/ratelimit.h"

enum { LABEL_SIZE = 8 };

static const char mac1_label[] = "mac1----";
static const char reply_label[] = "cookie--";

_Static_assert(sizeof(mac1_label) == LABEL_SIZE + 1 && sizeof(reply_label) == LABEL_SIZE + 1,
	"labels without their terminator");
_Static_assert(WG_COOKIE_NONCE_SIZE == crypto_aead_xchacha20poly1305_ietf_NPUBBYTES, "nonce");

static void derive_label_keys(
	const struct key *public_key, struct blake2s_key *mac1_key, uint8_t reply_key[WG_HASH_SIZE])
{
	struct blake2s_bytes key = {public_key->bytes, KEY_SIZE};
	uint8_t bytes[WG_HASH_SIZE];

	blake2s_hash(bytes, (struct blake2s_bytes){mac1_label, LABEL_SIZE}, key);
	blake2s_key_set(mac1_key, (struct blake2s_bytes){bytes, sizeof(bytes)});
	blake2s_hash(reply_key, (struct blake2s_bytes){reply_label, LABEL_SIZE}, key);
}

void cookie_checker_init(struct cookie_checker *checker, const struct key *public_key)
{
	memset(checker, 0, sizeof(*checker));
	derive_label_keys(public_key, &checker->mac1_key, checker->reply_key);
}

void cookie_jar_init(struct cookie_jar *jar, const struct key *public_key)
{
	memset(jar, 0, sizeof(*jar));
	derive_label_keys(public_key, &jar->mac1_key, jar->reply_key);
}

/* The cookie of an endpoint: a mac of its address and port under a secret that changes. */
static void make_cookie(struct cookie_checker *checker, const struct endpoint *source,
	uint64_t now_ms, uint8_t cookie[WG_COOKIE_SIZE])
{
	uint8_t bytes[sizeof(source->addr.bytes) + sizeof(source->port)];
	size_t size = addr_size(source->addr.family);

	if (checker->secret_since_ms == 0 ||
		now_ms - checker->secret_since_ms >= WG_COOKIE_SECRET_MAX_AGE_MS) {
		randombytes_buf(checker->secret, sizeof(checker->secret));
		checker->secret_since_ms = now_ms;
	}
	memcpy(bytes, source->addr.bytes, size);
	bytes[size] = (uint8_t)(source->port >> 8);
	bytes[size + 1] = (uint8_t)source->port;
	blake2s_mac(cookie, (struct blake2s_bytes){checker->secret, sizeof(checker->secret)},
		(struct blake2s_bytes){bytes, size + sizeof(source->port)});
}

static bool mac1_is_right(const struct cookie_checker *checker, const struct wg_macs *macs,
	struct blake2s_bytes before)
{
	uint8_t mac[WG_MAC_SIZE];

	blake2s_mac_with(mac, &checker->mac1_key, before);
	return sodium_memcmp(mac, macs->mac1, sizeof(mac)) == 0;
}

static bool mac2_is_right(const uint8_t cookie[WG_COOKIE_SIZE], const struct wg_macs *macs,
	struct blake2s_bytes before)
{
	uint8_t mac[WG_MAC_SIZE];

	blake2s_mac(mac, (struct blake2s_bytes){cookie, WG_COOKIE_SIZE}, before);
	return sodium_memcmp(mac, macs->mac2, sizeof(mac)) == 0;
}

enum cookie_verdict cookie_check(struct cookie_checker *checker, struct blake2s_bytes message,
	const struct endpoint *source, uint64_t now_ms, struct ratelimit *limit)
{
	size_t before = message.size - sizeof(struct wg_macs);
	struct wg_macs macs;
	uint8_t cookie[WG_COOKIE_SIZE];
	bool proven;

	memcpy(&macs, (const uint8_t *)message.data + before, sizeof(macs));
	if (!mac1_is_right(checker, &macs, (struct blake2s_bytes){message.data, before}))
		return COOKIE_BAD_MAC;
	/* Who was never asked for a cookie sends zeros: no reason to reckon what they should be. */
	if (limit == NULL || sodium_is_zero(macs.mac2, sizeof(macs.mac2)))
		return COOKIE_MAC_ONLY;
	make_cookie(checker, source, now_ms, cookie);
	proven = mac2_is_right(
		cookie, &macs, (struct blake2s_bytes){message.data, before + sizeof(macs.mac1)});
	sodium_memzero(cookie, sizeof(cookie));
	if (!proven)
		return COOKIE_MAC_ONLY;
	return ratelimit_allow(limit, &source->addr, now_ms) ? COOKIE_PROVEN : COOKIE_RATE_LIMITED;
}

void cookie_create_reply(struct cookie_checker *checker, const struct wg_macs *macs,
	uint32_t receiver, const struct endpoint *source, uint64_t now_ms,
	struct wg_cookie_reply *reply)
{
	uint8_t cookie[WG_COOKIE_SIZE];

	reply->type = htole32(WG_TYPE_COOKIE_REPLY);
	reply->receiver = receiver;
	randombytes_buf(reply->nonce, sizeof(reply->nonce));
	make_cookie(checker, source, now_ms, cookie);
	crypto_aead_xchacha20poly1305_ietf_encrypt(reply->cookie, NULL, cookie, sizeof(cookie),
		macs->mac1, sizeof(macs->mac1), NULL, reply->nonce, checker->reply_key);
	sodium_memzero(cookie, sizeof(cookie));
}

void cookie_add_macs(struct cookie_jar *jar, void *message, size_t length, uint64_t now_ms)
{
	size_t before = length - sizeof(struct wg_macs);
	struct wg_macs macs = {0};

	blake2s_mac_with(macs.mac1, &jar->mac1_key, (struct blake2s_bytes){message, before});
	memcpy((uint8_t *)message + before, &macs, sizeof(macs));
	if (jar->cookie_since_ms != 0 &&
		now_ms - jar->cookie_since_ms <
			WG_COOKIE_SECRET_MAX_AGE_MS - WG_COOKIE_SECRET_LATENCY_MS)
		blake2s_mac(macs.mac2, (struct blake2s_bytes){jar->cookie, sizeof(jar->cookie)},
			(struct blake2s_bytes){message, before + sizeof(macs.mac1)});
	memcpy((uint8_t *)message + before, &macs, sizeof(macs));
	memcpy(jar->last_mac1, macs.mac1, sizeof(jar->last_mac1));
	jar->mac1_sent = true;
}

int cookie_consume_reply(
	struct cookie_jar *jar, const struct wg_cookie_reply *reply, uint64_t now_ms)
{
	uint8_t cookie[WG_COOKIE_SIZE];

	if (!jar->mac1_sent)
		return -EPROTO;
	if (crypto_aead_xchacha20poly1305_ietf_decrypt(cookie, NULL, NULL, reply->cookie,
		    sizeof(reply->cookie), jar->last_mac1, sizeof(jar->last_mac1), reply->nonce,
		    jar->reply_key) != 0)
		return -EBADMSG;
	memcpy(jar->cookie, cookie, sizeof(jar->cookie));
	sodium_memzero(cookie, sizeof(cookie));
	jar->cookie_since_ms = now_ms;
	jar->mac1_sent = false;
	return 0;
}
