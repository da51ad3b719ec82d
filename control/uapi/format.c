/* SPDX-License-Identifier: BSD-3-Clause */
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/uapi/uapi_priv.h"

enum { ADD_MAX = 256 }; /* bytes of one uapi_text_add() */

/* Not realloc(): that leaves keys behind in what it frees. */
static void make_room(struct uapi_text *text)
{
	size_t capacity = text->capacity == 0 ? 4096 : 2 * text->capacity;
	char *bytes;

	if (text->capacity - text->n >= ADD_MAX)
		return;
	bytes = malloc(capacity);
	if (bytes == NULL)
		abort();
	if (text->n > 0) {
		memcpy(bytes, text->bytes, text->n);
		sodium_memzero(text->bytes, text->n);
	}
	free(text->bytes);
	text->bytes = bytes;
	text->capacity = capacity;
}

void uapi_text_add(struct uapi_text *text, const char *format, ...)
{
	va_list args;
	int n;

	make_room(text);
	va_start(args, format);
	n = vsnprintf(text->bytes + text->n, ADD_MAX, format, args);
	va_end(args);
	if (n < 0 || n >= ADD_MAX)
		abort(); /* the bound of every line is known */
	text->n += (size_t)n;
}

void uapi_text_wipe(struct uapi_text *text)
{
	if (text->bytes != NULL)
		sodium_memzero(text->bytes, text->n);
	free(text->bytes);
	*text = (struct uapi_text){0};
}

static void add_key(struct uapi_text *text, const char *name, const struct key *key)
{
	char hex[2 * KEY_SIZE + 1];

	sodium_bin2hex(hex, sizeof(hex), key->bytes, KEY_SIZE);
	uapi_text_add(text, "%s=%s\n", name, hex);
	sodium_memzero(hex, sizeof(hex));
}

static void add_peer(struct uapi_text *text, const struct uapi_peer *peer, bool secrets)
{
	static const struct key none;
	char endpoint[ENDPOINT_TEXT_MAX], prefix[PREFIX_TEXT_MAX];

	add_key(text, "public_key", &peer->model->public_key);
	if (secrets)
		add_key(text, "preshared_key",
			peer->preshared_key != NULL ? peer->preshared_key : &none);
	uapi_text_add(text, "protocol_version=1\n");
	if (peer->endpoint.addr.family != ADDR_NONE)
		uapi_text_add(text, "endpoint=%s\n", endpoint_format(&peer->endpoint, endpoint));
	uapi_text_add(text, "last_handshake_time_sec=%ju\nlast_handshake_time_nsec=0\n",
		(uintmax_t)peer->last_handshake_s);
	uapi_text_add(text, "tx_bytes=%ju\nrx_bytes=%ju\n", (uintmax_t)peer->tx_bytes,
		(uintmax_t)peer->rx_bytes);
	uapi_text_add(
		text, "persistent_keepalive_interval=%u\n", peer->model->persistent_keepalive);
	for (size_t i = 0; i < peer->n_allowed; i++)
		uapi_text_add(text, "allowed_ip=%s\n", prefix_format(&peer->allowed[i], prefix));
}

void uapi_format(struct uapi_text *text, const struct uapi_device *device, bool secrets)
{
	if (secrets && device->private_key != NULL)
		add_key(text, "private_key", device->private_key);
	uapi_text_add(text, "listen_port=%u\nfwmark=0\n", device->listen_port);
	for (size_t i = 0; i < device->n; i++) {
		if (device->peers[i].model->enabled)
			add_peer(text, &device->peers[i], secrets);
	}
}
