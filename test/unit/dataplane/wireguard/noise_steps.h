/* SPDX-License-Identifier: BSD-3-Clause */
/* The steps of noise.h whole, for tests: both halves with the multiplications between them. */
#pragma once

#include "dataplane/wireguard/noise.h"
#include "dataplane/x25519/x25519.h"

static inline int noise_initiate(struct noise_handshake *handshake,
	const struct noise_identity *identity, const struct noise_peer *peer,
	const struct noise_fresh *fresh, struct wg_initiation *message)
{
	struct x25519_job jobs[NOISE_JOBS_MAX];
	struct noise_step step;

	x25519_burst(jobs, noise_initiate_begin(&step, peer, fresh, jobs));
	return noise_initiate_finish(&step, handshake, identity, peer, fresh, message);
}

static inline int noise_open(struct noise_opening *opening, const struct noise_identity *identity,
	const struct wg_initiation *message)
{
	struct x25519_job jobs[NOISE_JOBS_MAX];
	struct noise_step step;

	x25519_burst(jobs, noise_open_begin(&step, identity, message, jobs));
	return noise_open_finish(&step, opening, identity, message);
}

static inline int noise_respond(const struct noise_opening *opening, const struct noise_peer *peer,
	const struct noise_fresh *fresh, struct noise_answer *answer)
{
	struct x25519_job jobs[NOISE_JOBS_MAX];
	struct noise_step step;

	x25519_burst(jobs, noise_respond_begin(&step, opening, peer, fresh, jobs));
	return noise_respond_finish(&step, opening, peer, fresh, answer);
}

static inline int noise_conclude(struct noise_handshake *handshake,
	const struct noise_identity *identity, const struct noise_peer *peer,
	const struct wg_response *message, struct noise_keys *keys)
{
	struct x25519_job jobs[NOISE_JOBS_MAX];
	struct noise_step step;

	x25519_burst(jobs, noise_conclude_begin(&step, handshake, identity, message, jobs));
	return noise_conclude_finish(&step, handshake, peer, message, keys);
}
