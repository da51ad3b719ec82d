/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The stream of API_FLOW_ENTRY that answers API_FLOW_DUMP: the main thread looks at the workers'
 * tables while they run. A diagnostic: an entry may be torn, and flows may come and go meanwhile.
 */
#include <errno.h>
#include <stdlib.h>

#include <rte_common.h>

#include "common/api/flow.h"
#include "dataplane/flow/flow_priv.h"
#include "dataplane/main/handler.h"
#include "dataplane/main/worker.h"

enum { LOOKS_PER_CALL = 4096 };

struct dump {
	uint32_t left; /* entries still wanted */
	uint32_t peer; /* 0 = any */
	unsigned worker;
	uint32_t flow; /* looked at next */
};

static int open_dump(const void *message, void **stream)
{
	const struct api_flow_dump *asked = message;
	struct dump *dump = calloc(1, sizeof(*dump));

	if (dump == NULL)
		return API_E_LIMIT;
	dump->left = asked->max;
	dump->peer = asked->peer;
	dump->flow = 1;
	*stream = dump;
	return 0;
}

static void fill(const struct flow_worker *w, const struct flow *flow, struct api_flow_entry *entry)
{
	const struct flow_key *key = &flow->dir[0].key, *back = &flow->dir[1].key;
	const struct flow_cold *cold = &flow->cold;
	uint32_t now = (uint32_t)clock_ms();

	memset(entry, 0, sizeof(*entry));
	entry->header.type = API_FLOW_ENTRY;
	entry->header.length = sizeof(*entry);
	flow_key_src(key, &entry->src);
	flow_key_dst(key, &entry->dst);
	entry->sport = key->sport;
	entry->dport = key->dport;
	entry->proto = key->proto;
	entry->tcp_state = cold->tcp_state;
	entry->worker = (uint16_t)w->id;
	entry->ingress = key->ident;
	entry->egress = flow_leads_to(flow);
	if (cold->mapping != 0) {
		flow_key_dst(back, &entry->nat_addr);
		entry->nat_port = back->dport;
	} else if (cold->forward != 0) {
		flow_key_src(back, &entry->nat_addr);
		entry->nat_port = back->sport;
	}
	entry->forward = cold->forward;
	entry->policy_rule = cold->rule;
	entry->route_id = cold->route_id;
	for (unsigned i = 0; i < 2; i++) {
		entry->packets[i] = flow->packets[i] + flow->dir[i].action.packets;
		entry->bytes[i] = flow->bytes[i] + flow->dir[i].action.bytes;
	}
	entry->idle_ms =
		RTE_MIN(now - flow->dir[0].action.seen_ms, now - flow->dir[1].action.seen_ms);
	entry->timeout_ms = cold->timeout_ms;
}

static bool is_wanted(const struct dump *dump, const struct flow *flow)
{
	return flow->cold.live != 0 &&
	       (dump->peer == 0 || flow->dir[0].key.ident == dump->peer ||
		       flow->dir[1].key.ident == dump->peer || flow_leads_to(flow) == dump->peer);
}

static int next_entry(void *stream, void *out)
{
	struct dump *dump = stream;

	for (unsigned i = 0; i < LOOKS_PER_CALL; i++) {
		const struct flow_worker *w;
		const struct flow *flow;

		if (dump->left == 0 || dump->worker == dp_config()->workers)
			return -ENODATA;
		w = flow_worker_get(dump->worker);
		if (dump->flow > w->table.capacity) {
			dump->worker++;
			dump->flow = 1;
			continue;
		}
		flow = &w->table.flows[dump->flow++];
		if (!is_wanted(dump, flow))
			continue;
		fill(w, flow, out);
		dump->left--;
		return 1;
	}
	return 0;
}

static void close_dump(void *stream)
{
	free(stream);
}

static const struct handler_stream stream = {
	.type = API_FLOW_DUMP,
	.name = "flow_dump",
	.size = sizeof(struct api_flow_dump),
	.open = open_dump,
	.next = next_entry,
	.close = close_dump,
};

void flow_dump_init(void)
{
	handler_register_stream(&stream);
}
