/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Keeps the data plane at what the configuration and the kernel say. Whatever changes (another
 * configuration, a neighbour, a new connection), the wanted list is made anew, compared with the
 * list last committed, and the difference goes as one transaction; one is under way at a time.
 *
 * On a connection: the same data plane at the generation last committed, and the wanted list is
 * that list: resume, nothing is sent. Else everything is sent, and the data plane leaves alone
 * what is unchanged. A configuration that the data plane refuses is taken back.
 *
 * All on the loop's thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/api/egress.h"
#include "common/api/port.h"
#include "control/compile/compile.h"
#include "control/host/host.h"
#include "control/link/link.h"
#include "control/model/model.h"
#include "control/store/store.h"

struct event_base;
struct program;

/* The gateway's kernel, as the program needs it; every member may be NULL. */
struct program_kernel {
	void *context;
	/* Puts the configuration's share into the kernel. 0 or -errno (logged by itself). */
	int (*configure)(void *context, const struct compiled *compiled);
	/* Before ports are started, after that, and when they are gone. */
	void (*set_dataplane)(void *context, enum host_dataplane state);
	enum host_holder (*device_holder)(void *context, uint16_t port);
	void (*want_neighbour)(void *context, uint16_t port, const struct addr *addr);
};

struct program_options {
	struct event_base *base;
	const char *socket_path; /* of the data plane */
	const char *state_dir;
	struct store *store;
	struct program_kernel kernel;
	/* Port blocks of egress addresses as the data plane tells of them; may be NULL. */
	void (*block)(const struct api_event_block *event, void *arg);
	void *block_arg;
	bool mirrored; /* the kernel's addresses and routes come by program_kernel_set() */
};

/* What became of a configuration. text: one line for people, "" if all is well. */
struct program_result {
	int error;    /* 0, -EINPROGRESS (no data plane yet: it will be told), or why not */
	bool changed; /* something was sent */
	size_t sets, deletions;
	uint64_t generation;
	const char *text;
};

struct snapshot;

/* What another configuration would be, without bringing it into force. */
struct program_preview {
	struct snapshot *snapshot;
	const struct compiled *compiled;
	struct desired desired; /* with the kernel's share: what the data plane would be given */
	struct pool *pool;
	size_t sets, deletions; /* from the list that it has now */
};

typedef void program_done(const struct program_result *result, void *arg);

/* NULL and *error. The options are copied. */
struct program *program_create(const struct program_options *options, int *error)
	__attribute__((warn_unused_result));
void program_destroy(struct program **program);

/*
 * Another configuration; takes the model over in any case. done comes once, maybe before this
 * returns. A configuration given while one is under way waits for it.
 */
void program_apply(struct program *program, struct model *model, program_done *done, void *arg);

/*
 * Other peers beside those of the file: when its turn comes, edit() adds to `next`, an extension
 * of the configuration in force without its peers of origin api, those that there shall be. What
 * it returns, if not 0, ends the attempt. Peers of origin api are kept in the store, and go with
 * every later configuration that leaves their keys and addresses free.
 */
typedef int program_edit(const struct compiled *current, struct model *next, void *arg);

void program_edit_peers(struct program *program, program_edit *edit, program_done *done, void *arg);

/*
 * From now on this peer leaves by that exit node, of those that are offered to it; NULL = by the
 * first one. Kept in the store; goes with every later configuration that has both. The result is
 * -ENOENT or -EACCES, with what is missing as text, if there is no such object or no offer.
 */
void program_select(struct program *program, const char *peer, const char *exit_node,
	program_done *done, void *arg);

/* What keeps the peer from this exit node, of the compiled configuration, in text; false if
 * nothing does. */
bool program_is_refused(const struct compiled *compiled, const struct model_peer *peer,
	const struct model_exit_node *exit_node, char *text, size_t size);

/*
 * Takes the model over in any case; the ids are those that it would get. NULL, and a line for
 * people in `text`, if it cannot be compiled. program_preview_destroy() ends it.
 */
struct program_preview *program_preview(struct program *program, struct model *model, char *text,
	size_t size) __attribute__((warn_unused_result));
void program_preview_destroy(struct program_preview **preview);

/*
 * Routing peers that do not answer, by public key: from now on routes go through others of their
 * network, if they have any. Kept in the store; the same list again changes nothing. Copied.
 */
void program_set_down(struct program *program, const struct key *keys, size_t n);

/* The configuration in force, NULL before the first. Valid until the loop's next turn. */
const struct compiled *program_compiled(const struct program *program);

/* The list that the data plane has, or would be sent now. Valid until the loop's next turn. */
const struct desired *program_desired(const struct program *program);

struct link *program_link(const struct program *program);

/* Calls fn while the counters of a data plane that is gone can be read for the last time. One at a
 * time; NULL = nobody. */
void program_watch_loss(struct program *program, void (*fn)(void *arg), void *arg);

/* Why there is no connection, or "". */
const char *program_link_reason(const struct program *program);

/* What the kernel has: a set or del message of LOCAL, NEIGH or ROUTE, header ignored. Sent with
 * the next program_kernel_settled(). */
void program_kernel_set(struct program *program, uint16_t type, const void *message);
void program_kernel_del(struct program *program, uint16_t set_type, const void *deletion);
void program_kernel_settled(struct program *program);

/* The last heard of a peer (by id); false if nothing was. */
bool program_peer_marks(const struct program *program, uint32_t peer, struct store_marks *marks);

/* What the name says that is a peer's endpoint; false if it has none. *error: why the last attempt
 * to look it up failed, NULL = it did not. */
bool program_peer_name(const struct program *program, const struct model_peer *peer,
	struct endpoint *endpoint, const char **error);

/* Whose the kernel's device under a port is. */
enum host_holder program_device_holder(const struct program *program, uint16_t port);

/* State of a port; false if the data plane has not spoken of it. */
bool program_port_state(const struct program *program, uint16_t port, struct api_event_port *state);
