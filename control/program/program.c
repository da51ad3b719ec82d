/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * States: without a connection everything is only remembered. With one, `sent` is what the data
 * plane has (NULL until the first commit of this connection or a resume) and at most one
 * transaction is under way. After it either `sent` moves on, or, if the data plane refused it, a
 * configuration on trial is taken back; a refusal without one is retried in full after a pause.
 */
#include "control/program/program_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "control/conf/conf.h"

LOG_TYPE(program);

enum {
	RETRY_S = 2,
	RETRY_MAX_S = 16, /* each one takes the devices from the kernel for a moment */
	FLUSH_S = 1,      /* marks reach the store at most this late */
};

static void *check(void *memory)
{
	if (memory == NULL)
		abort();
	return memory;
}

static void sync_now(struct program *p);
static void next_waiting(struct program *p);

/* The configuration on trial is in force, or will be. */
static void finish_trial(struct program *p, const struct program_result *result)
{
	program_done *done = p->done;
	void *arg = p->done_arg;

	if (result->error == 0 || result->error == -EINPROGRESS) {
		added_save(p->store, p->current->model);
		selected_save(p->store, p->current->model);
	}
	snapshot_put(&p->previous);
	p->done = NULL;
	if (done != NULL)
		done(result, arg);
}

static void configure_kernel(struct program *p)
{
	int rc;

	if (p->kernel.configure == NULL)
		return;
	rc = p->kernel.configure(p->kernel.context, p->current->compiled);
	if (rc < 0)
		log_error(program, "kernel: %s", strerror(-rc));
}

/* What the kernel has to say to it is no reason to send again. */
static void tell_kernel(struct program *p, enum host_dataplane state)
{
	if (p->kernel.set_dataplane == NULL)
		return;
	p->telling = true;
	p->kernel.set_dataplane(p->kernel.context, state);
	p->telling = false;
}

static void retry_later(struct program *p)
{
	evtimer_add(p->retry, &(struct timeval){.tv_sec = p->retry_s});
	p->retry_s = 2 * p->retry_s < RETRY_MAX_S ? 2 * p->retry_s : RETRY_MAX_S;
}

/* Back to the configuration before the one on trial. */
static void take_back(struct program *p, const struct api_reply *reply, const char *what)
{
	struct program_result result = {.error = -EPROTO};
	char text[256];

	snprintf(text, sizeof(text), "the data plane refused %s: %.96s (code %d, detail %u)", what,
		reply->text, reply->code, reply->detail);
	result.text = text;
	result.generation = link_generation(p->link);
	log_error(program, "%s", text);
	if (p->previous != NULL) {
		snapshot_put(&p->current);
		p->current = snapshot_get(p->previous);
		names_update(p->resolve, p->current->model);
		configure_kernel(p);
	}
	finish_trial(p, &result);
}

static void remember_commit(struct program *p, const struct sending *s)
{
	struct store_commit commit = {.instance = s->instance, .generation = s->generation};

	memcpy(commit.digest, s->state->digest, sizeof(commit.digest));
	if (store_commit_set(p->store, &commit) < 0)
		log_warn(program, "commit %llu is not remembered: the next start sends everything",
			(unsigned long long)s->generation);
}

static void accept_sending(struct program *p, struct sending *s)
{
	struct program_result result = {
		.changed = true,
		.sets = s->steps.sets,
		.deletions = s->steps.deletions,
		.generation = s->generation,
		.text = "",
	};

	state_destroy(&p->sent);
	p->sent = s->state;
	s->state = NULL;
	p->last_generation = s->generation;
	p->retry_s = RETRY_S;
	tell_kernel(p, HOST_DATAPLANE_THERE);
	if (p->previous == NULL && p->done == NULL)
		return;
	store_ids_sweep(p->store); /* of objects that the last configuration took away */
	finish_trial(p, &result);
}

