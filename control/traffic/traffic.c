/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Every object is looked at once a minute, a sixtieth of them each second, so that a gateway with
 * 65,000 peers keeps a processor busy for moments only. All at once: when the configuration or
 * the data plane changes, before an answer, and at the end of either process. The loop copies the
 * figures; the rest is the clerk's, who has the database.
 */
#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/log.h"
#include "common/base/pool.h"
#include "control/program/program.h"
#include "control/traffic/clerk.h"
#include "control/traffic/traffic_priv.h"

LOG_TYPE(traffic);

enum {
	PARTS = 60,
	TEXT_MAX = 64,
	PENDING_MAX = 8, /* the disk is slow: figures only rise, the next round has them all */
};

_Static_assert((int)KEY_TEXT_MAX <= TEXT_MAX && (int)ADDR_TEXT_MAX <= TEXT_MAX &&
		       (int)MODEL_NAME_MAX < TEXT_MAX,
	"room for texts");

struct traffic {
	struct program *program;
	struct event *timer;
	struct clerk *clerk;
	/* Of the last assignment. A pointer alone may be another configuration's by now. */
	uint64_t instance;
	const struct compiled *compiled; /* only compared */
	uint8_t digest[STORE_DIGEST_SIZE];
	unsigned part;
	bool stuck;
};

static void *check(void *memory)
{
	if (memory == NULL)
		abort();
	return memory;
}

static uint64_t now_s(void)
{
	return (uint64_t)time(NULL);
}

struct objects {
	struct tally_object *items;
	size_t n;
	char (*texts)[2][TEXT_MAX]; /* keys and names: copies, the configuration may go meanwhile */
};

static size_t count_objects(const struct compiled *c)
{
	size_t n = c->model->tables[MODEL_PEER].n + c->model->tables[MODEL_EXIT_NODE].n;

	for (size_t i = 0; i < c->model->tables[MODEL_POOL].n; i++)
		n += model_pool_at(c->model, i)->addresses.n;
	return n;
}

static void add_object(
	struct objects *all, enum traffic_kind kind, const char *key, const char *name, uint32_t id)
{
	char(*texts)[TEXT_MAX] = all->texts[all->n];

	snprintf(texts[0], TEXT_MAX, "%s", key);
	snprintf(texts[1], TEXT_MAX, "%s", name);
	all->items[all->n++] = (struct tally_object){kind, texts[0], texts[1], id};
}

static void add_pools(struct objects *all, const struct compiled *c)
{
	char text[ADDR_TEXT_MAX];

	for (size_t i = 0; i < c->model->tables[MODEL_POOL].n; i++) {
		const struct model_pool *pool = model_pool_at(c->model, i);

		for (size_t k = 0; k < pool->addresses.n; k++) {
			addr_format(&pool->addresses.items[k], text);
			add_object(all, TRAFFIC_EGRESS, text, text, c->pool_address_ids[i][k]);
		}
	}
}

