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

LOG_TYPE(program);

enum {
	RETRY_S = 2,
	RETRY_MAX_S = 16, /* each one takes the devices from the kernel for a moment */
};

void program_finish(struct program *p, const struct program_result *result)
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

void program_configure_kernel(struct program *p)
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
		program_configure_kernel(p);
	}
	program_finish(p, &result);
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
	program_finish(p, &result);
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
		program_sync(p);
	waiting_next(p);
}

void program_sync(struct program *p)
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
		program_finish(p, &nothing);
}

static void retry(evutil_socket_t fd, short what, void *arg)
{
	program_sync(arg);
}

static void on_resolved(void *arg)
{
	program_sync(arg);
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
	program_sync(p);
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
		program_finish(p, &(struct program_result){
					  .error = -EINPROGRESS,
					  .text = "no data plane: it is told when it is there",
				  });
}

static void on_event(const struct api_header *message, void *arg)
{
	struct program *p = arg;

	switch (message->type) {
	case API_EVENT_PEER:
		marks_note(p, (const struct api_event_peer *)message);
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
	marks_create(p);
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

	if (p == NULL)
		return;
	marks_destroy(p);
	link_destroy(&p->link);
	resolve_destroy(&p->resolve);
	sending_destroy(&p->sending);
	state_destroy(&p->sent);
	snapshot_put(&p->previous);
	snapshot_put(&p->current);
	mirror_clear(&p->mirror);
	waiting_clear(p);
	event_free(p->retry);
	free(p->down);
	free(p->state_dir);
	free(p);
	*program = NULL;
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
	program_sync(program);
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