static void sending_done(const struct api_reply *reply, void *arg)
{
	struct sending *s = arg;
	struct program *p = s->program;
	bool again = p->stale;
	char what[64];

	p->sending = NULL;
	p->stale = false;
	if (reply->code == 0) {
		log_info(program, "generation %llu: %zu set, %zu deleted%s",
			(unsigned long long)s->generation, s->steps.sets, s->steps.deletions,
			s->full ? " (full)" : "");
		remember_commit(p, s);
		accept_sending(p, s);
	} else if (reply->code == -ECONNRESET) {
		again = false; /* connected() decides */
	} else {
		snprintf(what, sizeof(what), "%s",
			reply->index < s->steps.n
				? api_message_name(s->steps.messages[reply->index]->type)
				: "the transaction");
		take_back(p, reply, what);
		/* Whatever it has now: the next attempt says everything. */
		state_destroy(&p->sent);
		if (s->full)
			tell_kernel(p, HOST_DATAPLANE_AWAY); /* as far as this process knows */
		retry_later(p);
		again = false;
	}
	sending_destroy(&s);
	if (again)
		sync_now(p);
	next_waiting(p);
}

/* Brings the data plane to what is wanted now; does nothing while that is under way. */
static void sync_now(struct program *p)
{
	struct program_result nothing = {.text = ""};
	struct state *state;
	int rc;

	if (p->current == NULL || p->telling || !link_is_connected(p->link))
		return;
	if (p->sending != NULL) {
		p->stale = true;
		return;
	}
	if (p->sent == NULL)
		tell_kernel(p, HOST_DATAPLANE_COMING);
	state = state_make(p);
	rc = sending_start(p, p->sent, state, sending_done, &p->sending);
	if (rc == 0)
		return;
	nothing.generation = link_generation(p->link);
	if (rc == -EALREADY) {
		/* Equal, but it may point into another configuration: keep the newer one. */
		state_destroy(&p->sent);
		p->sent = state;
	} else {
		state_destroy(&state);
		log_error(program, "sending: %s", strerror(-rc));
		retry_later(p);
		nothing.error = rc;
		nothing.text = strerror(-rc);
	}
	if (p->previous != NULL || p->done != NULL)
		finish_trial(p, &nothing);
}

static void retry(evutil_socket_t fd, short what, void *arg)
{
	sync_now(arg);
}

static void on_resolved(void *arg)
{
	sync_now(arg);
}

static void on_connected(uint64_t instance, uint64_t generation, void *arg)
{
	struct program *p = arg;
	struct store_commit commit;
	struct state *state;

	p->reason[0] = '\0';
	log_info(program, "data plane connected, generation %llu", (unsigned long long)generation);
	state_destroy(&p->sent);
	if (p->current == NULL)
		return;
	tell_kernel(p, HOST_DATAPLANE_COMING);
	if (generation != 0 && store_commit_get(p->store, &commit) && commit.instance == instance &&
		commit.generation == generation) {
		state = state_make(p);
		if (memcmp(state->digest, commit.digest, sizeof(commit.digest)) == 0) {
			log_info(program, "resumed: nothing to send");
			p->sent = state;
			tell_kernel(p, HOST_DATAPLANE_THERE);
			return;
		}
		state_destroy(&state);
	}
	sync_now(p);
}

static void on_ending(void *arg)
{
	struct program *p = arg;

	if (p->on_loss != NULL)
		p->on_loss(p->on_loss_arg);
}

static void on_disconnected(const char *reason, void *arg)
{
	struct program *p = arg;

	snprintf(p->reason, sizeof(p->reason), "%s", reason);
	state_destroy(&p->sent);
	tell_kernel(p, HOST_DATAPLANE_AWAY);
	if (p->previous != NULL || p->done != NULL)
		finish_trial(p, &(struct program_result){
					.error = -EINPROGRESS,
					.text = "no data plane: it is told when it is there",
				});
}

static void note_peer(struct program *p, const struct api_event_peer *event)
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

static void flush_marks(struct program *p)
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
	flush_marks(arg);
}

