/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/bench/direct.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/api/api.h"
#include "dataplane/bench/rig.h"
#include "dataplane/main/handler.h"
#include "dataplane/main/reader.h"
#include "dataplane/main/txn.h"
#include "dataplane/main/worker.h"

static void around(
	void (*call)(const struct handler_group *group, unsigned copy, enum handler_pass pass),
	unsigned copy, enum handler_pass pass)
{
	for (unsigned i = 0; i < handler_group_count(); i++)
		call(handler_group_at(i), copy, pass);
}

static void begin(const struct handler_group *group, unsigned copy, enum handler_pass pass)
{
	if (group->begin != NULL)
		group->begin(copy, pass, false);
}

static void end(const struct handler_group *group, unsigned copy, enum handler_pass pass)
{
	if (group->end != NULL)
		group->end(copy, pass, false);
}

static void prepare(const void *message, const struct handler *handler, unsigned group)
{
	static struct txn *txn;
	char text[96] = "";
	uint64_t index = 0;
	uint32_t detail = 0;

	if (txn == NULL)
		txn = txn_create(1 << 20);
	if (txn == NULL)
		rig_die("memory", -ENOMEM);
	txn_reset(txn, false);
	if (txn_stage(txn, message, handler, group) != 0)
		rig_die(handler->name, -ENOSPC);
	for (unsigned i = 0; i < handler_group_count(); i++) {
		const struct handler_group *each = handler_group_at(i);

		if (each->prepare != NULL && each->prepare(txn, &index, &detail, text) != 0) {
			fprintf(stderr, "path-bench: %s: %s\n", handler->name, text);
			exit(EXIT_FAILURE);
		}
	}
	while (txn_trim(txn))
		;
}

void direct_commit(struct worker *worker, const void *message)
{
	const struct api_header *header = message;
	unsigned group;
	const struct handler *handler = handler_find(header->type, &group);
	uint32_t detail = 0;
	unsigned shadow = !tables_active();

	if (handler->validate != NULL && handler->validate(message, &detail) != 0) {
		fprintf(stderr, "path-bench: %s refused at offset %u\n", handler->name, detail);
		exit(EXIT_FAILURE);
	}
	prepare(message, handler, group);
	around(begin, shadow, HANDLER_SHADOW);
	handler->apply(message, shadow, HANDLER_SHADOW);
	around(end, shadow, HANDLER_SHADOW);
	tables_flip(shadow);
	around(begin, !shadow, HANDLER_CATCH_UP);
	handler->apply(message, !shadow, HANDLER_CATCH_UP);
	around(end, !shadow, HANDLER_CATCH_UP);
	worker->copy = (uint16_t)tables_active();
}
