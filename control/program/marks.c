/* SPDX-License-Identifier: BSD-3-Clause */
/* What was last heard of each peer, and its way to the store: a restart goes on from there. */
#include "control/program/program_priv.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"

LOG_TYPE(program);

enum { FLUSH_S = 1 }; /* marks reach the store at most this late */

void marks_note(struct program *p, const struct api_event_peer *event)
{
	struct peer_marks *marks;

	HASH_FIND(hh, p->marks, &event->peer, sizeof(event->peer), marks);
	if (marks == NULL) {
		marks = check(calloc(1, sizeof(*marks)));
		marks->peer = event->peer;
		HASH_ADD(hh, p->marks, peer, sizeof(marks->peer), marks);
	}
	marks->marks.endpoint = event->endpoint;
	marks->marks.last_handshake_s = event->last_handshake_s;
	memcpy(marks->marks.tai64n_received, event->tai64n_received, API_TAI64N_SIZE);
	memcpy(marks->marks.tai64n_sent, event->tai64n_sent, API_TAI64N_SIZE);
	marks->dirty = true;
	if (!evtimer_pending(p->flush, NULL))
		evtimer_add(p->flush, &(struct timeval){.tv_sec = FLUSH_S});
}

static void marks_flush(struct program *p)
{
	const struct compiled *c = program_compiled(p);
	char text[KEY_TEXT_MAX];

	if (c == NULL || p->marks == NULL)
		return;
	store_batch_begin(p->store);
	for (size_t i = 0; i < c->model->tables[MODEL_PEER].n; i++) {
		const struct model_peer *peer = model_peer_at(c->model, i);
		struct peer_marks *marks;

		HASH_FIND(hh, p->marks, &c->peer_ids[i], sizeof(c->peer_ids[i]), marks);
		if (marks == NULL || !marks->dirty)
			continue;
		marks->dirty = store_marks_set(p->store, key_format(&peer->public_key, text),
				       &marks->marks) < 0;
	}
	if (store_batch_end(p->store) < 0)
		log_warn(program, "marks of peers are not written");
}

static void on_flush(evutil_socket_t fd, short what, void *arg)
{
	marks_flush(arg);
}

void marks_create(struct program *p)
{
	p->flush = check(evtimer_new(p->base, on_flush, p));
}

void marks_destroy(struct program *p)
{
	struct peer_marks *marks, *next;

	marks_flush(p);
	HASH_ITER (hh, p->marks, marks, next) {
		HASH_DEL(p->marks, marks);
		free(marks);
	}
	event_free(p->flush);
}

bool program_peer_marks(const struct program *program, uint32_t peer, struct store_marks *marks)
{
	struct peer_marks *found;

	HASH_FIND(hh, program->marks, &peer, sizeof(peer), found);
	if (found != NULL)
		*marks = found->marks;
	return found != NULL;
}
