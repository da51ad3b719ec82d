/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What must survive a restart of the control process and is not in the configuration file: the
 * ids under which the data plane knows objects, what was committed last, and per peer the marks
 * that a new data plane needs (last endpoint, TAI64N). SQLite with WAL; ids are held in memory
 * and written in one go. No secrets. One thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/api/wireguard.h"

enum store_kind {
	STORE_PORT,
	STORE_PEER, /* by public key, so that a renamed peer keeps its sessions */
	STORE_SET,
	STORE_ROUTE,
	STORE_EGRESS_ADDR,
	STORE_EGRESS_POOL,
	STORE_EGRESS_RULE,
	STORE_POLICY_RULE,
	STORE_FORWARD,
	STORE_KINDS,
};

enum { STORE_DIGEST_SIZE = 16 };

struct store;

/* What the data plane had committed when last heard of. */
struct store_commit {
	uint64_t instance; /* of the data plane */
	uint64_t generation;
	uint8_t digest[STORE_DIGEST_SIZE]; /* of the desired state */
};

struct store_marks {
	struct endpoint endpoint; /* ADDR_NONE = unknown */
	uint64_t last_handshake_s;
	uint8_t tai64n_received[API_TAI64N_SIZE];
	uint8_t tai64n_sent[API_TAI64N_SIZE];
};

/* path NULL = in memory only. NULL and *error (a negative errno) on failure. */
struct store *store_open(const char *path, int *error) __attribute__((warn_unused_result));

/* Writes what is unwritten and closes; sets *store to NULL. */
void store_close(struct store **store);

/*
 * The id of an object, the same as ever if it had one; a new one is the lowest that is free.
 * 1.. ; 0 if the kind has no free id (its bound is the ring contract's).
 */
uint32_t store_id(struct store *store, enum store_kind kind, const char *name);

/* Around a compilation whose result was committed: ids not asked for since begin are freed. */
void store_ids_begin(struct store *store);
void store_ids_sweep(struct store *store);

/* Writes ids. 0 or -EIO. */
int store_save(struct store *store) __attribute__((warn_unused_result));

int store_commit_set(struct store *store, const struct store_commit *commit)
	__attribute__((warn_unused_result));

/* False if nothing was ever committed. */
bool store_commit_get(struct store *store, struct store_commit *commit);

/* Marks by public key (its base64 text). */
int store_marks_set(struct store *store, const char *key, const struct store_marks *marks)
	__attribute__((warn_unused_result));
bool store_marks_get(struct store *store, const char *key, struct store_marks *marks);

/* A peer that is in no file. Texts; preshared_key_file NULL = none; endpoint "" = none. */
struct store_peer {
	const char *public_key;
	const char *name;
	const char *addresses; /* with commas between them */
	const char *endpoint;
	const char *preshared_key_file;
	uint16_t persistent_keepalive;
};

/* Replaces all of them. 0 or -EIO: then nothing was changed. */
int store_peers_set(struct store *store, const struct store_peer *peers, size_t n)
	__attribute__((warn_unused_result));

/* The texts are valid during the call. 0 or -EIO. */
int store_peers_each(struct store *store, void (*each)(const struct store_peer *peer, void *arg),
	void *arg) __attribute__((warn_unused_result));

/* Many writes in one transaction of the database. */
void store_batch_begin(struct store *store);
int store_batch_end(struct store *store) __attribute__((warn_unused_result));
