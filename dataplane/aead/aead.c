/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The burst AEAD's table of implementations and the choice among them.
 *
 * The choice is the main thread's, made before the workers exist; each struct aead keeps the
 * implementation that was chosen when it was created. Choosing without a name means: of those
 * that this CPU can run, the one that was fastest on a burst like a gateway's, because a feature
 * flag does not tell how wide the units behind it are. Kernels that spread packets over vector
 * lanes need several of them, so another implementation may take the bursts of a few.
 */
#include "dataplane/aead/aead.h"

#include <assert.h>
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "dataplane/aead/aead_priv.h"

struct choice {
	const struct aead_ops *ops;
	const struct aead_ops *few_ops; /* for bursts of up to few packets */
	unsigned few;                   /* 0: few_ops is not used */
	char description[64];
};

struct aead {
	const struct aead_ops *ops, *few_ops;
	void *state, *few_state; /* the latter NULL if few is 0 */
	unsigned few;
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
	FEW_MAX = 4,
};

static struct choice selected = {.ops = &aead_sodium, .description = "sodium"};

static void seal_burst(
	const struct aead_ops *ops, void *state, struct aead_packet *packets, unsigned n)
{
	uint8_t nonce[AEAD_NONCE_SIZE];

	if (ops->seal) {
		ops->seal(state, packets, n);
		return;
	}
	for (unsigned i = 0; i < n; i++) {
		struct aead_message message = aead_message_of(&packets[i], nonce);

		ops->seal_message(state, &message);
	}
}

static void open_burst(
	const struct aead_ops *ops, void *state, struct aead_packet *packets, unsigned n)
{
	uint8_t nonce[AEAD_NONCE_SIZE];

	if (ops->open) {
		ops->open(state, packets, n);
		return;
	}
	for (unsigned i = 0; i < n; i++) {
		struct aead_message message = aead_message_of(&packets[i], nonce);

		packets[i].ok = ops->open_message(state, &message);
	}
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Nanoseconds for the trial packets in bursts of n, the best of a few; UINT64_MAX if it cannot
 * run at all. */
static uint64_t try_one(const struct aead_ops *ops, struct aead_packet *packets, unsigned n)
{
	uint64_t best = UINT64_MAX;
	int error;
	void *state = ops->create(&error);

	if (!state)
		return UINT64_MAX;
	for (unsigned round = 0; round < TRIAL_ROUNDS; round++) {
		uint64_t start = now_ns(), took;

		for (unsigned i = 0; i < TRIAL_PACKETS; i += n)
			seal_burst(ops, state, packets + i, n);
		took = now_ns() - start;
		if (took < best)
			best = took;
	}
	ops->destroy(state);
	return best;
}

/* The fastest one, for bursts of n. */
static const struct aead_ops *find_fastest(struct aead_packet *packets, unsigned n)
{
	const struct aead_ops *fastest = &aead_sodium;
	uint64_t best = UINT64_MAX;

	for (unsigned i = 0; i < TABLE_SIZE; i++) {
		uint64_t took;

		if (table[i]->by_name_only || !table[i]->is_supported())
			continue;
		took = try_one(table[i], packets, n);
		if (took < best) {
			best = took;
			fastest = table[i];
		}
	}
	return fastest;
}

/* Every third packet is short, as acknowledgements are. */
static int choose_fastest(struct choice *out)
{
	static const uint8_t key[AEAD_KEY_SIZE] = {1};
	struct aead_packet packets[TRIAL_PACKETS];
	const size_t stride = TRIAL_LENGTH + AEAD_TAG_SIZE;
	uint8_t *data = calloc(TRIAL_PACKETS, stride);
	struct choice choice = {0};

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
	choice.ops = find_fastest(packets, TRIAL_PACKETS);
	choice.few_ops = find_fastest(packets, 1);
	for (unsigned n = 1; choice.few_ops != choice.ops && n <= FEW_MAX; n *= 2) {
		if (try_one(choice.few_ops, packets, n) > try_one(choice.ops, packets, n))
			break;
		choice.few = n;
	}
	free(data);
	if (choice.few > 0)
		snprintf(choice.description, sizeof(choice.description), "%s, up to %u packets %s",
			choice.ops->name, choice.few, choice.few_ops->name);
	else
		snprintf(choice.description, sizeof(choice.description), "%s", choice.ops->name);
	*out = choice;
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
		selected = (struct choice){.ops = table[i]};
		snprintf(selected.description, sizeof(selected.description), "%s", name);
		return 0;
	}
	return -ENOENT;
}

const char *aead_name(void)
{
	return selected.ops->name;
}

const char *aead_description(void)
{
	return selected.description;
}

const char *aead_name_at(unsigned index)
{
	return index < TABLE_SIZE ? table[index]->name : NULL;
}

struct aead *aead_create(int *error)
{
	struct aead *aead = calloc(1, sizeof(*aead));

	if (!aead) {
		*error = -ENOMEM;
		return NULL;
	}
	aead->ops = selected.ops;
	aead->few_ops = selected.few_ops;
	aead->few = selected.few;
	aead->state = aead->ops->create(error);
	if (!aead->state)
		goto err_state;
	if (aead->few > 0) {
		aead->few_state = aead->few_ops->create(error);
		if (!aead->few_state)
			goto err_few_state;
	}
	return aead;

err_few_state:
	aead->ops->destroy(aead->state);
err_state:
	free(aead);
	return NULL;
}

void aead_destroy(struct aead **aead)
{
	if (!*aead)
		return;
	if ((*aead)->few_state)
		(*aead)->few_ops->destroy((*aead)->few_state);
	(*aead)->ops->destroy((*aead)->state);
	free(*aead);
	*aead = NULL;
}

void aead_seal(struct aead *aead, struct aead_packet *packets, unsigned n)
{
	assert(n <= AEAD_BURST_MAX);
	if (n <= aead->few)
		seal_burst(aead->few_ops, aead->few_state, packets, n);
	else
		seal_burst(aead->ops, aead->state, packets, n);
}

unsigned aead_open(struct aead *aead, struct aead_packet *packets, unsigned n)
{
	unsigned genuine = 0;

	assert(n <= AEAD_BURST_MAX);
	if (n <= aead->few)
		open_burst(aead->few_ops, aead->few_state, packets, n);
	else
		open_burst(aead->ops, aead->state, packets, n);
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
