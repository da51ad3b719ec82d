/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Endpoints by name: which names the configuration has, and which address stands for each now.
 * The data plane gets an address like any other; what it does with a peer that has moved
 * meanwhile is its own affair (API_PEER_RETURN).
 */
#include "control/program/program_priv.h"

#include <string.h>

#include "common/api/wireguard.h"

void names_update(struct resolve *resolve, const struct model *model)
{
	resolve_set_servers(resolve, model->name_servers.items, model->name_servers.n);
	resolve_begin(resolve);
	for (size_t i = 0; i < model->tables[MODEL_PEER].n; i++) {
		const struct model_peer *peer = model_peer_at(model, i);

		if (peer->enabled && peer->endpoint_name != NULL)
			resolve_want(resolve, peer->endpoint_name);
	}
	resolve_end(resolve);
}

/* Of two families that which the gateway speaks on a port; IPv4 if it speaks both. */
static const struct addr *choose(const struct model *model, const struct resolve_answer *answer)
{
	bool have_v4 = false;

	for (size_t i = 0; i < model->tables[MODEL_PORT].n; i++) {
		const struct model_ifaddrs *addresses = &model_port_at(model, i)->addresses;

		for (size_t k = 0; k < addresses->n; k++)
			have_v4 |= addresses->items[k].addr.family == ADDR_V4;
	}
	if (answer->v4.family != ADDR_NONE && (have_v4 || answer->v6.family == ADDR_NONE))
		return &answer->v4;
	return &answer->v6;
}

bool names_endpoint(const struct resolve *resolve, const struct model *model,
	const struct model_peer *peer, struct endpoint *endpoint, const char **error)
{
	struct resolve_answer answer;

	*endpoint = (struct endpoint){0};
	*error = NULL;
	if (peer->endpoint_name == NULL || !resolve_get(resolve, peer->endpoint_name, &answer))
		return false;
	*error = answer.error;
	endpoint->addr = *choose(model, &answer);
	if (endpoint->addr.family != ADDR_NONE)
		endpoint->port = peer->endpoint_port;
	return true;
}

static const struct api_header *find(const struct desired *desired, const struct api_header *like)
{
	size_t low = 0, high = desired->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = desired_compare(desired->messages[middle], like);

		if (order == 0)
			return desired->messages[middle];
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

struct desired names_list(
	const struct resolve *resolve, const struct compiled *compiled, struct pool *pool)
{
	const struct model *model = compiled->model;
	const struct api_header **messages =
		pool_alloc(pool, (model->tables[MODEL_PEER].n + 1) * sizeof(*messages));
	size_t n = 0;

	for (size_t i = 0; i < model->tables[MODEL_PEER].n; i++) {
		struct api_peer_set like = {.peer = compiled->peer_ids[i]}, *set;
		const struct api_header *message;
		struct endpoint endpoint;
		const char *error;

		if (!names_endpoint(resolve, model, model_peer_at(model, i), &endpoint, &error) ||
			endpoint.addr.family == ADDR_NONE)
			continue;
		api_message_init(&like, API_PEER_SET, sizeof(like));
		like.peer = compiled->peer_ids[i];
		message = find(&compiled->desired, &like.header);
		if (message == NULL)
			continue;
		set = (struct api_peer_set *)desired_copy(pool, message);
		set->endpoint = endpoint;
		set->flags |= API_PEER_INITIATE;
		messages[n++] = &set->header;
	}
	return desired_make(messages, n);
}