static void on_event(const struct api_header *message, void *arg)
{
	struct program *p = arg;

	switch (message->type) {
	case API_EVENT_PEER:
		note_peer(p, (const struct api_event_peer *)message);
		break;
	case API_EVENT_NEIGH: {
		const struct api_event_neigh *event = (const struct api_event_neigh *)message;

		if (p->kernel.want_neighbour != NULL)
			p->kernel.want_neighbour(p->kernel.context, event->port, &event->addr);
		break;
	}
	case API_EVENT_BLOCK:
		if (p->block != NULL)
			p->block((const struct api_event_block *)message, p->block_arg);
		break;
	case API_EVENT_PORT: {
		const struct api_event_port *event = (const struct api_event_port *)message;

		if (event->port < API_PORT_MAX) {
			p->ports[event->port] = *event;
			p->port_known[event->port] = true;
		}
		break;
	}
	default:
		break;
	}
}

static void on_resync(uint64_t lost, void *arg)
{
	log_warn(program, "%llu events of the data plane were lost", (unsigned long long)lost);
}

struct program *program_create(const struct program_options *options, int *error)
{
	struct program *p = check(calloc(1, sizeof(*p)));
	struct link_options link = {
		.base = options->base,
		.path = options->socket_path,
		.arg = p,
		.connected = on_connected,
		.ending = on_ending,
		.disconnected = on_disconnected,
		.event = on_event,
		.resync = on_resync,
	};

	p->base = options->base;
	p->store = options->store;
	p->state_dir = check(strdup(options->state_dir));
	p->kernel = options->kernel;
	p->block = options->block;
	p->block_arg = options->block_arg;
	p->mirrored = options->mirrored;
	p->retry_s = RETRY_S;
	snprintf(p->reason, sizeof(p->reason), "not connected yet");
	p->retry = check(evtimer_new(p->base, retry, p));
	p->flush = check(evtimer_new(p->base, on_flush, p));
	p->resolve = check(resolve_create(p->base, on_resolved, p));
	down_load(p);
	p->link = link_create(&link, error);
	if (p->link == NULL)
		program_destroy(&p);
	return p;
}

void program_destroy(struct program **program)
{
	struct program *p = *program;
	struct peer_marks *marks, *next;
	struct waiter *waiter;

	if (p == NULL)
		return;
	flush_marks(p);
	link_destroy(&p->link);
	resolve_destroy(&p->resolve);
	sending_destroy(&p->sending);
	state_destroy(&p->sent);
	snapshot_put(&p->previous);
	snapshot_put(&p->current);
	mirror_clear(&p->mirror);
	HASH_ITER (hh, p->marks, marks, next) {
		HASH_DEL(p->marks, marks);
		free(marks);
	}
	while ((waiter = p->waiting) != NULL) {
		p->waiting = waiter->next;
		model_destroy(&waiter->model);
		free(waiter->selection);
		free(waiter);
	}
	event_free(p->retry);
	event_free(p->flush);
	free(p->down);
	free(p->state_dir);
	free(p);
	*program = NULL;
}

static struct compiled *compile(
	struct program *p, struct store *store, const struct model *model, char *text, size_t size)
{
	struct compile_input input = {
		.model = model,
		.store = store,
		.state_dir = p->state_dir,
		.underlay = !p->mirrored,
		.down = p->down,
		.n_down = p->n_down,
	};
	struct compiled *compiled = NULL;
	const char *what = model->wireguard.private_key_file;
	struct key private_key;
	int error;

	/* A preview makes no key: there may be none yet. */
	if (store == p->store)
		error = conf_key_file_obtain(p->state_dir, what, &private_key);
	else
		error = conf_key_file_read(p->state_dir, what, true, &private_key);
	if (error == -ENOENT && store != p->store) {
		error = 0;
		key_wipe(&private_key);
	} else {
		input.private_key = &private_key;
	}
	if (error == 0) {
		store_ids_begin(store);
		compiled = compile_model(&input, &error, &what);
	}
	key_wipe(&private_key);
	if (compiled == NULL)
		snprintf(text, size, "%s: %s", what, strerror(-error));
	else if (store == p->store && store_save(store) < 0)
		log_warn(program, "ids are not written: a restart may send more than needed");
	return compiled;
}

