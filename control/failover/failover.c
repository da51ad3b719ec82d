/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/failover/failover.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <uthash.h>

#include "common/api/counters.h"
#include "common/base/log.h"
#include "control/failover/probe.h"
#include "control/program/program.h"

LOG_TYPE(failover);

struct watched {
	uint32_t peer; /* id */
	bool seen;     /* in this round */
	struct member member;
	UT_hash_handle hh;
};

struct failover {
	struct program *program;
	struct event *timer;
	uint64_t instance; /* of the data plane that the counters are of; 0 = none */
	struct watched *watched;
	bool cannot_probe; /* said once */
};

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static struct watched *find(const struct failover *f, uint32_t peer)
{
	struct watched *watched;

	HASH_FIND(hh, f->watched, &peer, sizeof(peer), watched);
	return watched;
}

static struct watched *watch(struct failover *f, uint32_t peer)
{
	struct watched *watched = calloc(1, sizeof(*watched));

	if (watched == NULL)
		abort();
	watched->peer = peer;
	HASH_ADD(hh, f->watched, peer, sizeof(watched->peer), watched);
	return watched;
}

static void forget(struct failover *f, bool all)
{
	struct watched *watched, *next;

	HASH_ITER (hh, f->watched, watched, next) {
		if (!all && watched->seen)
			continue;
		HASH_DEL(f->watched, watched);
		free(watched);
	}
}

static void tell(const struct model_peer *peer, const struct member *member, uint64_t now)
{
	if (member->state == MEMBER_DOWN)
		log_warn(failover,
			"routing peer %s: down, nothing heard for %llu s; its routes go through "
			"others",
			peer->object.name, (unsigned long long)(now - member->heard_ms) / 1000);
	else
		log_info(failover, "routing peer %s: up, in use again", peer->object.name);
}

/* An attempt counts, too: where nobody can be asked the dead must be found all the same. */
static void probe(struct failover *f, struct prober *prober, const struct model_peer *peer,
	struct member *member)
{
	bool sent = false;

	for (size_t i = 0; i < peer->addresses.n && !sent; i++)
		sent = probe_send(prober, &peer->addresses.items[i]);
	if (!sent && !f->cannot_probe)
		log_warn(failover,
			"routing peer %s cannot be asked for a sign of life: a silent one may be "
			"taken for dead",
			peer->object.name);
	f->cannot_probe = f->cannot_probe || !sent;
	member_asked(member);
}

/* The row is read after the time of its publication: it is as new as that or newer. */
static bool read_counters(const struct link *link, uint32_t peer, struct member_reading *reading)
{
	struct api_counters header;
	struct api_count_peer row;

	if (link_counters_header(link, &header) < 0 ||
		link_counters_read(link, API_SECTION_PEERS, peer, 1, &row, sizeof(row)) < 0)
		return false;
	*reading = (struct member_reading){header.updated_ns / 1000000, row.wire_rx_bytes};
	return true;
}

/* One peer that has an understudy. True: its verdict has changed. */
static bool look_at(struct failover *f, const struct compiled *c, size_t index, bool fresh,
	struct prober *prober)
{
	const struct model_peer *peer = model_peer_at(c->model, index);
	const struct member_limits limits = {
		.dead_after_ms = c->model->failover.dead_after_s * UINT64_C(1000),
		.return_after_ms = c->model->failover.return_after_s * UINT64_C(1000),
	};
	struct watched *watched = find(f, c->peer_ids[index]);
	struct member_reading reading;
	uint64_t now = now_ms();
	bool changed = false;

	if (!read_counters(program_link(f->program), c->peer_ids[index], &reading)) {
		if (watched != NULL)
			watched->seen = true;
		return false;
	}
	if (watched == NULL || fresh) {
		if (watched == NULL)
			watched = watch(f, c->peer_ids[index]);
		member_begin(&watched->member, now, &reading, c->peer_down[index]);
	} else {
		changed = member_look(&watched->member, &limits, now, &reading);
	}
	watched->seen = true;
	if (changed)
		tell(peer, &watched->member, now);
	if (member_wants_probe(&watched->member, &limits, now))
		probe(f, prober, peer, &watched->member);
	return changed;
}

static void name_down(struct failover *f, const struct compiled *c)
{
	struct key *keys = calloc(c->model->tables[MODEL_PEER].n + 1, sizeof(*keys));
	size_t n = 0;

	if (keys == NULL)
		abort();
	for (size_t i = 0; i < c->model->tables[MODEL_PEER].n; i++) {
		const struct watched *watched = c->understudies[i] ? find(f, c->peer_ids[i]) : NULL;

		if (watched != NULL && watched->member.state != MEMBER_UP)
			keys[n++] = model_peer_at(c->model, i)->public_key;
	}
	program_set_down(f->program, keys, n);
	free(keys);
}

static void look(evutil_socket_t fd, short what, void *arg)
{
	struct failover *f = arg;
	const struct compiled *c = program_compiled(f->program);
	const struct link *link = program_link(f->program);
	struct watched *watched, *next;
	struct prober *prober;
	bool fresh, changed = false;

	if (c == NULL || !link_is_connected(link) || link_generation(link) == 0) {
		f->instance = 0;
		return;
	}
	fresh = f->instance != link_instance(link);
	f->instance = link_instance(link);
	HASH_ITER (hh, f->watched, watched, next)
		watched->seen = false;
	prober = probe_begin(c->model->wireguard.interface);
	for (size_t i = 0; c->n_understudies > 0 && i < c->model->tables[MODEL_PEER].n; i++) {
		if (c->understudies[i])
			changed = look_at(f, c, i, fresh, prober) || changed;
	}
	probe_end(&prober);
	forget(f, false);
	if (changed)
		name_down(f, c);
}

struct failover *failover_create(struct event_base *base, struct program *program, int *error)
{
	static const struct timeval interval = {.tv_sec = MEMBER_LOOK_MS / 1000};
	struct failover *f = calloc(1, sizeof(*f));

	*error = -ENOMEM;
	if (f == NULL)
		return NULL;
	f->program = program;
	f->timer = event_new(base, -1, EV_PERSIST, look, f);
	if (f->timer == NULL || event_add(f->timer, &interval) < 0)
		failover_destroy(&f);
	return f;
}

void failover_destroy(struct failover **failover)
{
	if (*failover == NULL)
		return;
	forget(*failover, true);
	if ((*failover)->timer != NULL)
		event_free((*failover)->timer);
	free(*failover);
	*failover = NULL;
}

bool failover_look(const struct failover *failover, uint32_t peer, struct failover_view *view)
{
	const struct watched *watched = failover == NULL ? NULL : find(failover, peer);
	uint64_t now = now_ms();

	if (watched == NULL)
		return false;
	*view = (struct failover_view){
		.state = watched->member.state,
		.silent_ms = now - watched->member.heard_ms,
		.since_ms = now - watched->member.since_ms,
	};
	return true;
}

const char *failover_state_name(enum member_state state)
{
	static const char *const names[] = {"up", "down", "returning"};

	return names[state];
}
