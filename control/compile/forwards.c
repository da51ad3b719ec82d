/* SPDX-License-Identifier: BSD-3-Clause */
/* Port forwards: one message each. What policy says about them is rules.c's. */
#include <string.h>

#include "common/api/forward.h"
#include "control/compile/compile_priv.h"

bool compile_forward_leads(const struct model *m, const struct model_forward *forward)
{
	return forward->enabled &&
	       (forward->to_peer.n == 0 || model_peer_at(m, forward->to_peer.index[0])->enabled);
}

static void emit_forward(struct builder *b, const struct model_forward *forward)
{
	struct api_forward_set *set = compile_emit(b, API_FORWARD_SET);

	set->forward = b->c->forward_ids[forward->object.index];
	set->outside = forward->address;
	if (!model_forward_inside(b->model, forward, &set->inside))
		set->inside = forward->address; /* the model was checked: never */
	set->port_first = forward->ports.first;
	set->port_last = forward->ports.last;
	set->inside_first = model_forward_to_ports(forward).first;
	set->proto = (uint8_t)forward->protocol;
	for (size_t i = 0; i < forward->from.prefixes.n && i < API_FORWARD_FROM; i++)
		set->from[set->from_count++] = forward->from.prefixes.items[i];
}

void compile_forwards(struct builder *b)
{
	const struct model *m = b->model;
	size_t n = m->tables[MODEL_FORWARD].n;

	b->c->forward_ids = pool_alloc(b->pool, (n + 1) * sizeof(*b->c->forward_ids));
	for (size_t i = 0; i < n; i++) {
		const struct model_forward *forward = model_forward_at(m, i);

		b->c->forward_ids[i] = compile_id(b, STORE_FORWARD, forward->object.name);
		if (compile_forward_leads(m, forward))
			emit_forward(b, forward);
	}
}
