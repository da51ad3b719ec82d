/* SPDX-License-Identifier: BSD-3-Clause */
/* Where nothing is masqueraded: which flows look as if the network behind knew no way back. */
#include "control/api/api_priv.h"

#include <string.h>

#include "common/api/flow.h"

enum {
	ASKED_PACKETS = 2,        /* of a flow: one may still be on its way */
	ROUTE_ASKED_PACKETS = 10, /* of a whole route: longer than a first try */
};

bool api_is_unanswered(const struct model_route *route, const struct api_count_pair *row)
{
	return !route->masquerade && row->packets >= ROUTE_ASKED_PACKETS && row->reply_packets == 0;
}

json_t *api_flow_hint(const struct compiled *c, const struct api_flow_entry *entry)
{
	char src[ADDR_TEXT_MAX], dst[ADDR_TEXT_MAX];

	if (entry->packets[1] != 0 || entry->packets[0] < ASKED_PACKETS || entry->route_id == 0 ||
		entry->nat_addr.family != ADDR_NONE)
		return json_null();
	for (size_t i = 0; c != NULL && i < c->model->tables[MODEL_ROUTE].n; i++) {
		const struct model_route *route = model_route_at(c->model, i);

		if (c->route_ids[i] == entry->route_id && !route->masquerade)
			return json_sprintf("route %s: no answer; does the network of %s have a "
					    "route back to %s?",
				route->object.name, addr_format(&entry->dst, dst),
				addr_format(&entry->src, src));
	}
	return json_null();
}
