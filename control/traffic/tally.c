/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The data plane counts by id, and ids are used again. So what is booked belongs to the id, too. An
 * id's figure remembers of which instance it is, how far it is booked, and for which series it
 * counts:
 *
 *   the same instance     what the figure has risen by is booked for its owner
 *   another instance      it begins at 0: all of it is booked
 *   another owner         the old one is booked a last time, and the new one begins there; if the
 *                         figure has fallen, the data plane began anew for the new one: all of it
 *                         is the new one's
 *
 * So neither the order nor the number of restarts matters. All of it is held in memory as the
 * database has it; a transaction that fails is taken back in both, by reading everything again.
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/traffic/traffic_priv.h"

enum {
	GONE_KEPT_S = 400 * 86400, /* longer than any range */
	IDENTITY_MAX = 128,
};

struct series {
	UT_hash_handle hh; /* by identity */
	struct slots_series saved;
	uint64_t slot[TRAFFIC_RANGES];     /* that was booked last; 0 = not yet */
	const struct tally_object *object; /* during tally_assign(): what it is now, NULL = gone */
	char *key, *name;
	char identity[]; /* "0:KEY" */
};

struct figure_key {
	uint32_t kind, id;
};

struct figure {
	UT_hash_handle hh; /* by at */
	struct figure_key at;
	struct slots_figure saved; /* its owner's row is written when it is saved */
	struct series *owner;      /* NULL = nobody */
	struct series *next;       /* during tally_assign(): whose it will be */
};

struct tally {
	struct slots *slots;
	struct series *series;
	struct figure *figures;
	size_t max_series;
	bool loaded;
};

static void *check(void *memory)
{
	if (memory == NULL) {
		fputs("out of memory\n", stderr);
		abort();
	}
	return memory;
}

static const char *make_identity(enum traffic_kind kind, const char *key, char out[IDENTITY_MAX])
{
	snprintf(out, IDENTITY_MAX, "%u:%s", (unsigned)kind, key);
	return out;
}

static struct series *find(const struct tally *t, enum traffic_kind kind, const char *key)
{
	char identity[IDENTITY_MAX];
	struct series *series;

	make_identity(kind, key, identity);
	HASH_FIND_STR(t->series, identity, series);
	return series;
}

static struct series *add(struct tally *t, const struct slots_series *saved)
{
	char identity[IDENTITY_MAX];
	struct series *series;

	make_identity(saved->kind, saved->key, identity);
	series = check(calloc(1, sizeof(*series) + strlen(identity) + 1));
	strcpy(series->identity, identity);
	series->key = check(strdup(saved->key));
	series->name = check(strdup(saved->name));
	series->saved = *saved;
	series->saved.key = series->key;
	series->saved.name = series->name;
	HASH_ADD_STR(t->series, identity, series);
	return series;
}

static void drop(struct tally *t, struct series *series)
{
	HASH_DEL(t->series, series);
	free(series->key);
	free(series->name);
	free(series);
}

static void drop_figure(struct tally *t, struct figure *figure)
{
	HASH_DEL(t->figures, figure);
	free(figure);
}

static void drop_all(struct tally *t)
{
	struct series *series, *next;
	struct figure *figure, *after;

	HASH_ITER (hh, t->figures, figure, after)
		drop_figure(t, figure);
	HASH_ITER (hh, t->series, series, next)
		drop(t, series);
	t->loaded = false;
}

static struct figure *find_figure(const struct tally *t, enum traffic_kind kind, uint32_t id)
{
	const struct figure_key at = {kind, id};
	struct figure *figure;

	HASH_FIND(hh, t->figures, &at, sizeof(at), figure);
	return figure;
}

static struct figure *add_figure(struct tally *t, const struct slots_figure *saved)
{
	struct figure *figure = check(calloc(1, sizeof(*figure)));

	figure->at = (struct figure_key){saved->kind, saved->id};
	figure->saved = *saved;
	HASH_ADD(hh, t->figures, at, sizeof(figure->at), figure);
	return figure;
}

static int load_series(const struct slots_series *saved, void *arg)
{
	add(arg, saved);
	return 0;
}

static int load_figure(const struct slots_figure *saved, void *arg)
{
	add_figure(arg, saved);
	return 0;
}

