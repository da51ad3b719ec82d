/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Nothing of a secret stays on the stack: the second half of each step of a handshake runs with one
 * set of keys and then with another, and leaves the same bytes behind both times.
 */
#include "test/unit/dataplane/own_stack.h"

#include <sodium.h>
#include <stdlib.h>

#include "dataplane/wireguard/noise.h"
#include "dataplane/x25519/x25519.h"

/* Who initiates, and who responds. */
static struct side {
	struct noise_identity identity;
	struct noise_peer peer;
	struct noise_fresh fresh;
} a, b;

static struct x25519_job jobs[NOISE_JOBS_MAX];
static struct noise_step step;
static struct noise_handshake handshake;
static struct noise_opening opening;
static struct noise_answer answer;
static struct wg_initiation initiation;
static struct noise_keys keys;
static int rc;

static void set_keys(uint8_t seed)
{
	struct key private_key, preshared_key;

	memset(&private_key, seed, sizeof(private_key));
	assert_int_equal(noise_identity_init(&a.identity, &private_key), 0);
	memset(&private_key, seed + 1, sizeof(private_key));
	assert_int_equal(noise_identity_init(&b.identity, &private_key), 0);
	memset(&preshared_key, seed + 2, sizeof(preshared_key));
	noise_peer_init(&a.peer, &a.identity, &b.identity.public_key, &preshared_key);
	noise_peer_init(&b.peer, &b.identity, &a.identity.public_key, &preshared_key);
	memset(&a.fresh.ephemeral, seed + 3, KEY_SIZE);
	memset(&b.fresh.ephemeral, seed + 4, KEY_SIZE);
}

static unsigned begin_initiate(void)
{
	return noise_initiate_begin(&step, &a.peer, &a.fresh, jobs);
}

static void initiate(void)
{
	rc = noise_initiate_finish(&step, &handshake, &a.identity, &a.peer, &a.fresh, &initiation);
}

static unsigned begin_open(void)
{
	return noise_open_begin(&step, &b.identity, &initiation, jobs);
}

static void open_initiation(void)
{
	rc = noise_open_finish(&step, &opening, &b.identity, &initiation);
}

static void read_initiation(void)
{
	rc = noise_read(&opening, &b.peer, &initiation);
}

static unsigned begin_respond(void)
{
	return noise_respond_begin(&step, &opening, &b.peer, &b.fresh, jobs);
}

static void respond(void)
{
	rc = noise_respond_finish(&step, &opening, &b.peer, &b.fresh, &answer);
}

static unsigned begin_conclude(void)
{
	return noise_conclude_begin(&step, &handshake, &a.identity, &answer.message, jobs);
}

static void conclude(void)
{
	rc = noise_conclude_finish(&step, &handshake, &a.peer, &answer.message, &keys);
}

static const struct {
	const char *name;
	unsigned (*begin)(void);
	void (*finish)(void);
} steps[] = {
	{"initiate", begin_initiate, initiate},
	{"open", begin_open, open_initiation},
	{"read", NULL, read_initiation},
	{"respond", begin_respond, respond},
	{"conclude", begin_conclude, conclude},
};

enum { STEPS = sizeof(steps) / sizeof(steps[0]), RUNS = 3 };

static void stack_keeps_no_secret(void **state)
{
	uint8_t *stack = aligned_alloc(4096, OWN_STACK_BYTES);
	uint8_t(*left)[OWN_STACK_BYTES] = calloc(STEPS, OWN_STACK_BYTES);

	assert_non_null(stack);
	assert_non_null(left);
	for (unsigned run = 0; run < RUNS; run++) {
		set_keys((uint8_t)(0x11 + 0x40 * run));
		for (unsigned i = 0; i < STEPS; i++) {
			if (steps[i].begin != NULL)
				x25519_burst(jobs, steps[i].begin());
			own_stack_run(stack, steps[i].finish);
			assert_int_equal(rc, 0);
			/* In the first run the linker saves the registers, with what is in them. */
			if (run > 1 && memcmp(stack, left[i], OWN_STACK_BYTES) != 0)
				fail_msg("%s leaves something of what it worked with",
					steps[i].name);
			memcpy(left[i], stack, OWN_STACK_BYTES);
		}
	}
	free(left);
	free(stack);
}

static int setup(void **state)
{
	return sodium_init() < 0 ? -1 : 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stack_keeps_no_secret),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
