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

/* Another store in memory, with the same ids: for a compilation that must leave no trace. NULL and
 * *error. */
struct store *store_copy_ids(const struct store *store, int *error)
	__attribute__((warn_unused_result));

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

/* The exit node that a peer selected. Texts. */
struct store_selection {
	const char *public_key;
	const char *exit_node;
};

/* Replaces all of them. 0 or -EIO: then nothing was changed. */
int store_selections_set(struct store *store, const struct store_selection *selections, size_t n)
	__attribute__((warn_unused_result));

/* The texts are valid during the call. 0 or -EIO. */
int store_selections_each(struct store *store,
	void (*each)(const struct store_selection *selection, void *arg), void *arg)
	__attribute__((warn_unused_result));

/* Routing peers that did not answer: replaces all of them. 0 or -EIO: then nothing was changed. */
int store_down_set(struct store *store, const struct key *keys, size_t n)
	__attribute__((warn_unused_result));

/* In the order of their texts. 0 or -EIO. */
int store_down_each(struct store *store, void (*each)(const struct key *key, void *arg), void *arg)
	__attribute__((warn_unused_result));

/*
 * The configurations that were in force, the newest one last; at most STORE_VERSIONS_MAX of them
 * and about STORE_VERSIONS_BYTES_MAX bytes, but always two. Texts hold references to secrets only.
 */
enum {
	STORE_VERSIONS_MAX = 100,
	STORE_VERSIONS_BYTES_MAX = 256 << 20,
	STORE_TEXT_DIGEST_MAX = 33, /* hexadecimal, with its end */
};

struct store_text {
	const char *name;
	const char *text;
	size_t size;
};

struct store_version {
	uint64_t id; /* 1.. ; never used again */
	uint64_t time_s;
	const char *who;
	const char *what; /* "start", "apply", "rollback to 7" ... */
	const char *message;
	char digest[STORE_TEXT_DIGEST_MAX]; /* of names and texts */
};

/* Sets digest as the store will. */
void store_texts_digest(
	const struct store_text *texts, size_t n, char digest[STORE_TEXT_DIGEST_MAX]);

/* Adds one and drops the oldest beyond the bounds; sets id and digest. 0 or -EIO. */
int store_version_add(struct store *store, struct store_version *version,
	const struct store_text *texts, size_t n) __attribute__((warn_unused_result));

/* Newest first; texts are valid during the call. 0 or -EIO. */
int store_versions_each(struct store *store,
	void (*each)(const struct store_version *version, void *arg), void *arg)
	__attribute__((warn_unused_result));

/* The files of a version in their order, valid during the call. 0, -ENOENT, -EIO. */
int store_version_texts(struct store *store, uint64_t id,
	void (*each)(const struct store_text *text, void *arg), void *arg)
	__attribute__((warn_unused_result));

/* True if some version has this text under this name. */
bool store_has_text(struct store *store, const struct store_text *text);

/* What must be done even by another process: the files of `version` go back to the disk, at once
 * (deadline_s 0) or at that Unix time. */
struct store_intent {
	uint64_t version;
	uint64_t deadline_s;
};

/* NULL = nothing. 0 or -EIO. */
int store_intent_set(struct store *store, const struct store_intent *intent)
	__attribute__((warn_unused_result));
bool store_intent_get(struct store *store, struct store_intent *intent);

/* Many writes in one transaction of the database. */
void store_batch_begin(struct store *store);
int store_batch_end(struct store *store) __attribute__((warn_unused_result));
