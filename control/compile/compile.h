/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From a checked model to what the data plane is to hold: one list of messages, sorted, each
 * object once. The same model and the same ids give the same list, byte for byte. Two lists are
 * compared into the messages that lead from one to the other.
 *
 * What is offered to a peer (its export, the API) and what the data plane lets through come from
 * the same struct compiled, so they cannot disagree. One thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/api/api.h"
#include "common/base/key.h"
#include "control/model/model.h"
#include "control/store/store.h"

enum {
	COMPILE_INTERFACE = 1, /* the one WireGuard interface */
	/* Of an egress address that is the gateway's own, the NAT has these ports; the kernel keeps
	 * the well-known ones and its ephemeral range (net.ipv4.ip_local_port_range). */
	COMPILE_SHARED_PORT_FIRST = 16384,
	COMPILE_SHARED_PORT_LAST = 32767,
	COMPILE_PORT_FIRST = 1, /* of one that is not: below 1024 for sources below (RFC 4787) */
	COMPILE_PORT_LAST = 65535,
};

/* Objects, sorted by the order in which they may refer to one another, then by key. */
struct desired {
	const struct api_header **messages;
	size_t n;
	uint8_t digest[STORE_DIGEST_SIZE]; /* of all messages, whatever their order */
};

/* A secret of an object: messages carry a token, set when they are sent. */
struct compile_secret {
	uint16_t type; /* API_WG_INTERFACE_SET or API_PEER_SET */
	uint32_t id;
	struct key key;
};

/* A route as one source set holds it. */
struct compile_route {
	struct prefix prefix;
	const struct model_peer *peer;           /* in force; NULL = by a port, or an `also` */
	const struct model_peer *preferred;      /* ... if all were up */
	const struct model_route *route;         /* or NULL: */
	const struct model_exit_node *exit_node; /* an `also` of this one */
};

/* Identities that are treated alike: same groups, or one peer that a rule names. */
struct compile_set {
	uint32_t id;
	size_t place;     /* in struct compiled's sets */
	const char *key;  /* "groups:ops,staff", "peer:anna groups:staff exit-node:b", "port:lan" */
	uint32_t *groups; /* indices in the model, sorted by name */
	size_t n_groups;
	const struct model_peer *peer; /* if a rule names it */
	const struct model_port *port; /* or: plain packets that arrive there */
	size_t members;
	const struct model_exit_node *selected;  /* by the members, or NULL */
	const struct model_exit_node *exit_node; /* the one they leave by: it is offered; or NULL */
	struct compile_route *routes;            /* sorted by prefix; one per prefix */
	size_t n_routes;
};

struct compiled {
	struct pool *pool;
	const struct model *model; /* owned by the caller, outlives this */
	struct desired desired;
	struct compile_set **sets;
	size_t n_sets;
	struct compile_set **set_of_peer; /* by index of the peer; NULL for disabled peers */
	bool *peer_down;                  /* by index of the peer: input's `down` */
	/* By index of the peer: there is another one for a range of a network of his, so it matters
	 * whether he lives. */
	bool *understudies;
	size_t n_understudies;
	uint32_t *peer_ids;    /* by index of the peer */
	uint32_t *peer_places; /* by id: index of the peer plus one, 0 = nobody's */
	uint32_t n_peer_places;
	uint32_t *route_ids;         /* by index of the route */
	uint32_t *exit_node_ids;     /* route ids, by index of the exit node */
	uint32_t *forward_ids;       /* by index of the forward */
	uint32_t **pool_address_ids; /* egress ids, by index of the pool and of its address */
	const char **rule_names;     /* by rule id; NULL = unused */
	uint32_t n_rule_names;
	struct compile_secret *secrets; /* locked memory, wiped when destroyed */
	size_t n_secrets;
	uint32_t *secret_order; /* places of secrets by type and id */
	uint8_t secrets_digest[STORE_DIGEST_SIZE];
};

struct compile_input {
	const struct model *model;
	struct store *store;
	const struct key *private_key; /* NULL = none: for tests and previews */
	const char *state_dir;         /* where preshared keys lie */
	/* Also the gateway's addresses and underlay routes as the configuration has them; false
	 * when the kernel's are mirrored. */
	bool underlay;
	/* Routing peers that are not to be used while there are others. */
	const struct key *down;
	size_t n_down;
};

/* NULL and *error: -ENOSPC (ids exhausted), or of a preshared key file; `what` names the object. */
struct compiled *compile_model(const struct compile_input *input, int *error, const char **what)
	__attribute__((warn_unused_result));
void compile_destroy(struct compiled **compiled);

/* Whether an exit node is for the members of a set, or what is missing. */
enum compile_offer {
	COMPILE_OFFERED,
	COMPILE_OFFER_DISABLED,
	COMPILE_OFFER_NO_GROUP,  /* none of theirs is in offer_to */
	COMPILE_OFFER_NO_POLICY, /* nothing allows them to use it */
};

enum compile_offer compile_offer(const struct model *model, const struct compile_set *set,
	const struct model_exit_node *exit_node);

/* True if the egress rule is one for the members of the set. */
bool compile_egress_applies(const struct model *model, const struct compile_set *set,
	const struct model_egress_rule *rule);

/* The pool by whose addresses the set leaves for the internet at large, rules about destinations
 * aside; NULL = it does not. */
const struct model_pool *compile_egress_pool(
	const struct model *model, const struct compile_set *set);

/* The peer of an id, NULL = none has it. */
const struct model_peer *compile_peer_of_id(const struct compiled *compiled, uint32_t id);

/* The id of a secret's object, or NULL. */
const struct compile_secret *compile_find_secret(
	const struct compiled *compiled, uint16_t type, uint32_t id);

/*
 * Steps from one list to another: sets of what is new or different, in the order of the list,
 * then deletions in the reverse order. from NULL = everything in `to`. `force` names objects that
 * are set though unchanged (a new secret), may be NULL. Messages lie in `pool` or in the lists.
 */
struct compile_steps {
	const struct api_header **messages;
	size_t n;
	size_t sets;
	size_t deletions;
};

struct compile_steps desired_diff(struct pool *pool, const struct desired *from,
	const struct desired *to, bool (*force)(const struct api_header *message, void *arg),
	void *arg);

/* Sorts, drops doubles (of two objects with one key the first given stays), computes the digest.
 * The array is taken over. */
struct desired desired_make(const struct api_header **messages, size_t n);

/* Both lists in one; `first` wins where both have an object. */
struct desired desired_merge(
	struct pool *pool, const struct desired *first, const struct desired *second);

/* Where the messages of a type begin (or would): of each type they are one after the other. */
size_t desired_first(const struct desired *list, uint16_t type);

/* -1, 0, 1: the order of objects; 0 = the same object, whatever it says. */
int desired_compare(const struct api_header *a, const struct api_header *b);

/* A copy of a set message, or the deletion of its object, in the pool. */
struct api_header *desired_copy(struct pool *pool, const struct api_header *message);
struct api_header *desired_deletion(struct pool *pool, const struct api_header *message);
