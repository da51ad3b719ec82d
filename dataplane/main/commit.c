/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/main/commit.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/api/table.h"
#include "common/base/log.h"
#include "dataplane/main/handler.h"
#include "dataplane/main/txn.h"

LOG_TYPE(commit);

enum {
	TOLD_FROM = 1000, /* messages of a transaction that is worth a line in the log */
	NS_PER_MS = 1000000,
};

enum phase {
	PHASE_PREPARE,
	PHASE_BEGIN,
	PHASE_APPLY,
	PHASE_END,
	PHASE_GRACE,
};

struct commit {
	struct commit_options options;
	enum commit_state state;
	enum phase phase;
	enum handler_pass pass;
	struct txn *txn;
	struct txn_cursor cursor;
	unsigned group;     /* next one of PREPARE, BEGIN; groups left in END */
	unsigned active;    /* copy that workers read */
	uint64_t announced; /* object messages, by TXN_BEGIN */
	uint64_t received;  /* object messages, refused ones included */
	uint64_t applied;   /* object messages, in both passes */
	uint64_t generation;
	uint64_t next_generation;
	uint64_t begun_ns;   /* TXN_BEGIN came */
	uint64_t started_ns; /* TXN_COMMIT came */
	struct api_reply result;
};

struct commit *commit_create(const struct commit_options *options)
{
	struct commit *commit = calloc(1, sizeof(*commit));

	if (commit == NULL)
		return NULL;
	commit->options = *options;
	commit->txn = txn_create(options->bound);
	if (commit->txn == NULL) {
		free(commit);
		return NULL;
	}
	return commit;
}

void commit_destroy(struct commit **commit)
{
	if (*commit == NULL)
		return;
	txn_destroy(&(*commit)->txn);
	free(*commit);
	*commit = NULL;
}

enum commit_state commit_state(const struct commit *commit)
{
	return commit->state;
}

uint64_t commit_generation(const struct commit *commit)
{
	return commit->generation;
}

unsigned commit_active(const struct commit *commit)
{
	return commit->active;
}

/* The first failure is the one that is told; what was staged goes at once. */
__attribute__((format(printf, 5, 6))) static void fail(
	struct commit *commit, int code, uint64_t index, uint32_t detail, const char *format, ...)
{
	va_list args;

	if (commit->result.code != API_OK)
		return;
	commit->result.code = code;
	commit->result.index = index;
	commit->result.detail = detail;
	va_start(args, format);
	/* The analyzer inlines this and loses the line above. */
	/* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized) */
	vsnprintf(commit->result.text, sizeof(commit->result.text), format, args);
	va_end(args);
	txn_reset(commit->txn, false);
}

void commit_begin(struct commit *commit, const struct api_txn_begin *begin)
{
	assert(commit->state == COMMIT_IDLE);
	commit->state = COMMIT_STAGING;
	commit->begun_ns = commit->options.clock_ns(commit->options.arg);
	commit->announced = begin->count;
	commit->received = 0;
	commit->result = (struct api_reply){0};
	txn_reset(commit->txn, begin->mode == API_TXN_FULL);
	if (begin->mode != API_TXN_FULL && begin->mode != API_TXN_INCREMENT)
		fail(commit, API_E_VALUE, 0, offsetof(struct api_txn_begin, mode),
			"transaction mode %u is unknown", begin->mode);
	else if (begin->mode == API_TXN_INCREMENT && begin->base != commit->generation)
		fail(commit, API_E_STATE, 0, offsetof(struct api_txn_begin, base),
			"based on generation %" PRIu64 ", here is %" PRIu64, begin->base,
			commit->generation);
	else if (!txn_could_hold(commit->txn, begin->count))
		fail(commit, API_E_LIMIT, 0, offsetof(struct api_txn_begin, count),
			"%" PRIu64 " messages are more than a transaction may hold", begin->count);
}

void commit_refuse(struct commit *commit, int code, uint32_t detail, const char *text)
{
	fail(commit, code, commit->received++, detail, "%s", text);
}

void commit_stage(struct commit *commit, const void *message)
{
	const struct api_header *header = message;
	const struct handler *handler;
	uint32_t detail = 0;
	unsigned group;
	int rc;

	assert(commit->state == COMMIT_STAGING);
	if (commit->result.code != API_OK) {
		commit->received++;
		return;
	}
	handler = handler_find(header->type, &group);
	if (handler == NULL) {
		commit_refuse(commit, API_E_UNKNOWN, 0, "no feature takes this message");
		return;
	}
	rc = handler->validate == NULL ? API_OK : handler->validate(message, &detail);
	if (rc != API_OK) {
		fail(commit, rc, commit->received++, detail, "%s: refused at offset %u",
			handler->name, detail);
		return;
	}
	rc = txn_stage(commit->txn, message, handler, group);
	if (rc != 0) {
		commit_refuse(commit, rc == -ENOSPC ? (int)API_E_LIMIT : rc, 0,
			rc == -ENOSPC ? "the transaction exceeds its bound" : "out of memory");
		return;
	}
	commit->received++;
}

void commit_start(struct commit *commit, const struct api_txn_commit *message)
{
	assert(commit->state == COMMIT_STAGING);
	if (message->generation == 0)
		fail(commit, API_E_VALUE, commit->received,
			offsetof(struct api_txn_commit, generation), "generation 0 means none");
	if (commit->received != commit->announced)
		fail(commit, API_E_STATE, commit->received, 0,
			"%" PRIu64 " messages announced, %" PRIu64 " sent", commit->announced,
			commit->received);
	commit->started_ns = commit->options.clock_ns(commit->options.arg);
	commit->next_generation = message->generation;
	commit->state = commit->result.code == API_OK ? COMMIT_RUNNING : COMMIT_DONE;
	commit->phase = PHASE_PREPARE;
	commit->pass = HANDLER_SHADOW;
	commit->applied = 0;
	commit->group = 0;
}

