/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The burst AEAD's table of implementations and the choice among them.
 *
 * The choice is the main thread's, made before the workers exist; each struct aead keeps the
 * implementation that was chosen when it was created. Choosing without a name means: of those
 * that this CPU can run, the one that was fastest on a burst like a gateway's, because a feature
 * flag does not tell how wide the units behind it are.
 */
#include "dataplane/aead/aead.h"

#include <assert.h>
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "dataplane/aead/aead_priv.h"

struct aead {
	const struct aead_ops *ops;
	void *state;
};

static const struct aead_ops *const table[] = {
#ifdef HAVE_AEAD_X86
	&aead_avx512,
	&aead_avx2,
#endif
#ifdef HAVE_IPSEC_MB
	&aead_ipsec_mb,
#endif
	&aead_openssl,
	&aead_sodium,
#ifdef HAVE_IPSEC_MB
	&aead_ipsec_mb_avx2,
#endif
};

enum {
	TABLE_SIZE = sizeof(table) / sizeof(table[0]),
	TRIAL_PACKETS = 32,
	TRIAL_LENGTH = 1420,
	TRIAL_ROUNDS = 24, /* the best one counts; about 2 ms for each implementation */
};

static const struct aead_ops *selected = &aead_sodium;

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Nanoseconds for the trial burst, the best of a few; UINT64_MAX if it cannot run at all. */
static uint64_t try_one(const struct aead_ops *ops, struct aead_packet *packets)
{
	uint64_t best = UINT64_MAX;
	int error;
	void *state = ops->create(&error);

	if (!state)
		return UINT64_MAX;
	for (unsigned i = 0; i < TRIAL_ROUNDS; i++) {
		uint64_t start = now_ns(), took;

		ops->seal(state, packets, TRIAL_PACKETS);
		took = now_ns() - start;
		if (took < best)
			best = took;
	}
	ops->destroy(state);
	return best;
}

/* Every third packet is short, as acknowledgements are. */
static int choose_fastest(const struct aead_ops **out)
{
	static const uint8_t key[AEAD_KEY_SIZE] = {1};
	struct aead_packet packets[TRIAL_PACKETS];
	const size_t stride = TRIAL_LENGTH + AEAD_TAG_SIZE;
	uint8_t *data = calloc(TRIAL_PACKETS, stride);
	uint64_t best = UINT64_MAX;

	if (!data)
		return -ENOMEM;
	for (unsigned i = 0; i < TRIAL_PACKETS; i++)
		packets[i] = (struct aead_packet){
			.key = key,
			.counter = i,
			.src = data + i * stride,
			.dst = data + i * stride,
			.length = i % 3 == 0 ? 64 : TRIAL_LENGTH,
		};
	for (unsigned i = 0; i < TABLE_SIZE; i++) {
		uint64_t took;

		if (table[i]->by_name_only || !table[i]->is_supported())
			continue;
		took = try_one(table[i], packets);
		if (took < best) {
			best = took;
			*out = table[i];
		}
	}
	free(data);
	return 0;
}

int aead_select(const char *name)
{
	if (sodium_init() < 0)
		return -EIO;
	if (!name)
		return choose_fastest(&selected);
	for (unsigned i = 0; i < TABLE_SIZE; i++) {
		if (strcmp(table[i]->name, name) != 0)
			continue;
		if (!table[i]->is_supported())
			return -ENOTSUP;
		selected = table[i];
		return 0;
	}
	return -ENOENT;
}

const char *aead_name(void)
{
	return selected->name;
}

const char *aead_name_at(unsigned index)
{
	return index < TABLE_SIZE ? table[index]->name : NULL;
}

struct aead *aead_create(int *error)
{
	struct aead *aead = malloc(sizeof(*aead));

	if (!aead) {
		*error = -ENOMEM;
		return NULL;
	}
	aead->ops = selected;
	aead->state = aead->ops->create(error);
	if (!aead->state) {
		free(aead);
		return NULL;
	}
	return aead;
}

void aead_destroy(struct aead **aead)
{
	if (!*aead)
		return;
	(*aead)->ops->destroy((*aead)->state);
	free(*aead);
	*aead = NULL;
}

void aead_seal(struct aead *aead, struct aead_packet *packets, unsigned n)
{
	assert(n <= AEAD_BURST_MAX);
	aead->ops->seal(aead->state, packets, n);
}

unsigned aead_open(struct aead *aead, struct aead_packet *packets, unsigned n)
{
	unsigned genuine = 0;

	assert(n <= AEAD_BURST_MAX);
	aead->ops->open(aead->state, packets, n);
	for (unsigned i = 0; i < n; i++)
		genuine += packets[i].ok;
	return genuine;
}

void aead_seal_message(struct aead *aead, const struct aead_message *message)
{
	assert(message->length <= AEAD_LENGTH_MAX && message->aad_length <= AEAD_LENGTH_MAX);
	aead->ops->seal_message(aead->state, message);
}

int aead_open_message(struct aead *aead, const struct aead_message *message)
{
	assert(message->length <= AEAD_LENGTH_MAX && message->aad_length <= AEAD_LENGTH_MAX);
	if (aead->ops->open_message(aead->state, message))
		return 0;
	if (message->length > 0)
		sodium_memzero(message->dst, message->length);
	return -EBADMSG;
}
