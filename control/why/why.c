/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/why/why_priv.h"

#include <string.h>

#include "common/api/port.h"
#include "common/base/nptv6.h"

struct asking {
	const struct why_index *index;
	const struct compiled *compiled;
	const struct desired *list;
	const struct why_query *query;
	struct why_answer *answer;
	bool forwarded;
};

/* For types of which there are few, and those that are asked for rarely. */
#define FOR_EACH(a, variable, type_id)                                                             \
	for (struct why_range r_ = why_range((a)->list, (type_id));                                \
		r_.n > 0 && ((variable) = (const void *)r_.messages[0]) != NULL;                   \
		r_.messages++, r_.n--)

/* The longest prefix that any peer may send from and that holds the address; 0 = none. */
static uint32_t longest_owner(const struct asking *a, const struct addr *addr, uint32_t peer)
{
	const struct why_prefixes *allowed = &a->index->allowed;
	const struct api_allowed_set *message;
	int length = 129;

	while ((length = why_next_length(&allowed->lengths, addr, length)) >= 0) {
		size_t count, place = why_find(allowed, addr, length, &count);

		for (size_t i = 0; i < count; i++) {
			message = (const void *)allowed->range.messages[place + i];
			if (message->peer == peer)
				return peer;
		}
		if (count > 0)
			return ((const struct api_allowed_set *)allowed->range.messages[place])
				->peer;
	}
	return 0;
}

static const struct model_peer *peer_of_id(const struct asking *a, uint32_t id)
{
	return compile_peer_of_id(a->compiled, id);
}

static const struct compile_set *set_of_port(const struct asking *a, const struct model_port *port)
{
	for (size_t i = 0; i < a->compiled->n_sets; i++) {
		if (a->compiled->sets[i]->port == port)
			return a->compiled->sets[i];
	}
	return NULL;
}

static const struct model_port *port_of_id(const struct asking *a, uint16_t id)
{
	const struct api_port_set *message;

	FOR_EACH(a, message, API_PORT_SET)
	{
		if (message->port == id)
			return (const void *)model_find(
				a->compiled->model, MODEL_PORT, message->name);
	}
	return NULL;
}

/* Somebody beyond a router: the port by which he is reached. */
static const struct model_port *uplink_of(const struct asking *a, const struct addr *addr)
{
	const struct why_prefixes *routes = &a->index->underlay;
	int length = 129;

	while ((length = why_next_length(&routes->lengths, addr, length)) >= 0) {
		size_t count, place = why_find(routes, addr, length, &count);

		for (size_t i = 0; i < count; i++) {
			const struct api_route_set *message =
				(const void *)routes->range.messages[place + i];

			if (message->next == API_NEXT_PORT)
				return port_of_id(a, message->port);
		}
	}
	return NULL;
}

static bool is_local(const struct asking *a, const struct addr *addr)
{
	const struct api_local_set *message;

	FOR_EACH(a, message, API_LOCAL_SET)
	{
		if (addr_equal(&message->addr, addr))
			return true;
	}
	return false;
}

/* Of the overlay, given out or not: nobody's on a plain port. */
static bool is_overlay(const struct asking *a, const struct addr *addr)
{
	const struct why_prefixes *routes = &a->index->overlay;
	int length = 129;

	while ((length = why_next_length(&routes->lengths, addr, length)) >= 0) {
		size_t count, place = why_find(routes, addr, length, &count);
		const struct api_route_set *message = why_find_set(routes, place, count, 0);

		if (message != NULL && (message->flags & API_ROUTE_OVERLAY) != 0)
			return true;
	}
	return false;
}

static enum why_verdict judge_sender(struct asking *a)
{
	struct why_answer *answer = a->answer;
	const struct addr *src = &a->query->src;
	uint32_t asked = 0, owner;

	if (a->query->as != NULL)
		asked = a->compiled->peer_ids[a->query->as->object.index];
	owner = longest_owner(a, src, asked);
	answer->from_peer = a->query->as != NULL ? a->query->as : peer_of_id(a, owner);
	if (answer->from_peer != NULL) {
		if (!answer->from_peer->enabled)
			return WHY_PEER_DISABLED;
		answer->set = a->compiled->set_of_peer[answer->from_peer->object.index];
		return asked != 0 && owner != asked ? WHY_SPOOFED : WHY_ALLOWED;
	}
	answer->from_port = model_port_of(a->compiled->model, src);
	if (answer->from_port == NULL)
		answer->from_port = uplink_of(a, src);
	if (answer->from_port == NULL)
		return WHY_UNKNOWN_SENDER;
	if (is_overlay(a, src))
		return WHY_SPOOFED_OVERLAY;
	answer->set = set_of_port(a, answer->from_port);
	return WHY_ALLOWED;
}