void commit_discard(struct commit *commit)
{
	if (commit->state != COMMIT_STAGING)
		return;
	txn_reset(commit->txn, false);
	commit->state = COMMIT_IDLE;
}

/* Copy that this pass works on: none of the workers reads it. */
static unsigned idle_copy(const struct commit *commit)
{
	return 1 - commit->active;
}

static void undo_prepare(struct commit *commit)
{
	while (commit->group > 0) {
		const struct handler_group *group = handler_group_at(--commit->group);

		if (group->abort != NULL)
			group->abort();
	}
}

/* False: the feature wants to go on in the next slice. */
static bool step_prepare(struct commit *commit)
{
	const struct handler_group *group;
	char text[sizeof(commit->result.text)] = "";
	uint64_t index = 0;
	uint32_t detail = 0;
	int rc;

	if (commit->group == handler_group_count()) {
		commit->group = 0;
		commit->phase = PHASE_BEGIN;
		return true;
	}
	group = handler_group_at(commit->group);
	rc = group->prepare == NULL ? 0 : group->prepare(commit->txn, &index, &detail, text);
	if (rc == -EAGAIN)
		return false;
	if (rc == 0) {
		commit->group++;
		return true;
	}
	undo_prepare(commit);
	text[sizeof(text) - 1] = '\0';
	fail(commit, rc, index, detail, "%s", text[0] == '\0' ? group->feature : text);
	commit->state = COMMIT_DONE;
	return true;
}

static void step_begin(struct commit *commit)
{
	const struct handler_group *group;

	if (commit->group == handler_group_count()) {
		commit->cursor = (struct txn_cursor){0};
		commit->phase = PHASE_APPLY;
		return;
	}
	group = handler_group_at(commit->group++);
	if (group->begin != NULL)
		group->begin(idle_copy(commit), commit->pass, txn_is_full(commit->txn));
}

static void step_apply(struct commit *commit)
{
	const void *message = txn_next(commit->txn, &commit->cursor);

	if (message == NULL) {
		commit->group = handler_group_count();
		commit->phase = PHASE_END;
		return;
	}
	commit->cursor.handler->apply(message, idle_copy(commit), commit->pass);
	commit->applied++;
}

static void publish(struct commit *commit)
{
	commit->active = idle_copy(commit);
	if (commit->options.flip != NULL)
		commit->options.flip(commit->active, commit->options.arg);
	if (commit->options.grace_start != NULL)
		commit->options.grace_start(commit->options.arg);
	commit->phase = PHASE_GRACE;
}

static void tell(const struct commit *commit)
{
	uint64_t now_ns = commit->options.clock_ns(commit->options.arg);

	if (commit->received >= TOLD_FROM)
		log_info(commit,
			"generation %" PRIu64 ": %" PRIu64 " messages, received in %" PRIu64
			" ms, applied in %" PRIu64 " ms",
			commit->next_generation, commit->received,
			(commit->started_ns - commit->begun_ns) / NS_PER_MS,
			(now_ns - commit->started_ns) / NS_PER_MS);
}

static void complete(struct commit *commit)
{
	tell(commit);
	txn_reset(commit->txn, false);
	commit->generation = commit->next_generation;
	if (commit->options.committed != NULL)
		commit->options.committed(commit->generation, commit->options.arg);
	commit->state = COMMIT_DONE;
}

static void step_end(struct commit *commit)
{
	const struct handler_group *group;

	if (commit->group == 0) {
		if (commit->pass == HANDLER_SHADOW)
			publish(commit);
		else
			complete(commit);
		return;
	}
	group = handler_group_at(--commit->group);
	if (group->end != NULL)
		group->end(idle_copy(commit), commit->pass, txn_is_full(commit->txn));
}

/* False: workers may still read the old copy. */
static bool step_grace(struct commit *commit)
{
	if (commit->options.grace_done != NULL && !commit->options.grace_done(commit->options.arg))
		return false;
	commit->pass = HANDLER_CATCH_UP;
	commit->group = 0;
	commit->phase = PHASE_BEGIN;
	return true;
}

bool commit_run(struct commit *commit, uint64_t deadline_ns)
{
	while (commit->state == COMMIT_RUNNING) {
		switch (commit->phase) {
		case PHASE_PREPARE:
			if (!step_prepare(commit))
				return true;
			break;
		case PHASE_BEGIN:
			step_begin(commit);
			break;
		case PHASE_APPLY:
			step_apply(commit);
			break;
		case PHASE_END:
			step_end(commit);
			break;
		case PHASE_GRACE:
			if (!step_grace(commit))
				return true;
			break;
		}
		if (commit->options.clock_ns(commit->options.arg) >= deadline_ns)
			break;
	}
	return commit->state == COMMIT_RUNNING;
}

uint32_t commit_permille(const struct commit *commit)
{
	uint64_t total = 2 * commit->received;

	/* Never 0 while it runs. */
	return commit->state != COMMIT_RUNNING || total == 0
		       ? 0
		       : (uint32_t)(1 + commit->applied * 999 / total);
}

void commit_finish(struct commit *commit, struct api_reply *reply)
{
	assert(commit->state == COMMIT_DONE);
	*reply = commit->result;
	reply->header = (struct api_header){.type = API_REPLY, .length = sizeof(*reply)};
	commit->state = COMMIT_IDLE;
}

bool commit_trim(struct commit *commit)
{
	return txn_trim(commit->txn);
}