/* The file's objects and what is in no file; NULL and *error if an edit will not have it. Takes
 * the waiter's model over. */
static struct model *next_model(
	struct program *p, struct waiter *w, int *error, char *text, size_t size)
{
	const struct model *current = p->current == NULL ? NULL : p->current->model;
	struct model *next;

	*error = 0;
	if (w->model != NULL) {
		next = model_extend(w->model);
		model_destroy(&w->model); /* the extension has it */
		added_carry(p->store, current, next);
		selected_carry(p->store, current, next);
		return next;
	}
	if (p->current == NULL) {
		*error = -EAGAIN;
		return NULL;
	}
	next = model_extend(p->current->model);
	if (w->selection != NULL)
		added_carry(p->store, current, next);
	else
		*error = w->edit(p->current->compiled, next, w->arg);
	selected_carry(p->store, current, next);
	if (w->selection != NULL)
		*error = selected_change(p->current->compiled, next, w->selection, text, size);
	if (*error < 0)
		model_destroy(&next);
	return next;
}

struct program_preview *program_preview(
	struct program *p, struct model *model, char *text, size_t size)
{
	const struct desired *now = program_desired(p);
	struct program_preview *preview = check(calloc(1, sizeof(*preview)));
	struct snapshot *snapshot = check(calloc(1, sizeof(*snapshot)));
	struct compile_steps steps;
	struct desired kernel;
	struct store *ids;
	int error;

	snapshot->refs = 1;
	snapshot->model = model_extend(model);
	model_destroy(&model);
	added_carry(p->store, p->current != NULL ? p->current->model : NULL, snapshot->model);
	selected_carry(p->store, p->current != NULL ? p->current->model : NULL, snapshot->model);
	preview->snapshot = snapshot;
	preview->pool = pool_create();
	ids = store_copy_ids(p->store, &error);
	if (ids == NULL)
		snprintf(text, size, "the store: %s", strerror(-error));
	else
		snapshot->compiled = compile(p, ids, snapshot->model, text, size);
	store_close(&ids);
	preview->compiled = snapshot->compiled;
	if (preview->compiled == NULL) {
		program_preview_destroy(&preview);
		return NULL;
	}
	kernel = mirror_list(&p->mirror, preview->pool);
	preview->desired = desired_merge(preview->pool, &preview->compiled->desired, &kernel);
	steps = desired_diff(preview->pool, now, &preview->desired, NULL, NULL);
	preview->sets = steps.sets;
	preview->deletions = steps.deletions;
	return preview;
}

void program_preview_destroy(struct program_preview **preview)
{
	if (*preview == NULL)
		return;
	snapshot_put(&(*preview)->snapshot);
	pool_destroy(&(*preview)->pool);
	free(*preview);
	*preview = NULL;
}

static void try_next(struct program *p, struct waiter *w)
{
	char text[320] = "";
	struct program_result result = {.text = text};
	struct snapshot *snapshot;
	struct model *model = next_model(p, w, &result.error, text, sizeof(text));
	program_done *done = w->done;
	void *arg = w->arg;

	if (model == NULL) {
		result.generation = link_generation(p->link);
		done(&result, arg);
		return;
	}
	result.error = -EINVAL;
	snapshot = check(calloc(1, sizeof(*snapshot)));
	snapshot->refs = 1;
	snapshot->model = model;
	snapshot->compiled = compile(p, p->store, model, text, sizeof(text));
	if (snapshot->compiled == NULL) {
		snapshot_put(&snapshot);
		log_error(program, "%s", text);
		if (done != NULL)
			done(&result, arg);
		return;
	}
	p->previous = p->current;
	p->current = snapshot;
	names_update(p->resolve, model);
	p->done = done;
	p->done_arg = arg;
	configure_kernel(p);
	if (link_is_connected(p->link)) {
		sync_now(p);
		return;
	}
	finish_trial(p, &(struct program_result){
				.error = -EINPROGRESS,
				.changed = true,
				.text = "no data plane: it is told when it is there",
			});
}