static bool is_unsolicited(const struct asking *a)
{
	const struct why_query *q = a->query;
	const struct api_egress_addr_set *message;

	if (q->protocol != MODEL_TCP && q->protocol != MODEL_UDP)
		return false;
	FOR_EACH(a, message, API_EGRESS_ADDR_SET)
	{
		if (addr_equal(&message->addr, &q->dst))
			return q->port >= message->port_first && q->port <= message->port_last;
	}
	return false;
}

static const struct api_egress_pool_set *find_pool(const struct asking *a, uint16_t id)
{
	const struct api_egress_pool_set *pool;

	FOR_EACH(a, pool, API_EGRESS_POOL_SET)
	{
		if (pool->pool == id)
			return pool;
	}
	return NULL;
}

static bool pool_has(const struct asking *a, uint16_t id, const struct addr *addr)
{
	const struct api_egress_pool_set *pool = find_pool(a, id);
	const struct api_egress_addr_set *address;

	FOR_EACH(a, address, API_EGRESS_ADDR_SET)
	{
		if (pool == NULL || !addr_equal(&address->addr, addr))
			continue;
		for (uint16_t k = 0; k < pool->count; k++) {
			if (pool->egress[k] == address->egress)
				return true;
		}
	}
	return false;
}

/* Is there a rule whose mappings on this address let in more than answers? */
static bool may_be_open(const struct asking *a, const struct addr *addr)
{
	const struct api_egress_rule_set *rule;

	FOR_EACH(a, rule, API_EGRESS_RULE_SET)
	{
		if ((rule->flags & (API_EGRESS_OPEN | API_EGRESS_BY_ADDR)) != 0 &&
			pool_has(a, rule->pool, addr))
			return true;
	}
	return false;
}

/* RFC 3927 2.7, RFC 4291 2.5.6. */
static bool is_link_local(const struct addr *addr)
{
	if (addr->family == ADDR_V4)
		return addr->bytes[0] == 169 && addr->bytes[1] == 254;
	return addr->bytes[0] == 0xfe && (addr->bytes[1] & 0xc0) == 0x80;
}

/* The longest entry shorter than `below` that holds the destination. Of two with one prefix the
 * set's own; one that is another set's closes, so it counts too. */
static const struct api_route_set *longest_route(
	const struct asking *a, const struct why_prefixes *routes, uint32_t set, int below)
{
	const struct addr *dst = &a->query->dst;
	int length = below;

	while ((length = why_next_length(&routes->lengths, dst, length)) >= 0) {
		size_t count, place = why_find(routes, dst, length, &count);
		const struct api_route_set *found;

		if (count == 0)
			continue;
		found = why_find_set(routes, place, count, set);
		if (found == NULL)
			found = why_find_set(routes, place, count, 0);
		return found != NULL ? found : (const void *)routes->range.messages[place];
	}
	return NULL;
}

/* What a longer prefix closes is not for an exit node, but a shorter route may lead there. */
static enum why_verdict find_route(struct asking *a)
{
	struct why_answer *answer = a->answer;
	uint32_t set = answer->set == NULL ? 0 : answer->set->id;
	const struct api_route_set *entry;
	int below = 129;

	while ((entry = longest_route(a, &a->index->overlay, set, below)) != NULL) {
		below = entry->prefix.length;
		if (entry->next == API_NEXT_CLOSED ||
			(entry->set_id != set && entry->set_id != 0)) {
			if (answer->closed == NULL)
				answer->closed = entry;
			continue;
		}
		answer->route = entry;
		if (answer->closed != NULL && (entry->flags & API_ROUTE_EXIT) != 0)
			return WHY_EXIT_CLOSED;
		answer->closed = NULL;
		break;
	}
	if (answer->route == NULL && answer->from_port == NULL)
		return WHY_NO_ROUTE;
	if (answer->route != NULL && answer->route->next != API_NEXT_UNDERLAY)
		return WHY_ALLOWED;
	answer->underlay = longest_route(a, &a->index->underlay, 0, 129);
	return answer->underlay == NULL ? WHY_NO_ROUTE : WHY_ALLOWED;
}