/* Rows to pointers. */
static void find_owners(struct tally *t)
{
	struct by_row {
		UT_hash_handle hh;
		int64_t row;
		struct series *series;
	} *rows = NULL, *row, *next;

	for (struct series *s = t->series; s != NULL; s = s->hh.next) {
		row = check(calloc(1, sizeof(*row)));
		row->row = s->saved.row;
		row->series = s;
		HASH_ADD(hh, rows, row, sizeof(row->row), row);
	}
	for (struct figure *f = t->figures; f != NULL; f = f->hh.next) {
		HASH_FIND(hh, rows, &f->saved.owner, sizeof(f->saved.owner), row);
		f->owner = row == NULL ? NULL : row->series;
	}
	HASH_ITER (hh, rows, row, next) {
		HASH_DEL(rows, row);
		free(row);
	}
}

static int load(struct tally *t)
{
	int rc;

	if (t->loaded)
		return 0;
	rc = slots_each(t->slots, load_series, load_figure, t);
	if (rc < 0)
		drop_all(t);
	else
		find_owners(t);
	t->loaded = rc == 0;
	return rc;
}

struct tally *tally_open(const char *path, size_t max_series, int *error)
{
	struct tally *t = check(calloc(1, sizeof(*t)));

	t->max_series = max_series;
	t->slots = slots_open(path, error);
	if (t->slots != NULL)
		*error = load(t);
	if (!t->loaded)
		tally_close(&t);
	return t;
}

void tally_close(struct tally **tally)
{
	if (*tally == NULL)
		return;
	drop_all(*tally);
	slots_close(&(*tally)->slots);
	free(*tally);
	*tally = NULL;
}

size_t tally_count(const struct tally *t)
{
	return HASH_COUNT(t->series);
}

static int begin(struct tally *t)
{
	int rc = load(t);

	return rc < 0 ? rc : slots_begin(t->slots);
}

/* rc: of what was done. What is in memory goes back with the database. */
static int end(struct tally *t, int rc)
{
	if (rc == 0)
		rc = slots_commit(t->slots);
	if (rc < 0) {
		slots_rollback(t->slots);
		drop_all(t);
	}
	return rc;
}

static bool has_fallen(const struct traffic_counts *now, const struct traffic_counts *last)
{
	return now->sent_packets < last->sent_packets || now->sent_bytes < last->sent_bytes ||
	       now->received_packets < last->received_packets ||
	       now->received_bytes < last->received_bytes;
}

static struct traffic_counts risen_by(
	const struct traffic_counts *now, const struct traffic_counts *last)
{
	static const struct traffic_counts zero;

	/* Not as the data plane does today; but then it has begun anew. */
	if (has_fallen(now, last))
		last = &zero;
	return (struct traffic_counts){
		.sent_packets = now->sent_packets - last->sent_packets,
		.sent_bytes = now->sent_bytes - last->sent_bytes,
		.received_packets = now->received_packets - last->received_packets,
		.received_bytes = now->received_bytes - last->received_bytes,
	};
}

static bool is_nothing(const struct traffic_counts *counts)
{
	return (counts->sent_packets | counts->sent_bytes | counts->received_packets |
		       counts->received_bytes) == 0;
}

/* Into the slot of each range that it is now. */
static int spread(
	struct tally *t, struct series *series, const struct traffic_counts *counts, uint64_t now_s)
{
	int64_t row = series->saved.row;
	int rc = 0;

	for (unsigned range = 0; rc == 0 && range < TRAFFIC_RANGES; range++) {
		uint64_t slot = slots_start(range, now_s);

		if (slot != series->slot[range])
			rc = slots_prune(t->slots, row, range, slots_from(range, now_s), slot);
		series->slot[range] = slot;
		if (rc == 0)
			rc = slots_add(t->slots, row, range, slot, counts);
	}
	return rc;
}

static int save_figure(struct tally *t, struct figure *figure)
{
	figure->saved.owner = figure->owner == NULL ? 0 : figure->owner->saved.row;
	return slots_save_figure(t->slots, &figure->saved);
}

static int book(
	struct tally *t, struct figure *figure, const struct tally_source *source, uint64_t now_s)
{
	struct slots_figure *saved = &figure->saved;
	struct traffic_counts now, risen;
	int rc = 0;

