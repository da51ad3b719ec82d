/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Every object is looked at once a minute, a sixtieth of them each second, so that a gateway with
 * 65,000 peers does not stand still for a moment once a minute. All at once: when the
 * configuration or the data plane changes, before an answer, and at the end of either process.
 */
#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/api/counters.h"
#include "common/base/log.h"
#include "control/program/program.h"
#include "control/traffic/traffic_priv.h"

LOG_TYPE(traffic);

enum {
	PARTS = 60,
	TEXT_MAX = 64,
};

_Static_assert((int)KEY_TEXT_MAX <= TEXT_MAX && (int)ADDR_TEXT_MAX <= TEXT_MAX, "room for texts");

struct traffic {
	struct program *program;
	struct event *timer;
	struct tally *tally;
	/* Of the last assignment. A pointer alone may be another configuration's by now. */
	uint64_t instance;
	const struct compiled *compiled; /* only compared */
	uint8_t digest[STORE_DIGEST_SIZE];
	unsigned part;
	bool stuck;
};

static uint64_t now_s(void)
{
	return (uint64_t)time(NULL);
}

static bool read_counts(
	enum traffic_kind kind, uint32_t id, struct traffic_counts *counts, void *arg)
{
	const struct link *link = arg;
	struct api_count_peer peer;
	struct api_count_pair pair;
	struct api_count_egress egress;

	switch (kind) {
	case TRAFFIC_PEER:
		if (id >= link_counters_used(link, API_SECTION_PEERS) ||
			link_counters_read(link, API_SECTION_PEERS, id, 1, &peer, sizeof(peer)) < 0)
			return false;
		*counts = (struct traffic_counts){
			peer.rx_packets, peer.rx_bytes, peer.tx_packets, peer.tx_bytes};
		return true;
	case TRAFFIC_EXIT_NODE:
		if (id >= link_counters_used(link, API_SECTION_ROUTES) ||
			link_counters_read(link, API_SECTION_ROUTES, id, 1, &pair, sizeof(pair)) <
				0)
			return false;
		*counts = (struct traffic_counts){
			pair.packets, pair.bytes, pair.reply_packets, pair.reply_bytes};
		return true;
	default:
		if (id >= link_counters_used(link, API_SECTION_EGRESS) ||
			link_counters_read(
				link, API_SECTION_EGRESS, id, 1, &egress, sizeof(egress)) < 0)
			return false;
		*counts = (struct traffic_counts){
			egress.tx_packets, egress.tx_bytes, egress.rx_packets, egress.rx_bytes};
		return true;
	}
}

/* The data plane's figures; false while there are none. */
static bool find_source(const struct traffic *t, struct tally_source *source)
{
	struct link *link = program_link(t->program);
	struct api_counters header;

	if (!link_is_connected(link) || link_counters_header(link, &header) < 0 ||
		header.updated_ns == 0)
		return false;
	*source = (struct tally_source){link_instance(link), read_counts, link};
	return true;
}

struct objects {
	struct tally_object *items;
	size_t n;
	char (*texts)[TEXT_MAX]; /* keys and addresses */
};

static size_t count_objects(const struct compiled *c)
{
	size_t n = c->model->tables[MODEL_PEER].n + c->model->tables[MODEL_EXIT_NODE].n;

	for (size_t i = 0; i < c->model->tables[MODEL_POOL].n; i++)
		n += model_pool_at(c->model, i)->addresses.n;
	return n;
}

static void add_pools(struct objects *all, const struct compiled *c)
{
	for (size_t i = 0; i < c->model->tables[MODEL_POOL].n; i++) {
		const struct model_pool *pool = model_pool_at(c->model, i);

		for (size_t k = 0; k < pool->addresses.n; k++, all->n++) {
			const char *text =
				addr_format(&pool->addresses.items[k], all->texts[all->n]);

			all->items[all->n] = (struct tally_object){
				TRAFFIC_EGRESS, text, text, c->pool_address_ids[i][k]};
		}
	}
}

