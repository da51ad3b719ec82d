/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Between program.c (the connection, and what is sent when), waiting.c (changes in their order),
 * snapshot.c (a configuration compiled), send.c (one transaction), marks.c (what was heard of
 * peers) and mirror.c (the kernel).
 */
#pragma once

#include <event2/event.h>
#include <stdlib.h>
#include <uthash.h>

#include "common/api/port.h"
#include "common/api/route.h"
#include "common/api/table.h"
#include "control/program/program.h"
#include "control/resolve/resolve.h"

enum { MIRROR_KEY_MAX = 64 };

/* A control process without memory is better started anew: the data plane forwards on. */
static inline void *check(void *memory)
{
	if (memory == NULL)
		abort();
	return memory;
}

/* An object of the kernel's; its key is its deletion message. */
struct mirror_object {
	struct api_header *message; /* malloc */
	UT_hash_handle hh;
	_Alignas(8) uint8_t key[MIRROR_KEY_MAX];
};

struct mirror {
	struct mirror_object *objects;
};

void mirror_set(struct mirror *mirror, uint16_t type, const void *message);
void mirror_del(struct mirror *mirror, uint16_t set_type, const void *deletion);
void mirror_clear(struct mirror *mirror);

/* The kernel's objects as a list; copies in the pool. */
struct desired mirror_list(const struct mirror *mirror, struct pool *pool);

/* A compiled configuration with its model; counted, since lists point into it. */
struct snapshot {
	unsigned refs;
	struct model *model;
	struct compiled *compiled;
};

struct snapshot *snapshot_get(struct snapshot *snapshot); /* NULL stays NULL */
void snapshot_put(struct snapshot **snapshot);

/* With ids of `store`: the program's own, or a copy for a preview, which also does without the
 * gateway's key. NULL, and a line for people in `text`. */
struct compiled *snapshot_compile(struct program *program, struct store *store,
	const struct model *model, char *text, size_t size) __attribute__((warn_unused_result));

/* What the data plane is to have: what is compiled, what the kernel has, what names say. In the
 * pool, but for the messages of `compiled`. */
struct desired snapshot_desired(
	const struct program *program, const struct compiled *compiled, struct pool *pool);

/* A whole wanted list. */
struct state {
	struct pool *pool;
	struct snapshot *snapshot;
	struct desired desired;
	uint8_t digest[STORE_DIGEST_SIZE]; /* with secrets */
};

struct state *state_make(const struct program *program);
void state_destroy(struct state **state);

/* names.c. The names that a configuration has are wanted. */
void names_update(struct resolve *resolve, const struct model *model);

/* Peers whose name has an address, with it. */
struct desired names_list(
	const struct resolve *resolve, const struct compiled *compiled, struct pool *pool);

/* False if the peer has no name; else its address, ADDR_NONE = never learned, and why the last
 * attempt failed or NULL. */
bool names_endpoint(const struct resolve *resolve, const struct model *model,
	const struct model_peer *peer, struct endpoint *endpoint, const char **error);

/* One transaction on its way. */
struct sending {
	struct program *program;
	struct state *state; /* what holds after success */
	struct compile_steps steps;
	size_t at;
	bool full, fresh; /* fresh: a data plane that has had no commit: it needs marks */
	uint64_t token;
	const struct compiled *old; /* INCREMENT: whose secrets the data plane has */
	uint32_t next_key;
	uint64_t generation;
	uint64_t instance;
	struct key *keys; /* locked memory */
	uint32_t n_keys;
	_Alignas(8) uint8_t buffer[API_MESSAGE_MAX];
};

/*
 * Starts the transaction from `from` (NULL = full) to `to`, which it takes over on success. 0,
 * -EALREADY if there is nothing to send, or of link_submit(). *out is set after 0.
 */
int sending_start(struct program *program, struct state *from, struct state *to,
	void (*done)(const struct api_reply *reply, void *arg), struct sending **out)
	__attribute__((warn_unused_result));
void sending_destroy(struct sending **sending); /* and its state, if it is still there */

/* added.c: peers that are in no file. From the configuration in force (NULL: from the store) to
 * the next; and to the store. */
void added_carry(struct store *store, const struct model *current, struct model *next);
void added_save(struct store *store, const struct model *model);

/* A change that waits its turn; exit_node "" = none any more. */
struct selection {
	char peer[MODEL_NAME_MAX + 1];
	char exit_node[MODEL_NAME_MAX + 1];
};

/* selected.c: exit nodes that peers selected. As added_carry() and added_save(). */
void selected_carry(struct store *store, const struct model *current, struct model *next);
void selected_save(struct store *store, const struct model *model);

/* 0 if the exit node is offered to the peer; else -EACCES, and what is missing. */
int selected_refuse(const struct compiled *current, const struct model_peer *peer,
	const struct model_exit_node *exit_node, char *text, size_t size);

/* Into `next`, which has the peers and selections of the current one. 0; -ENOENT, -EACCES and why
 * in `text`. */
int selected_change(const struct compiled *current, struct model *next,
	const struct selection *selection, char *text, size_t size)
	__attribute__((warn_unused_result));

/* down.c: from the store, at the start. */
void down_load(struct program *program);

struct peer_marks {
	uint32_t peer;
	struct store_marks marks;
	bool dirty; /* not in the store */
	UT_hash_handle hh;
};

struct waiter {
	program_done *done;
	void *arg;
	struct model *model; /* of a configuration that waits its turn, or: */
	program_edit *edit;  /* or: */
	struct selection *selection;
	struct waiter *next;
};

struct program {
	struct event_base *base;
	struct link *link;
	struct store *store;
	char *state_dir;
	struct program_kernel kernel;
	void (*block)(const struct api_event_block *event, void *arg);
	void *block_arg;
	bool mirrored;
	struct mirror mirror;
	struct snapshot *current;  /* the configuration in force, or being brought into force */
	struct snapshot *previous; /* to go back to while the current one is on trial */
	program_done *done;        /* of the configuration on trial */
	void *done_arg;
	struct waiter *waiting;
	struct state *sent; /* what the connected data plane has; NULL = unknown */
	struct sending *sending;
	bool stale;   /* something changed since the sending began */
	bool settled; /* the mirror is complete */
	bool telling; /* the kernel's share changes: no time to send */
	unsigned retry_s;
	uint64_t last_generation;
	char reason[128];
	void (*on_loss)(void *arg);
	void *on_loss_arg;
	struct event *retry;
	struct event *flush;
	struct resolve *resolve;
	struct peer_marks *marks;
	struct key *down; /* routing peers that do not answer */
	size_t n_down;
	bool port_known[API_PORT_MAX];
	struct api_event_port ports[API_PORT_MAX];
};

/* program.c. Brings the data plane to what is wanted now; does nothing while that is under way. */
void program_sync(struct program *program);

/* The configuration on trial is in force, or will be, or is not to be. */
void program_finish(struct program *program, const struct program_result *result);
void program_configure_kernel(struct program *program);

/* waiting.c. Whoever waits comes in, once nothing is under way. */
void waiting_next(struct program *program);
void waiting_clear(struct program *program);

/* marks.c */
void marks_create(struct program *program);
void marks_destroy(struct program *program); /* to the store first */
void marks_note(struct program *program, const struct api_event_peer *event);