	if (saved->instance != source->instance ||
		!source->read(saved->kind, saved->id, &now, source->arg) ||
		memcmp(&now, &saved->last, sizeof(now)) == 0)
		return 0;
	risen = risen_by(&now, &saved->last);
	if (figure->owner != NULL && !is_nothing(&risen))
		rc = spread(t, figure->owner, &risen, now_s);
	saved->last = now;
	return rc < 0 ? rc : save_figure(t, figure);
}

/* What the ids have counted goes to those who had them; also to those that have gone. */
static int book_all(struct tally *t, const struct tally_source *source, uint64_t now_s)
{
	int rc = 0;

	for (struct figure *f = t->figures; rc == 0 && f != NULL; f = f->hh.next)
		rc = book(t, f, source, now_s);
	return rc;
}

int tally_book(struct tally *t, const struct tally_source *source, uint64_t now_s)
{
	int rc = begin(t);

	return rc < 0 ? rc : end(t, book_all(t, source, now_s));
}

/* Which series each object is, made if it has none. */
static int name_objects(
	struct tally *t, const struct tally_object *objects, size_t n, uint64_t now_s)
{
	for (struct series *s = t->series; s != NULL; s = s->hh.next)
		s->object = NULL;
	for (size_t i = 0; i < n; i++) {
		struct slots_series fresh = {
			.kind = objects[i].kind,
			.key = objects[i].key,
			.name = objects[i].name,
			.seen_s = now_s,
		};
		struct series *s;
		int rc;

		if (objects[i].id == 0)
			continue;
		s = find(t, fresh.kind, fresh.key);
		if (s == NULL) {
			s = add(t, &fresh);
			rc = slots_save(t->slots, &s->saved);
			if (rc < 0)
				return rc;
		}
		s->object = &objects[i];
	}
	return 0;
}

/* Did the data plane begin anew for the one who is to have this id? */
static bool is_anew(const struct figure *figure, const struct tally_source *source)
{
	const struct slots_figure *saved = &figure->saved;
	struct traffic_counts now;

	return figure->owner != figure->next && saved->instance == source->instance &&
	       source->read(saved->kind, saved->id, &now, source->arg) &&
	       has_fallen(&now, &saved->last);
}

/* Before ids change hands: what they have counted goes to those who had them. */
static int book_last(struct tally *t, const struct tally_source *source, uint64_t now_s)
{
	int rc = 0;

	for (struct figure *f = t->figures; rc == 0 && f != NULL; f = f->hh.next) {
		if (is_anew(f, source))
			f->saved.last = (struct traffic_counts){0};
		else
			rc = book(t, f, source, now_s);
	}
	return rc;
}

/* Whose each id will be; `fresh_too`: also of ids that nobody had yet. */
static void name_owners(struct tally *t, uint64_t instance, bool fresh_too)
{
	for (struct series *s = t->series; s != NULL; s = s->hh.next) {
		struct slots_figure fresh = {.kind = s->saved.kind, .instance = instance};
		struct figure *figure;

		if (s->object == NULL)
			continue;
		fresh.id = s->object->id;
		figure = find_figure(t, fresh.kind, fresh.id);
		if (figure == NULL && fresh_too)
			figure = add_figure(t, &fresh);
		if (figure != NULL)
			figure->next = s;
	}
}