static void next_waiting(struct program *p)
{
	struct waiter *waiter;

	/* One that came to nothing must not keep the next one waiting. */
	while ((waiter = p->waiting) != NULL && p->sending == NULL && p->done == NULL) {
		p->waiting = waiter->next;
		try_next(p, waiter);
		free(waiter->selection);
		free(waiter);
	}
}

/* In order of coming; what is under way ends first. */
static void submit(struct program *p, const struct waiter *what)
{
	struct waiter *waiter, **end = &p->waiting;

	if (p->sending == NULL && p->done == NULL && p->waiting == NULL) {
		waiter = check(malloc(sizeof(*waiter)));
		*waiter = *what;
		try_next(p, waiter);
		free(waiter->selection);
		free(waiter);
		return;
	}
	waiter = check(calloc(1, sizeof(*waiter)));
	*waiter = *what;
	while (*end != NULL)
		end = &(*end)->next;
	*end = waiter;
}

void program_apply(struct program *p, struct model *model, program_done *done, void *arg)
{
	submit(p, &(struct waiter){.model = model, .done = done, .arg = arg});
}

void program_edit_peers(struct program *p, program_edit *edit, program_done *done, void *arg)
{
	submit(p, &(struct waiter){.edit = edit, .done = done, .arg = arg});
}

void program_select(
	struct program *p, const char *peer, const char *exit_node, program_done *done, void *arg)
{
	struct selection *selection = check(calloc(1, sizeof(*selection)));

	snprintf(selection->peer, sizeof(selection->peer), "%s", peer);
	if (exit_node != NULL)
		snprintf(selection->exit_node, sizeof(selection->exit_node), "%s", exit_node);
	submit(p, &(struct waiter){.selection = selection, .done = done, .arg = arg});
}

bool program_is_refused(const struct compiled *compiled, const struct model_peer *peer,
	const struct model_exit_node *exit_node, char *text, size_t size)
{
	return selected_refuse(compiled, peer, exit_node, text, size) < 0;
}

const struct compiled *program_compiled(const struct program *program)
{
	return program->current == NULL ? NULL : program->current->compiled;
}

const struct desired *program_desired(const struct program *program)
{
	if (program->sent != NULL)
		return &program->sent->desired;
	if (program->sending != NULL && program->sending->state != NULL)
		return &program->sending->state->desired;
	return program->current == NULL ? NULL : &program->current->compiled->desired;
}

struct link *program_link(const struct program *program)
{
	return program->link;
}

void program_watch_loss(struct program *program, void (*fn)(void *arg), void *arg)
{
	program->on_loss = fn;
	program->on_loss_arg = arg;
}

const char *program_link_reason(const struct program *program)
{
	return program->reason;
}

void program_kernel_set(struct program *program, uint16_t type, const void *message)
{
	mirror_set(&program->mirror, type, message);
}

void program_kernel_del(struct program *program, uint16_t set_type, const void *deletion)
{
	mirror_del(&program->mirror, set_type, deletion);
}

void program_kernel_settled(struct program *program)
{
	program->settled = true;
	sync_now(program);
}

bool program_peer_marks(const struct program *program, uint32_t peer, struct store_marks *marks)
{
	struct peer_marks *found;

	HASH_FIND(hh, program->marks, &peer, sizeof(peer), found);
	if (found != NULL)
		*marks = found->marks;
	return found != NULL;
}

bool program_peer_name(const struct program *program, const struct model_peer *peer,
	struct endpoint *endpoint, const char **error)
{
	if (program->current == NULL)
		return false;
	return names_endpoint(program->resolve, program->current->model, peer, endpoint, error);
}

enum host_holder program_device_holder(const struct program *program, uint16_t port)
{
	return program->kernel.device_holder == NULL
		       ? HOST_HELD_BY_NOBODY
		       : program->kernel.device_holder(program->kernel.context, port);
}

bool program_port_state(const struct program *program, uint16_t port, struct api_event_port *state)
{
	if (port >= API_PORT_MAX || !program->port_known[port])
		return false;
	*state = program->ports[port];
	return true;
}
