/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A request is played on a working copy of every peer, with the meaning that the kernel gives it;
 * then the outcome is looked at. A peer of the file must have come out as it was, so a request may
 * repeat anything that it was shown, in any words. The others become the peers of origin api.
 */
#include <assert.h>
#include <errno.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <utlist.h>

#include "control/uapi/uapi_priv.h"

struct work;

/* A prefix that a peer is to be allowed; there may be 100,000 of them. */
struct grant {
	struct grant_key {
		const struct work *work;
		struct prefix prefix;
	} key;
	struct grant *prev, *next; /* of the peer, as they came */
	UT_hash_handle hh;         /* by peer and prefix */
	UT_hash_handle
		hh_of_prefix; /* of peers that are not the file's: a prefix has one of them */
};

/* What a peer is to be. */
struct work {
	struct key public_key;
	const struct uapi_peer *was; /* NULL = new */
	bool present;
	const struct key *preshared_key; /* NULL = none */
	struct endpoint endpoint;        /* as configured, not as learned */
	uint16_t keepalive;
	struct grant *allowed; /* a list */
	size_t n_allowed;
	UT_hash_handle hh;
};

struct editor {
	struct uapi_edit *edit;
	const struct uapi_device *device;
	struct pool *pool;
	struct work *by_key;
	struct grant *grants, *of_prefix; /* tables */
	struct key own;                   /* public */
	bool has_own;
};