/* From now on. An id that nobody has any more is remembered, for its next owner. */
static int hand_over(struct tally *t, uint64_t instance)
{
	name_owners(t, instance, true);
	for (struct figure *f = t->figures, *after; f != NULL; f = after) {
		bool of_before = f->saved.instance != instance;
		bool changed = f->owner != f->next || of_before;
		int rc = 0;

		after = f->hh.next;
		f->owner = f->next;
		f->next = NULL;
		if (of_before)
			f->saved = (struct slots_figure){
				.kind = f->saved.kind, .id = f->saved.id, .instance = instance};
		if (of_before && f->owner == NULL) {
			rc = slots_forget_figure(t->slots, &f->saved);
			drop_figure(t, f);
		} else if (changed) {
			rc = save_figure(t, f);
		}
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* Names, and which have gone. */
static int note_changes(struct tally *t, uint64_t now_s)
{
	for (struct series *s = t->series; s != NULL; s = s->hh.next) {
		bool gone = s->object == NULL;
		bool renamed = !gone && strcmp(s->name, s->object->name) != 0;
		int rc;

		if (gone == s->saved.gone && !renamed)
			continue;
		if (renamed) {
			free(s->name);
			s->name = check(strdup(s->object->name));
			s->saved.name = s->name;
		}
		s->saved.gone = gone;
		s->saved.seen_s = now_s;
		rc = slots_save(t->slots, &s->saved);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int compare_age(const void *a, const void *b)
{
	const struct series *x = *(struct series *const *)a, *y = *(struct series *const *)b;

	return (x->saved.seen_s > y->saved.seen_s) - (x->saved.seen_s < y->saved.seen_s);
}

/* Those that went too long ago; and while there are too many, those that went longest ago. No
 * figure counts for one that has gone. */
static int forget(struct tally *t, uint64_t now_s)
{
	size_t count = HASH_COUNT(t->series), n = 0;
	struct series **gone = check(calloc(count + 1, sizeof(struct series *)));
	int rc = 0;

	for (struct series *s = t->series; s != NULL; s = s->hh.next) {
		s->object = NULL;
		if (s->saved.gone)
			gone[n++] = s;
	}
	qsort(gone, n, sizeof(gone[0]), compare_age);
	for (size_t i = 0; rc == 0 && i < n; i++) {
		if (count <= t->max_series && gone[i]->saved.seen_s + GONE_KEPT_S >= now_s)
			continue;
		rc = slots_forget(t->slots, gone[i]->saved.row);
		drop(t, gone[i]);
		count--;
	}
	free(gone);
	return rc;
}

int tally_assign(struct tally *t, const struct tally_source *source,
	const struct tally_object *objects, size_t n, uint64_t now_s)
{
	int rc = begin(t);

	if (rc < 0)
		return rc;
	rc = name_objects(t, objects, n, now_s);
	if (rc == 0)
		name_owners(t, source->instance, false);
	if (rc == 0)
		rc = book_last(t, source, now_s);
	if (rc == 0)
		rc = hand_over(t, source->instance);
	if (rc == 0)
		rc = note_changes(t, now_s);
	if (rc == 0)
		rc = forget(t, now_s);
	return end(t, rc);
}

/* Of that name now; else one that had it. */
static const struct series *find_name(
	const struct tally *t, enum traffic_kind kind, const char *name)
{
	const struct series *found = NULL;

	for (const struct series *s = t->series; s != NULL; s = s->hh.next) {
		if (s->saved.kind != kind || strcmp(s->name, name) != 0)
			continue;
		if (!s->saved.gone)
			return s;
		if (found == NULL || found->saved.seen_s < s->saved.seen_s)
			found = s;
	}
	return found;
}

struct filling {
	struct traffic_point *points;
	int n;
};

static void fill_point(const struct traffic_point *point, void *arg)
{
	const struct filling *filling = arg;

	for (int i = 0; i < filling->n; i++) {
		if (filling->points[i].time_s == point->time_s)
			filling->points[i].counts = point->counts;
	}
}

int tally_points(struct tally *t, enum traffic_kind kind, const char *name,
	enum traffic_range range, uint64_t now_s, struct traffic_point points[TRAFFIC_POINTS_MAX])
{
	uint64_t from = slots_from(range, now_s), last = slots_start(range, now_s);
	struct filling filling = {.points = points};
	const struct series *series;
	int rc = load(t);

	if (rc < 0)
		return rc;
	series = find_name(t, kind, name);
	if (series == NULL)
		return -ENOENT;
	for (uint64_t slot = from; slot <= last; slot = slots_next(range, slot)) {
		assert(filling.n < TRAFFIC_POINTS_MAX);
		points[filling.n++] = (struct traffic_point){.time_s = slot};
	}
	rc = slots_read(t->slots, series->saved.row, range, from, fill_point, &filling);
	return rc < 0 ? rc : filling.n;
}

int tally_sums(struct tally *t, enum traffic_range range, uint64_t now_s,
	void (*each)(const struct traffic_sum *sum, void *arg), void *arg)
{
	uint64_t last = slots_start(range, now_s);

	return slots_sums(t->slots, range, range == TRAFFIC_MONTH ? last : slots_from(range, now_s),
		last, each, arg);
}