static bool rule_matches(
	const struct asking *a, const struct api_policy_set *rule, bool to_host, bool to_exit)
{
	const struct why_query *q = a->query;
	uint32_t set = a->answer->set == NULL ? 0 : a->answer->set->id;
	bool any_port = rule->port_first == 0 && rule->port_last == UINT16_MAX;
	bool has_ports = q->protocol == MODEL_TCP || q->protocol == MODEL_UDP;

	return (rule->src_set == 0 || rule->src_set == set) &&
	       (rule->proto == API_PROTO_ANY || rule->proto == q->protocol) &&
	       (any_port ||
		       (has_ports && q->port >= rule->port_first && q->port <= rule->port_last)) &&
	       ((rule->flags & API_POLICY_TO_HOST) == 0 || to_host) &&
	       ((rule->flags & API_POLICY_TO_EXIT) == 0 || to_exit) &&
	       ((rule->flags & API_POLICY_FORWARDED) == 0 || a->forwarded) &&
	       (rule->src.family == ADDR_NONE || prefix_contains(&rule->src, &q->src)) &&
	       (rule->dst.family == ADDR_NONE || prefix_contains(&rule->dst, &q->dst));
}

/* What is asked of the policies. */
struct passage {
	const struct asking *asking;
	bool to_host, to_exit;
};

static bool lets_through(const struct why_rule *rule, const void *arg)
{
	const struct passage *passage = arg;

	return rule_matches(passage->asking, rule->message, passage->to_host, passage->to_exit);
}

/* The first of a source set's rules that matches, NULL = none: of those to everywhere, and of
 * those to each prefix that the destination is in. */
static const struct why_rule *first_match(const struct passage *passage, uint32_t set)
{
	const struct why_index *index = passage->asking->index;
	const struct addr *to = &passage->asking->query->dst;
	struct prefix dst = {0};
	const struct why_rule *best = why_find_rule(index, set, &dst, lets_through, passage);
	int length = 129;

	while ((length = why_next_length(&index->rule_lengths, to, length)) >= 0) {
		const struct why_rule *rule;

		dst = why_prefix_of(to, length);
		rule = why_find_rule(index, set, &dst, lets_through, passage);
		if (rule != NULL && why_outranks(rule, best))
			best = rule;
	}
	return best;
}

static enum why_verdict ask_policy(struct asking *a, bool to_host, bool to_exit)
{
	const struct passage passage = {a, to_host, to_exit};
	uint32_t set = a->answer->set == NULL ? 0 : a->answer->set->id;
	const struct why_rule *best = first_match(&passage, 0), *own = NULL;

	if (set != 0)
		own = first_match(&passage, set);
	if (own != NULL && why_outranks(own, best))
		best = own;
	a->answer->to_host = to_host;
	a->answer->rule = best == NULL ? NULL : best->message;
	return best != NULL && best->message->verdict == API_ALLOW ? WHY_ALLOWED : WHY_POLICY;
}

static void collect_candidates(struct asking *a)
{
	struct why_answer *answer = a->answer;
	const struct api_egress_addr_set *address;

	for (uint16_t k = 0; k < answer->pool->count; k++) {
		FOR_EACH(a, address, API_EGRESS_ADDR_SET)
		{
			if (address->egress == answer->pool->egress[k] &&
				address->addr.family == a->query->src.family)
				answer->candidates[answer->n_candidates++] = address->addr;
		}
	}
}

static enum why_verdict ask_egress(struct asking *a)
{
	struct why_answer *answer = a->answer;
	uint32_t set = answer->set == NULL ? 0 : answer->set->id;
	const struct api_egress_rule_set *rule;

	FOR_EACH(a, rule, API_EGRESS_RULE_SET)
	{
		if ((rule->src_set == 0 || rule->src_set == set) &&
			(rule->dst.family == ADDR_NONE ||
				prefix_contains(&rule->dst, &a->query->dst)) &&
			(answer->egress == NULL || rule->priority < answer->egress->priority))
			answer->egress = rule;
	}
	if (answer->egress != NULL)
		answer->pool = find_pool(a, answer->egress->pool);
	if (answer->pool != NULL)
		collect_candidates(a);
	return answer->n_candidates == 0 ? WHY_EGRESS_REFUSED : WHY_ALLOWED;
}

static const struct api_forward_set *find_forward(const struct asking *a)
{
	const struct why_query *q = a->query;
	const struct api_forward_set *message;

	FOR_EACH(a, message, API_FORWARD_SET)
	{
		if (message->proto == q->protocol && addr_equal(&message->outside, &q->dst) &&
			q->port >= message->port_first && q->port <= message->port_last)
			return message;
	}
	return NULL;
}

static bool admits(const struct api_forward_set *forward, const struct addr *src)
{
	for (unsigned i = 0; i < forward->from_count; i++) {
		if (prefix_contains(&forward->from[i], src))
			return true;
	}
	return forward->from_count == 0;
}