/* False: out of memory. */
static bool list_objects(struct objects *all, const struct compiled *c)
{
	size_t n = count_objects(c) + 1;
	char key[KEY_TEXT_MAX];

	*all = (struct objects){
		.items = calloc(n, sizeof(*all->items)), .texts = calloc(n, sizeof(*all->texts))};
	if (all->items == NULL || all->texts == NULL)
		return false;
	for (size_t i = 0; i < c->model->tables[MODEL_PEER].n; i++) {
		const struct model_peer *peer = model_peer_at(c->model, i);

		add_object(all, TRAFFIC_PEER, key_format(&peer->public_key, key), peer->object.name,
			c->peer_ids[i]);
	}
	for (size_t i = 0; i < c->model->tables[MODEL_EXIT_NODE].n; i++) {
		const char *name = model_exit_node_at(c->model, i)->object.name;

		add_object(all, TRAFFIC_EXIT_NODE, name, name, c->exit_node_ids[i]);
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

/* --- errands --- */

struct booking {
	struct errand errand;
	struct traffic *traffic;
	struct reading *reading;
	struct objects objects;
	bool assigns;
	uint64_t at_s;
};

static int run_booking(struct tally *tally, struct errand *errand)
{
	struct booking *booking = (struct booking *)errand;
	struct tally_source source = reading_source(booking->reading);

	return booking->assigns ? tally_assign(tally, &source, booking->objects.items,
					  booking->objects.n, booking->at_s)
				: tally_book(tally, &source, booking->at_s);
}

static void end_booking(struct errand *errand)
{
	struct booking *booking = (struct booking *)errand;

	note(booking->traffic, errand->rc);
	/* What was to be assigned is not: the next tick sees that it is yet to be. */
	if (booking->assigns && errand->rc < 0)
		booking->traffic->instance = 0;
}

static void release_booking(struct errand *errand)
{
	struct booking *booking = (struct booking *)errand;

	reading_free(&booking->reading);
	free(booking->objects.items);
	free(booking->objects.texts);
}

/* Has what counts for whom changed since it was last assigned? */
static bool is_assigned(const struct traffic *t, const struct compiled *c)
{
	return t->instance == link_instance(program_link(t->program)) && t->compiled == c &&
	       memcmp(t->digest, c->desired.digest, sizeof(t->digest)) == 0;
}

/* Notes what there is as assigned. False: out of memory. */
static bool assign(struct traffic *t, const struct compiled *c, struct booking *booking)
{
	booking->assigns = true;
	if (!list_objects(&booking->objects, c))
		return false;
	t->instance = link_instance(program_link(t->program));
	t->compiled = c;
	memcpy(t->digest, c->desired.digest, sizeof(t->digest));
	return true;
}

static void book(struct traffic *t, unsigned part, unsigned parts)
{
	const struct compiled *c = program_compiled(t->program);
	struct link *link = program_link(t->program);
	struct booking *booking;
	bool good = true;

	if (c == NULL || link_generation(link) == 0)
		return;
	booking = check(calloc(1, sizeof(*booking)));
	booking->errand = (struct errand){.is_due = true,
		.run = run_booking,
		.done = end_booking,
		.release = release_booking};
	booking->traffic = t;
	booking->at_s = now_s();
	if (!is_assigned(t, c)) {
		part = 0;
		parts = 1;
		good = assign(t, c, booking);
	}
	booking->reading = good ? reading_take(link, part, parts) : NULL;
	if (booking->reading != NULL) {
		clerk_give(t->clerk, &booking->errand);
		return;
	}
	if (booking->assigns)
		t->instance = 0;
	release_booking(&booking->errand);
	free(booking);
}

static bool is_behind(const struct traffic *t)
{
	return clerk_pending(t->clerk) >= PENDING_MAX;
}

static void tick(evutil_socket_t fd, short what, void *arg)
{
	struct traffic *t = arg;

	if (is_behind(t))
		return;
	book(t, t->part, PARTS);
	t->part = (t->part + 1) % PARTS;
}

/* Before an answer; many who ask at once get what was booked for the first ones. */
static void book_for_answer(struct traffic *t)
{
	if (!is_behind(t))
		book(t, 0, 1);
}

static void before_loss(void *arg)
{
	book(arg, 0, 1);
}

struct traffic *traffic_create(
	struct event_base *base, struct program *program, const char *path, int *error)
{
	static const struct timeval second = {.tv_sec = 1};
	struct traffic *t = check(calloc(1, sizeof(*t)));
	struct tally *tally = tally_open(path, TALLY_SERIES_MAX, error);

	t->program = program;
	if (tally != NULL)
		t->clerk = clerk_create(base, tally, error);
	if (t->clerk == NULL)
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
	clerk_destroy(&t->clerk);
	free(t);
	*traffic = NULL;
}

bool traffic_is_stuck(const struct traffic *traffic)
{
	return traffic->stuck;
}

/* --- questions --- */

struct pointing {
	struct errand errand;
	enum traffic_kind kind;
	enum traffic_range range;
	uint64_t at_s;
	struct traffic_point points[TRAFFIC_POINTS_MAX];
	traffic_points_done *done;
	void *arg;
	char name[];
};

static int run_pointing(struct tally *tally, struct errand *errand)
{
	struct pointing *pointing = (struct pointing *)errand;

	return tally_points(tally, pointing->kind, pointing->name, pointing->range, pointing->at_s,
		pointing->points);
}

static void end_pointing(struct errand *errand)
{
	struct pointing *pointing = (struct pointing *)errand;

	pointing->done(errand->rc, pointing->points, pointing->arg);
}

void traffic_points(struct traffic *t, enum traffic_kind kind, const char *name,
	enum traffic_range range, traffic_points_done *done, void *arg)
{
	struct pointing *pointing = check(calloc(1, sizeof(*pointing) + strlen(name) + 1));

	book_for_answer(t);
	pointing->errand = (struct errand){.run = run_pointing, .done = end_pointing};
	pointing->kind = kind;
	pointing->range = range;
	pointing->at_s = now_s();
	pointing->done = done;
	pointing->arg = arg;
	strcpy(pointing->name, name);
	clerk_give(t->clerk, &pointing->errand);
}

struct summing {
	struct errand errand;
	enum traffic_range range;
	uint64_t at_s;
	struct pool *pool;
	struct traffic_sum *sums;
	size_t n;
	traffic_format *format;
	char *text;
	traffic_sums_done *done;
	void *arg;
};

static void keep_sum(const struct traffic_sum *sum, void *arg)
{
	struct summing *summing = arg;
	struct traffic_sum *kept;

	summing->sums = pool_grow(summing->pool, summing->sums, summing->n, sizeof(*kept));
	kept = &summing->sums[summing->n++];
	*kept = *sum;
	kept->key = pool_strdup(summing->pool, sum->key);
	kept->name = pool_strdup(summing->pool, sum->name);
}

static int run_summing(struct tally *tally, struct errand *errand)
{
	struct summing *summing = (struct summing *)errand;

	int rc = tally_sums(tally, summing->range, summing->at_s, keep_sum, summing);

	if (rc == 0)
		summing->text = summing->format(summing->sums, summing->n);
	return rc;
}

static void end_summing(struct errand *errand)
{
	struct summing *summing = (struct summing *)errand;

	summing->done(errand->rc, summing->sums, summing->n, summing->text, summing->arg);
}

static void release_summing(struct errand *errand)
{
	struct summing *summing = (struct summing *)errand;

	pool_destroy(&summing->pool);
	free(summing->text);
}

void traffic_sums(struct traffic *t, enum traffic_range range, traffic_format *format,
	traffic_sums_done *done, void *arg)
{
	struct summing *summing = check(calloc(1, sizeof(*summing)));

	book_for_answer(t);
	summing->errand = (struct errand){
		.run = run_summing, .done = end_summing, .release = release_summing};
	summing->range = range;
	summing->at_s = now_s();
	summing->pool = pool_create();
	summing->format = format;
	summing->done = done;
	summing->arg = arg;
	clerk_give(t->clerk, &summing->errand);
}