static int refuse(struct editor *e, int error, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static int refuse(struct editor *e, int error, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	/* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized) */
	vsnprintf(e->edit->why, sizeof(e->edit->why), format, args);
	va_end(args);
	return error;
}

static bool of_file(const struct work *work)
{
	return work->was != NULL && work->was->model->origin == MODEL_ORIGIN_FILE;
}

static struct work *add_work(struct editor *e, const struct key *public_key)
{
	struct work *work = pool_alloc(e->pool, sizeof(*work));

	work->public_key = *public_key;
	HASH_ADD(hh, e->by_key, public_key, KEY_SIZE, work);
	return work;
}

static struct grant *find_grant(
	struct editor *e, const struct work *work, const struct prefix *prefix)
{
	struct grant_key key;
	struct grant *grant;

	memset(&key, 0, sizeof(key)); /* its padding, too */
	key.work = work;
	key.prefix = *prefix;
	HASH_FIND(hh, e->grants, &key, sizeof(key), grant);
	return grant;
}

static void add_grant(struct editor *e, struct work *work, const struct prefix *prefix)
{
	struct grant *grant = pool_alloc(e->pool, sizeof(*grant));

	grant->key.work = work;
	grant->key.prefix = *prefix;
	HASH_ADD(hh, e->grants, key, sizeof(grant->key), grant);
	if (!of_file(work))
		HASH_ADD(hh_of_prefix, e->of_prefix, key.prefix, sizeof(grant->key.prefix), grant);
	DL_APPEND(work->allowed, grant);
	work->n_allowed++;
}

static void remove_grant(struct editor *e, struct grant *grant)
{
	struct work *work = (struct work *)(uintptr_t)grant->key.work;

	assert(e->grants != NULL && work->allowed != NULL); /* it is in both */
	HASH_DELETE(hh, e->grants, grant);
	if (!of_file(work))
		HASH_DELETE(hh_of_prefix, e->of_prefix, grant);
	DL_DELETE(work->allowed, grant);
	work->n_allowed--;
}

static void copy_peers(struct editor *e)
{
	for (size_t i = 0; i < e->device->n; i++) {
		const struct uapi_peer *peer = &e->device->peers[i];
		struct work *work;

		if (!peer->model->has_public_key)
			continue;
		work = add_work(e, &peer->model->public_key);
		work->was = peer;
		work->present = peer->model->enabled;
		work->preshared_key = peer->preshared_key;
		work->endpoint = peer->model->endpoint;
		work->keepalive = peer->model->persistent_keepalive;
		for (size_t k = 0; k < peer->n_allowed; k++)
			add_grant(e, work, &peer->allowed[k]);
	}
}

static void disallow_all(struct editor *e, struct work *work)
{
	while (work->allowed != NULL)
		remove_grant(e, work->allowed);
}

static void blank(struct editor *e, struct work *work)
{
	work->present = false;
	work->preshared_key = NULL;
	work->endpoint = (struct endpoint){0};
	work->keepalive = 0;
	disallow_all(e, work);
}

/* One prefix has one peer, except where the file's routes have several: those may stay. */
static void allow(struct editor *e, struct work *work, const struct prefix *prefix)
{
	struct grant *other;

	if (find_grant(e, work, prefix) != NULL)
		return;
	HASH_FIND(hh_of_prefix, e->of_prefix, prefix, sizeof(*prefix), other);
	if (other != NULL)
		remove_grant(e, other);
	add_grant(e, work, prefix);
}

/* An endpoint that was shown is where the peer is, not where it is configured to be. */
static void set_endpoint(struct work *work, const struct endpoint *endpoint)
{
	if (work->was != NULL && (endpoint_equal(endpoint, &work->was->endpoint) ||
					 endpoint_equal(endpoint, &work->was->model->endpoint)))
		work->endpoint = work->was->model->endpoint;
	else
		work->endpoint = *endpoint;
}

static void play(struct editor *e, const struct uapi_change *change)
{
	struct work *work;

	if (e->has_own && key_equal(&change->public_key, &e->own))
		return; /* as the kernel does: nobody is a peer of itself */
	HASH_FIND(hh, e->by_key, &change->public_key, KEY_SIZE, work);
	if (change->remove || (change->update_only && (work == NULL || !work->present))) {
		if (change->remove && work != NULL)
			blank(e, work);
		return;
	}
	if (work == NULL)
		work = add_work(e, &change->public_key);
	work->present = true;
	if (change->has_preshared_key)
		work->preshared_key =
			key_is_zero(&change->preshared_key) ? NULL : &change->preshared_key;
	if (change->has_endpoint)
		set_endpoint(work, &change->endpoint);
	if (change->has_keepalive)
		work->keepalive = change->keepalive;
	if (change->replace_allowed)
		disallow_all(e, work);
	for (size_t i = 0; i < change->n_allowed; i++)
		allow(e, work, &change->allowed[i]);
}

static bool same_preshared_key(const struct work *work)
{
	const struct key *was = work->was != NULL ? work->was->preshared_key : NULL;

	if (was == NULL || work->preshared_key == NULL)
		return was == work->preshared_key;
	return key_equal(was, work->preshared_key);
}

/* What a peer of the file would lose or gain, or NULL. */
static const char *difference(struct editor *e, const struct work *work)
{
	const struct uapi_peer *was = work->was;

	if (work->present != was->model->enabled)
		return work->present ? "'enabled: false'" : "its removal";
	if (!work->present)
		return NULL;
	if (!same_preshared_key(work))
		return "'preshared_key_file'";
	if (!endpoint_equal(&work->endpoint, &was->model->endpoint))
		return "'endpoint'";
	if (work->keepalive != was->model->persistent_keepalive)
		return "'persistent_keepalive'";
	if (work->n_allowed != was->n_allowed)
		return "'addresses', 'also_from' or its routes";
	/* As many as before, and each of them: the same. */
	for (size_t i = 0; i < was->n_allowed; i++) {
		if (find_grant(e, work, &was->allowed[i]) == NULL)
			return "'addresses', 'also_from' or its routes";
	}
	return NULL;
}

static int check_interface(struct editor *e)
{
	const struct uapi_request *request = e->edit->request;

	if (request->has_private_key &&
		(e->device->private_key == NULL ||
			!key_equal(&request->private_key, e->device->private_key)))
		return refuse(e, -EPERM,
			"the private key is that of 'wireguard.private_key_file': change the file");
	if (request->has_listen_port && request->listen_port != e->device->listen_port)
		return refuse(e, -EPERM,
			"the port is 'wireguard.listen_port' of the configuration file: change it "
			"there");
	if (request->fwmark != 0)
		return refuse(e, -EPERM,
			"packets of the tunnel have no mark: the data plane "
			"sends them by its ports");
	return 0;
}

static int check_file_peers(struct editor *e)
{
	struct work *work, *next;

	HASH_ITER (hh, e->by_key, work, next) {
		const char *what = of_file(work) ? difference(e, work) : NULL;

		if (what != NULL)
			return refuse(e, -EPERM,
				"peer %s is in the configuration file: change %s there",
				work->was->model->object.name, what);
	}
	return 0;
}

static const char *name_of(struct editor *e, const struct work *work)
{
	char hex[17];

	sodium_bin2hex(hex, sizeof(hex), work->public_key.bytes, 8);
	return pool_printf(e->pool, "wg-%s", hex);
}

/* A fresh name for each key, so that the file in use is never half of another. */
static void set_key_file(struct editor *e, const struct work *work, struct model_peer *peer)
{
	struct uapi_edit *edit = e->edit;
	const char *old = work->was != NULL ? work->was->model->preshared_key_file : NULL;

	if (same_preshared_key(work)) {
		peer->preshared_key_file = old;
		return;
	}
	if (old != NULL) {
		edit->stale =
			pool_grow(edit->pool, edit->stale, edit->n_stale, sizeof(*edit->stale));
		edit->stale[edit->n_stale++] = pool_strdup(edit->pool, old);
	}
	if (work->preshared_key == NULL)
		return;
	peer->preshared_key_file =
		pool_printf(edit->pool, "%s.%08x.psk", peer->object.name, randombytes_random());
	edit->fresh = pool_grow(edit->pool, edit->fresh, edit->n_fresh, sizeof(*edit->fresh));
	edit->fresh[edit->n_fresh++] = (struct uapi_key_file){
		.name = peer->preshared_key_file,
		.key = work->preshared_key,
	};
}

static int set_addresses(struct editor *e, const struct work *work, struct model_peer *peer)
{
	char text[PREFIX_TEXT_MAX];
	const struct grant *grant;

	peer->addresses.items =
		pool_alloc(e->pool, (work->n_allowed + 1) * sizeof(*peer->addresses.items));
	DL_FOREACH(work->allowed, grant)
	{
		const struct prefix *prefix = &grant->key.prefix;

		if (prefix->length != addr_bits(prefix->family))
			return refuse(e, -EINVAL,
				"peer %s: %s is not one address: networks behind a peer belong in "
				"'routes' of the configuration file",
				peer->object.name, prefix_format(prefix, text));
		peer->addresses.items[peer->addresses.n++] = prefix_first(prefix);
	}
	return 0;
}

static int add_to(struct editor *e, const struct work *work, struct model *next)
{
	struct model_peer peer = {
		.public_key = work->public_key,
		.endpoint = work->endpoint,
		.persistent_keepalive = work->keepalive,
	};
	const char *owner;
	int rc;

	if (!work->present) {
		if (work->was != NULL)
			set_key_file(e, work, &peer); /* its key becomes stale */
		return 0;
	}
	peer.object.name = work->was != NULL ? work->was->model->object.name : name_of(e, work);
	set_key_file(e, work, &peer);
	rc = set_addresses(e, work, &peer);
	if (rc < 0)
		return rc;
	rc = model_extend_peer(next, &peer, &owner);
	if (rc == -EADDRNOTAVAIL)
		return refuse(e, rc, "peer %s: %s is outside the networks of 'wireguard.addresses'",
			peer.object.name, owner);
	if (rc < 0)
		return refuse(e, rc, "peer %s: its key or an address is that of '%s'",
			peer.object.name, owner);
	return 0;
}

int uapi_edit_model(struct uapi_edit *edit, const struct uapi_device *device, struct model *next)
{
	const struct uapi_request *request = edit->request;
	struct editor e = {.edit = edit, .device = device, .pool = pool_create()};
	struct work *work, *following;
	int rc;

	e.has_own = device->private_key != NULL && key_public(device->private_key, &e.own) == 0;
	rc = check_interface(&e);
	if (rc < 0)
		goto out;
	copy_peers(&e);
	if (request->replace_peers) {
		HASH_ITER (hh, e.by_key, work, following)
			blank(&e, work);
	}
	for (size_t i = 0; i < request->n_changes; i++)
		play(&e, &request->changes[i]);
	rc = check_file_peers(&e);
	/* In the order of the table: old ones first, then as they came. */
	HASH_ITER (hh, e.by_key, work, following) {
		if (rc == 0 && !of_file(work))
			rc = add_to(&e, work, next);
	}
out:
	HASH_CLEAR(hh, e.grants);
	HASH_CLEAR(hh_of_prefix, e.of_prefix);
	HASH_CLEAR(hh, e.by_key);
	pool_destroy(&e.pool);
	return rc;
}