/* The flow as it goes on behind the forward. */
static struct why_query turn_inside(const struct asking *a, const struct api_forward_set *forward)
{
	struct why_query query = *a->query;

	query.dst = forward->inside;
	query.port = (uint16_t)(forward->inside_first + (query.port - forward->port_first));
	return query;
}

/* As the data plane, which asks no routes of the sender's for what a forward lets in. */
static enum why_verdict judge_inside(struct asking *a, const struct api_forward_set *forward)
{
	struct why_query query = turn_inside(a, forward);
	struct asking inside = *a;
	enum why_verdict verdict;

	inside.query = &query;
	inside.forwarded = true;
	if (!admits(forward, &a->query->src))
		return WHY_FORWARD_SOURCE;
	if (is_link_local(&a->query->src))
		return WHY_LINK_LOCAL;
	verdict = ask_policy(&inside, false, false);
	if (verdict != WHY_ALLOWED)
		return verdict;
	a->answer->inside_peer = peer_of_id(a, longest_owner(a, &forward->inside, 0));
	if (a->answer->inside_peer != NULL)
		return WHY_ALLOWED;
	a->answer->underlay = longest_route(&inside, &a->index->underlay, 0, 129);
	return a->answer->underlay == NULL || a->answer->underlay->next != API_NEXT_PORT
		       ? WHY_NO_ROUTE
		       : WHY_ALLOWED;
}

/* A peer to the outside of the NAT: out by its exit node, and in again by a forward, or as an
 * answer to somebody inside who asked for it. */
static enum why_verdict judge_around(struct asking *a, const struct api_forward_set *forward)
{
	struct why_answer *answer = a->answer;
	enum why_verdict verdict = find_route(a);
	struct why_query query;
	struct asking inside;

	answer->hairpin = true;
	if (verdict != WHY_ALLOWED)
		return verdict;
	if (answer->route == NULL || (answer->route->flags & API_ROUTE_MASQUERADE) == 0)
		return WHY_UNSOLICITED;
	if (forward != NULL) {
		query = turn_inside(a, forward);
		inside = *a;
		inside.query = &query;
		inside.forwarded = true;
		verdict = ask_policy(&inside, false, false);
		if (verdict != WHY_ALLOWED)
			return verdict;
	}
	verdict = ask_policy(a, false, (answer->route->flags & API_ROUTE_EXIT) != 0);
	if (verdict != WHY_ALLOWED)
		return verdict;
	answer->masquerade = true;
	verdict = ask_egress(a);
	if (verdict != WHY_ALLOWED)
		return verdict;
	if (forward == NULL)
		return WHY_UNSOLICITED;
	for (size_t i = 0; i < answer->n_candidates; i++) {
		if (!admits(forward, &answer->candidates[i]))
			return WHY_FORWARD_SOURCE;
	}
	answer->inside_peer = peer_of_id(a, longest_owner(a, &forward->inside, 0));
	return WHY_ALLOWED;
}

/* As map_turn() of the data plane. */
bool why_turn(const struct desired *list, uint32_t peer, struct addr *addr)
{
	const struct asking here = {.list = list}, *a = &here;
	const struct api_map_set *map;

	FOR_EACH(a, map, API_MAP_SET)
	{
		bool inward = prefix_contains(&map->real, addr);
		const struct prefix *to = inward ? &map->seen : &map->real;

		if (map->peer != peer || (!inward && !prefix_contains(&map->seen, addr)))
			continue;
		if ((map->flags & API_MAP_NPTV6) != 0)
			return nptv6_translate(addr->bytes, to->bytes, to->length,
				nptv6_adjustment(inward ? map->real.bytes : map->seen.bytes,
					to->bytes, to->length));
		for (unsigned bit = 0; bit < to->length; bit++) {
			uint8_t mask = (uint8_t)(0x80 >> bit % 8);

			addr->bytes[bit / 8] &= (uint8_t)~mask;
			addr->bytes[bit / 8] |= to->bytes[bit / 8] & mask;
		}
		return true;
	}
	return false;
}

/* A seen address by RFC 6296: leaves as it is, or stands for nothing. */
static bool is_final(const struct asking *a, uint32_t peer, const struct addr *addr)
{
	const struct api_map_set *map;

	FOR_EACH(a, map, API_MAP_SET)
	{
		if (map->peer == peer && (map->flags & API_MAP_NPTV6) != 0 &&
			prefix_contains(&map->seen, addr))
			return true;
	}
	return false;
}

