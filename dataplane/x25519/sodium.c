/* SPDX-License-Identifier: BSD-3-Clause */
/* X25519 by libsodium: portable, always there, what the other implementations are tested with. */
#include <sodium.h>
#include <string.h>

#include "dataplane/x25519/x25519_priv.h"

static bool is_supported(void)
{
	return sodium_init() >= 0;
}

void x25519_sodium_multiply(struct x25519_job *job)
{
	int rc;

	if (job->point == NULL)
		rc = crypto_scalarmult_base(job->product->bytes, job->scalar->bytes);
	else
		rc = crypto_scalarmult(job->product->bytes, job->scalar->bytes, job->point->bytes);
	/* It refuses points of low order and may then leave the product as it was. */
	if (rc != 0)
		memset(job->product, 0, sizeof(*job->product));
}

static void multiply_burst(struct x25519_job *jobs, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		x25519_sodium_multiply(&jobs[i]);
}

const struct x25519_ops x25519_sodium = {
	.name = "sodium",
	.is_supported = is_supported,
	.burst = multiply_burst,
};
