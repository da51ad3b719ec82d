/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One transaction: the steps from one list to another, with keys beside them. Messages name a key
 * by token and index; which keys travel is decided in the same order in which the messages are
 * sent, so an index is a running number. A data plane that has had no commit yet also gets what
 * the store remembers of each peer, so that it can initiate at once and refuses old handshakes.
 */
#include "control/program/program_priv.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "common/api/flow.h"
#include "common/api/wireguard.h"
#include "control/progress/progress.h"

enum { MANY_STEPS = 1000 }; /* less is done before anybody looks */

struct state *state_make(const struct program *program)
{
	struct snapshot *snapshot = program->current;
	struct pool *pool = pool_create();
	struct state *state = pool_alloc(pool, sizeof(*state));

	state->pool = pool;
	state->snapshot = snapshot_get(snapshot);
	state->desired = snapshot_desired(program, snapshot->compiled, pool);
	memcpy(state->digest, state->desired.digest, sizeof(state->digest));
	sodium_add(state->digest, snapshot->compiled->secrets_digest, sizeof(state->digest));
	return state;
}

void state_destroy(struct state **state)
{
	struct pool *pool;

	if (*state == NULL)
		return;
	snapshot_put(&(*state)->snapshot);
	pool = (*state)->pool;
	pool_destroy(&pool);
	*state = NULL;
}

/* The key of an object of this message, if the object has one. */
static const struct compile_secret *secret_of(
	const struct compiled *compiled, const struct api_header *message)
{
	if (message->type == API_WG_INTERFACE_SET)
		return compile_find_secret(compiled, message->type,
			((const struct api_wg_interface_set *)message)->interface);
	if (message->type == API_PEER_SET)
		return compile_find_secret(
			compiled, message->type, ((const struct api_peer_set *)message)->peer);
	return NULL;
}

/* The key that must travel with this message: NULL if the data plane has it. */
static const struct compile_secret *secret_to_send(
	const struct sending *s, const struct api_header *message)
{
	const struct compile_secret *secret = secret_of(s->state->snapshot->compiled, message),
				    *before;

	if (secret == NULL || s->full)
		return secret;
	before = secret_of(s->old, message);
	return before != NULL && key_equal(&before->key, &secret->key) ? NULL : secret;
}

static bool has_new_secret(const struct api_header *message, void *arg)
{
	return secret_to_send(arg, message) != NULL;
}

static void patch_marks(const struct sending *s, struct api_peer_set *peer)
{
	char text[KEY_TEXT_MAX];
	struct store_marks marks;

	if (!store_marks_get(s->program->store, key_format(&peer->public_key, text), &marks))
		return;
	memcpy(peer->tai64n_received, marks.tai64n_received, API_TAI64N_SIZE);
	memcpy(peer->tai64n_sent, marks.tai64n_sent, API_TAI64N_SIZE);
	/* What a name says now counts for more than where its peer was before. */
	if ((peer->flags & API_PEER_RETURN) != 0 && peer->endpoint.addr.family != ADDR_NONE)
		return;
	if (marks.endpoint.addr.family != ADDR_NONE) {
		peer->endpoint = marks.endpoint;
		peer->flags |= API_PEER_INITIATE;
	}
}

static const void *next_message(void *arg)
{
	struct sending *s = arg;
	const struct api_header *message;
	struct api_secret secret = {0};

	if (s->at == s->steps.n) {
		if (s->steps.n >= MANY_STEPS)
			progress_step(progress_applying, PROGRESS_ITEMS, 0, 0);
		return NULL;
	}
	message = s->steps.messages[s->at++];
	if (s->steps.n >= MANY_STEPS)
		progress_step("programming the data plane", PROGRESS_ITEMS, s->at, s->steps.n);
	if (message->type != API_PEER_SET && message->type != API_WG_INTERFACE_SET)
		return message;
	if (secret_to_send(s, message) != NULL)
		secret = (struct api_secret){.token = s->token, .index = s->next_key++};
	memcpy(s->buffer, message, message->length);
	if (message->type == API_PEER_SET) {
		struct api_peer_set *peer = (struct api_peer_set *)s->buffer;

		peer->preshared_key = secret;
		if (s->fresh)
			patch_marks(s, peer);
	} else {
		((struct api_wg_interface_set *)s->buffer)->private_key = secret;
	}
	return s->buffer;
}

/* In the order of next_message(). */
static int collect_keys(struct sending *s)
{
	uint32_t n = 0;

	for (size_t i = 0; i < s->steps.sets; i++)
		n += secret_to_send(s, s->steps.messages[i]) != NULL;
	if (n == 0)
		return 0;
	s->keys = sodium_allocarray(n, sizeof(*s->keys));
	if (s->keys == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < s->steps.sets; i++) {
		const struct compile_secret *secret = secret_to_send(s, s->steps.messages[i]);

		if (secret != NULL)
			s->keys[s->n_keys++] = secret->key;
	}
	return 0;
}

static uint64_t next_generation(const struct program *program)
{
	uint64_t now = link_generation(program->link);

	if (now < program->last_generation)
		now = program->last_generation;
	return now + 1;
}

static bool is_owner(const struct api_header *message)
{
	return message->type == API_COUNTED_SET || message->type == API_COUNTED_DEL;
}

/* A data plane from before there were owners of figures does without them. */
static void leave_out_owners(struct compile_steps *steps)
{
	size_t sets = steps->sets, n = steps->n;

	steps->n = steps->sets = steps->deletions = 0;
	for (size_t i = 0; i < n; i++) {
		if (is_owner(steps->messages[i]))
			continue;
		steps->messages[steps->n++] = steps->messages[i];
		steps->sets += i < sets;
		steps->deletions += i >= sets;
	}
}

int sending_start(struct program *program, struct state *from, struct state *to,
	void (*done)(const struct api_reply *reply, void *arg), struct sending **out)
{
	struct sending *s = calloc(1, sizeof(*s));
	struct link_txn txn;
	int rc;

	if (s == NULL)
		return -ENOMEM;
	s->program = program;
	s->state = to;
	s->full = from == NULL;
	s->fresh = s->full && link_generation(program->link) == 0;
	s->old = from == NULL ? NULL : from->snapshot->compiled;
	s->steps = desired_diff(to->pool, from == NULL ? NULL : &from->desired, &to->desired,
		s->full ? NULL : has_new_secret, s);
	if (!link_supports(program->link, API_COUNTED_SET))
		leave_out_owners(&s->steps);
	s->generation = next_generation(program);
	s->instance = link_instance(program->link);
	s->token = link_token();
	rc = s->steps.n == 0 && !s->full ? -EALREADY : collect_keys(s);
	if (rc < 0)
		goto err;
	txn = (struct link_txn){
		.mode = s->full ? API_TXN_FULL : API_TXN_INCREMENT,
		.base = link_generation(program->link),
		.generation = s->generation,
		.count = s->steps.n,
		.next = next_message,
		.token = s->token,
		.keys = s->keys,
		.key_count = s->n_keys,
		.done = done,
		.arg = s,
	};
	rc = link_submit(program->link, &txn);
	sodium_free(s->keys); /* read by now */
	s->keys = NULL;
	if (rc < 0)
		goto err;
	*out = s;
	return 0;
err:
	s->state = NULL;
	sending_destroy(&s);
	return rc;
}

void sending_destroy(struct sending **sending)
{
	if (*sending == NULL)
		return;
	progress_end();
	sodium_free((*sending)->keys);
	state_destroy(&(*sending)->state);
	free(*sending);
	*sending = NULL;
}
