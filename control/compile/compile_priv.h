/* SPDX-License-Identifier: BSD-3-Clause */
/* The parts of a compilation; each one adds its messages to the builder. */
#pragma once

#include "common/api/egress.h"
#include "common/api/map.h"
#include "common/api/policy.h"
#include "common/api/port.h"
#include "common/api/route.h"
#include "common/api/wireguard.h"
#include "control/compile/compile.h"

struct builder {
	struct compiled *c;
	const struct compile_input *input;
	const struct model *model;
	struct pool *pool;
	const struct api_header **messages;
	size_t n;
	int error; /* the first one; what names its object */
	const char *what;
};

/* A zeroed message of this type, which is now part of the list. */
void *compile_emit(struct builder *b, uint16_t type);

/* As store_id(); a lack of ids becomes the builder's error. */
uint32_t compile_id(struct builder *b, enum store_kind kind, const char *name);

/* Keeps the first error. */
void compile_fail(struct builder *b, int error, const char *what);

/* sets.c: set_of_peer and sets, with members; each set gets its id. */
void compile_sets(struct builder *b);

/* True if the identities of this set are among the source's groups, peers or port. */
bool compile_set_matches(
	const struct model *model, const struct compile_set *set, const struct model_source *from);

/* members.c: peer_down and understudies. */
void compile_members(struct builder *b);

/* reach.c: what each set holds (exit node, routes), then overlay routes and allowed-IPs. */
void compile_reach(struct builder *b);

/* forwards.c */
void compile_forwards(struct builder *b);
bool compile_forward_leads(const struct model *m, const struct model_forward *forward);

enum { COMPILE_BAND_SHIFT = 20 };

/* Of a rule; within a band rules keep the order of the file. */
static inline uint32_t compile_priority(unsigned band, size_t order)
{
	return ((uint32_t)band << COMPILE_BAND_SHIFT) | (uint32_t)order;
}

/* egress.c */
void compile_egress(struct builder *b);

/* flows.c */
void compile_timeouts(struct builder *b);
void compile_limits(struct builder *b);

/* rules.c */
void compile_policies(struct builder *b);
