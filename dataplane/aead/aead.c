/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The burst AEAD's table of implementations and the choice among them.
 *
 * The choice is the main thread's, made before the workers exist; each struct aead keeps the
 * implementation that was chosen when it was created. Choosing without a name means: of those
 * that this CPU can run, the one that was fastest on a burst like a gateway's. Kernels that spread
 * packets over vector lanes need several of them, so another implementation may take the bursts of
 * a few.
 */
#include "dataplane/aead/aead.h"

#include <assert.h>
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/aead/aead_priv.h"
#include "dataplane/trial/trial.h"

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
	TRIAL_STRIDE = TRIAL_LENGTH + AEAD_TAG_SIZE,
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

struct trial_state {
	struct aead_packet packets[TRIAL_PACKETS];
	void *states[TABLE_SIZE]; /* of implementations; NULL = cannot run */
};

static bool may_run(unsigned candidate, void *arg)
{
	const struct trial_state *trial = arg;

	return trial->states[candidate] != NULL;
}

static void run_trial(unsigned candidate, unsigned n, void *arg)
{
	struct trial_state *trial = arg;

	for (unsigned i = 0; i + n <= TRIAL_PACKETS; i += n)
		seal_burst(table[candidate], trial->states[candidate], trial->packets + i, n);
}

/* Every third packet is short, as acknowledgements are. */
static void fill_trial(struct trial_state *trial, uint8_t *data)
{
	static const uint8_t key[AEAD_KEY_SIZE] = {1};

	for (unsigned i = 0; i < TRIAL_PACKETS; i++)
		trial->packets[i] = (struct aead_packet){
			.key = key,
			.counter = i,
			.src = data + i * TRIAL_STRIDE,
			.dst = data + i * TRIAL_STRIDE,
			.length = i % 3 == 0 ? 64 : TRIAL_LENGTH,
		};
}

static int choose_fastest(struct choice *out)
{
	struct trial_state trial = {0};
	uint8_t *data = calloc(TRIAL_PACKETS, TRIAL_STRIDE);
	struct trial_choice choice;
	int error;

	if (!data)
		return -ENOMEM;
	fill_trial(&trial, data);
	for (unsigned i = 0; i < TABLE_SIZE; i++) {
		if (!table[i]->by_name_only && table[i]->is_supported())
			trial.states[i] = table[i]->create(&error);
	}
	choice = trial_choose(&(struct trial){
		.candidates = TABLE_SIZE,
		.jobs = TRIAL_PACKETS,
		.few_max = FEW_MAX,
		.rounds = TRIAL_ROUNDS,
		.may_run = may_run,
		.run = run_trial,
		.arg = &trial,
	});
	for (unsigned i = 0; i < TABLE_SIZE; i++) {
		if (trial.states[i])
			table[i]->destroy(trial.states[i]);
	}
	free(data);
	*out = (struct choice){
		.ops = table[choice.best],
		.few_ops = table[choice.few_best],
		.few = choice.few,
	};
	trial_describe(&choice, out->ops->name, out->few_ops->name, "packets", out->description,
		sizeof(out->description));
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