/* False: out of memory. */
static bool list_objects(struct objects *all, const struct compiled *c)
{
	size_t n = count_objects(c) + 1;

	*all = (struct objects){
		.items = calloc(n, sizeof(*all->items)), .texts = calloc(n, sizeof(*all->texts))};
	if (all->items == NULL || all->texts == NULL)
		return false;
	for (size_t i = 0; i < c->model->tables[MODEL_PEER].n; i++, all->n++) {
		const struct model_peer *peer = model_peer_at(c->model, i);

		all->items[all->n] = (struct tally_object){TRAFFIC_PEER,
			key_format(&peer->public_key, all->texts[all->n]), peer->object.name,
			c->peer_ids[i]};
	}
	for (size_t i = 0; i < c->model->tables[MODEL_EXIT_NODE].n; i++, all->n++) {
		const char *name = model_exit_node_at(c->model, i)->object.name;

		all->items[all->n] =
			(struct tally_object){TRAFFIC_EXIT_NODE, name, name, c->exit_node_ids[i]};
	}
	add_pools(all, c);
	return true;
}

static void note(struct traffic *t, int rc)
{
	if (t->stuck && rc == 0)
		log_info(traffic, "figures are written again");
	t->stuck = rc < 0;
}

/* What counts for whom, once it has changed. True if it is as it should be. */
static bool assign(struct traffic *t, const struct tally_source *source)
{
	const struct compiled *c = program_compiled(t->program);
	struct objects all = {0};
	int rc = -ENOMEM;

	if (c == NULL || link_generation(program_link(t->program)) == 0)
		return false;
	if (t->instance == source->instance && t->compiled == c &&
		memcmp(t->digest, c->desired.digest, sizeof(t->digest)) == 0)
		return true;
	if (list_objects(&all, c))
		rc = tally_assign(t->tally, source, all.items, all.n, now_s());
	free(all.items);
	free(all.texts);
	note(t, rc);
	if (rc < 0)
		return false;
	t->instance = source->instance;
	t->compiled = c;
	memcpy(t->digest, c->desired.digest, sizeof(t->digest));
	return true;
}

static void book(struct traffic *t, unsigned part, unsigned parts)
{
	struct tally_source source;

	if (find_source(t, &source) && assign(t, &source))
		note(t, tally_book(t->tally, &source, part, parts, now_s()));
}

static void tick(evutil_socket_t fd, short what, void *arg)
{
	struct traffic *t = arg;

	book(t, t->part, PARTS);
	t->part = (t->part + 1) % PARTS;
}

static void before_loss(void *arg)
{
	book(arg, 0, 1);
}

struct traffic *traffic_create(
	struct event_base *base, struct program *program, const char *path, int *error)
{
	static const struct timeval second = {.tv_sec = 1};
	struct traffic *t = calloc(1, sizeof(*t));

	*error = -ENOMEM;
	if (t == NULL)
		return NULL;
	t->program = program;
	t->tally = tally_open(path, TALLY_SERIES_MAX, error);
	if (t->tally == NULL)
		goto err;
	*error = -ENOMEM;
	t->timer = event_new(base, -1, EV_PERSIST, tick, t);
	if (t->timer == NULL || event_add(t->timer, &second) < 0)
		goto err;
	program_watch_loss(program, before_loss, t);
	return t;
err:
	traffic_destroy(&t);
	return NULL;
}

void traffic_destroy(struct traffic **traffic)
{
	struct traffic *t = *traffic;

	if (t == NULL)
		return;
	if (t->timer != NULL) {
		book(t, 0, 1);
		program_watch_loss(t->program, NULL, NULL);
		event_free(t->timer);
	}
	tally_close(&t->tally);
	free(t);
	*traffic = NULL;
}

bool traffic_is_stuck(const struct traffic *traffic)
{
	return traffic->stuck;
}

int traffic_points(struct traffic *traffic, enum traffic_kind kind, const char *name,
	enum traffic_range range, struct traffic_point points[TRAFFIC_POINTS_MAX])
{
	book(traffic, 0, 1);
	return tally_points(traffic->tally, kind, name, range, now_s(), points);
}

int traffic_sums(struct traffic *traffic, enum traffic_range range,
	void (*each)(const struct traffic_sum *sum, void *arg), void *arg)
{
	book(traffic, 0, 1);
	return tally_sums(traffic->tally, range, now_s(), each, arg);
}