/* By a flow's sender, who is not masqueraded then. */
static bool is_from_final(const struct asking *a)
{
	const struct model_peer *peer = a->answer->from_peer;

	return peer != NULL &&
	       is_final(a, a->compiled->peer_ids[peer->object.index], &a->query->src);
}

static bool stands_for_nothing(const struct asking *a, uint32_t peer, const struct addr *dst)
{
	struct addr real = *dst;

	return is_final(a, peer, dst) && !why_turn(a->list, peer, &real);
}

static enum why_verdict judge(struct asking *a)
{
	struct why_answer *answer = a->answer;
	const struct api_route_set *route;
	enum why_verdict verdict = judge_sender(a);

	if (verdict != WHY_ALLOWED)
		return verdict;
	answer->forward = find_forward(a);
	if (answer->from_peer != NULL && (answer->forward != NULL || is_unsolicited(a)))
		return judge_around(a, answer->forward);
	if (answer->forward != NULL)
		return judge_inside(a, answer->forward);
	if (is_unsolicited(a))
		return WHY_UNSOLICITED;
	if (is_local(a, &a->query->dst))
		return ask_policy(a, true, false);
	if (is_link_local(&a->query->src) || is_link_local(&a->query->dst))
		return WHY_LINK_LOCAL;
	verdict = find_route(a);
	if (verdict != WHY_ALLOWED)
		return verdict;
	route = answer->underlay != NULL ? answer->underlay : answer->route;
	if (route->next == API_NEXT_HOST)
		return ask_policy(a, true, false);
	verdict = ask_policy(
		a, false, answer->route != NULL && (answer->route->flags & API_ROUTE_EXIT) != 0);
	answer->masquerade = answer->route != NULL &&
			     (answer->route->flags & API_ROUTE_MASQUERADE) != 0 &&
			     !is_from_final(a);
	if (verdict != WHY_ALLOWED)
		return verdict;
	if (route->next == API_NEXT_PEER && stands_for_nothing(a, route->peer, &a->query->dst))
		return WHY_NO_REAL;
	if (!answer->masquerade)
		return verdict;
	return ask_egress(a);
}

/* The peer's address in its tunnel, and what others know it as. */
static void find_source_names(struct asking *a)
{
	struct why_answer *answer = a->answer;
	struct addr real = a->query->src;

	if (answer->from_peer == NULL ||
		!why_turn(a->list, a->compiled->peer_ids[answer->from_peer->object.index], &real))
		return;
	answer->src_seen = a->query->src;
	answer->src_real = real;
}

void why_judge(
	const struct why_index *index, const struct why_query *query, struct why_answer *answer)
{
	const struct compiled *compiled = index->compiled;
	const struct desired *list = index->list;
	struct why_query seen = *query;
	struct asking asking = {index, compiled, list, &seen, answer, false};

	memset(answer, 0, sizeof(*answer));
	if (query->as != NULL && !query->seen)
		why_turn(list, compiled->peer_ids[query->as->object.index], &seen.src);
	answer->verdict = judge(&asking);
	find_source_names(&asking);
	answer->may_be_open =
		answer->verdict == WHY_UNSOLICITED && may_be_open(&asking, &query->dst);
	if (answer->route == NULL || answer->route->next != API_NEXT_PEER)
		return;
	answer->real = query->dst;
	if (!why_turn(list, answer->route->peer, &answer->real))
		answer->real = (struct addr){0};
}

bool why_is_egress_address(const struct why_index *index, const struct addr *addr)
{
	const struct api_egress_addr_set *message;

	FOR_EACH(index, message, API_EGRESS_ADDR_SET)
	{
		if (addr_equal(&message->addr, addr))
			return true;
	}
	return false;
}

const char *why_drop_name(const struct why_answer *answer)
{
	switch (answer->verdict) {
	case WHY_SPOOFED:
		return "flow.spoofed_inner";
	case WHY_SPOOFED_OVERLAY:
		return "flow.spoofed_overlay";
	case WHY_UNSOLICITED:
		return "flow.unsolicited";
	case WHY_FORWARD_SOURCE:
		return "flow.forward_source";
	case WHY_LINK_LOCAL:
		return "flow.link_local";
	case WHY_NO_ROUTE:
	case WHY_NO_REAL:
		return "flow.no_route";
	case WHY_EXIT_CLOSED:
		return "flow.exit_closed";
	case WHY_POLICY:
		return answer->to_host ? "flow.policy_host" : "flow.policy";
	case WHY_EGRESS_REFUSED:
		return "flow.egress_refused";
	default:
		return NULL;
	}
}
