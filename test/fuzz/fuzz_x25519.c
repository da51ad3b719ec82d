/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Any bytes as a burst of X25519: every implementation multiplies as libsodium does and touches
 * nothing outside the keys (each is an allocation of its exact size).
 *
 * Input: how many jobs; for each a byte that says whose scalar and point it takes, or the base
 * point; the rest fills the keys, from where it ends on with its last byte.
 */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/x25519/x25519.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { JOBS_MAX = 20, OTHERS_POINT = 1, BASE_POINT = 2, OTHERS_SCALAR = 4 };

struct input {
	struct key *scalar, *point, *product; /* owned */
	struct key expected;
};

static void check(bool ok)
{
	if (!ok)
		abort();
}

static struct key *take_key(const uint8_t **data, size_t *size)
{
	struct key *key = malloc(sizeof(*key));
	size_t taken = *size < sizeof(*key) ? *size : sizeof(*key);

	check(key != NULL);
	memset(key, taken > 0 ? (*data)[taken - 1] : 0, sizeof(*key));
	memcpy(key, *data, taken);
	*data += taken;
	*size -= taken;
	return key;
}

static void expect(struct input *in, const struct x25519_job *job)
{
	int rc = job->point == NULL ? crypto_scalarmult_base(in->expected.bytes, job->scalar->bytes)
				    : crypto_scalarmult(in->expected.bytes, job->scalar->bytes,
					      job->point->bytes);

	if (rc != 0)
		memset(&in->expected, 0, sizeof(in->expected));
}

static void run(const char *name, struct x25519_job *jobs, const struct input *in, unsigned count)
{
	if (x25519_select(name) != 0)
		return;
	for (unsigned i = 0; i < count; i++)
		memset(in[i].product, 0xaa, sizeof(*in[i].product));
	x25519_burst(jobs, count);
	for (unsigned i = 0; i < count; i++) {
		check(memcmp(in[i].product, &in[i].expected, sizeof(in[i].expected)) == 0);
		check(jobs[i].zero == key_is_zero(&in[i].expected));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct x25519_job jobs[JOBS_MAX];
	struct input in[JOBS_MAX];
	const uint8_t *flags = data + 1;
	const char *name;
	unsigned count;

	if (size < 1)
		return 0;
	count = data[0] % (JOBS_MAX + 1);
	if (size < 1 + (size_t)count)
		return 0;
	data += 1 + count;
	size -= 1 + count;
	for (unsigned i = 0; i < count; i++) {
		in[i].scalar = take_key(&data, &size);
		in[i].point = take_key(&data, &size);
		in[i].product = malloc(sizeof(*in[i].product));
		check(in[i].product != NULL);
		jobs[i] = (struct x25519_job){
			.scalar =
				in[flags[i] & OTHERS_SCALAR ? (flags[i] >> 3) % (i + 1) : i].scalar,
			.point = in[flags[i] & OTHERS_POINT ? (flags[i] >> 3) % (i + 1) : i].point,
			.product = in[i].product,
		};
		if (flags[i] & BASE_POINT)
			jobs[i].point = NULL;
		expect(&in[i], &jobs[i]);
	}
	for (unsigned i = 0; (name = x25519_name_at(i)) != NULL; i++)
		run(name, jobs, in, count);
	for (unsigned i = 0; i < count; i++) {
		free(in[i].scalar);
		free(in[i].point);
		free(in[i].product);
	}
	return 0;
}
