/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The way of a peer's packets as the gateway sees it, in their order: who may, by which policy,
 * whether the tunnel stands, whether packets arrive, whether there is a next hop, and with which
 * address they leave.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/api/port.h"
#include "common/api/route.h"
#include "control/doctor/doctor_priv.h"
#include "control/why/why.h"

enum {
	LIVE_S = 180, /* a handshake within it: REJECT-AFTER-TIME of the protocol */
	TEXT_MAX = 512,
	TRIES_MAX = 64, /* policies that are tried for one destination */
};

/* Nothing is sent there; any public address is judged alike. */
static const char *const internet[] = {"192.88.99.1", "2001:4860:4860::8888"};

static const struct compiled *compiled_of(const struct doctor *d)
{
	return d->gateway->compiled;
}

static const struct compile_set *set_of(const struct doctor *d)
{
	return compiled_of(d)->set_of_peer[d->peer->object.index];
}

static void check_dataplane(struct doctor *d)
{
	if (d->gateway->disconnected != NULL)
		doctor_say(d, DOCTOR_FAIL, "systemctl start sallyport-dataplane",
			"no data plane: %s", d->gateway->disconnected);
	else if (d->gateway->generation == 0)
		doctor_say(d, DOCTOR_FAIL, "sallyport apply",
			"it has no configuration: nothing is forwarded");
	else
		doctor_say(d, DOCTOR_OK, NULL, "forwards, generation %llu",
			(unsigned long long)d->gateway->generation);
}

static void check_ports(struct doctor *d)
{
	const struct model *m = compiled_of(d)->model;

	if (d->gateway->disconnected != NULL || d->gateway->port_problem == NULL)
		return;
	for (size_t i = 0; i < m->tables[MODEL_PORT].n; i++) {
		const struct model_port *port = model_port_at(m, i);
		const char *problem = d->gateway->port_problem(d->gateway->context, port);

		if (problem == NULL)
			doctor_say(d, DOCTOR_OK, NULL, "port %s is up", port->object.name);
		else
			doctor_say(d, DOCTOR_FAIL, "journalctl -u sallyport-dataplane",
				"port %s (%s): %s", port->object.name, port->device, problem);
	}
}

static uint16_t port_id(const struct doctor *d, const char *name)
{
	const struct desired *list = d->gateway->list;

	for (size_t i = 0; list != NULL && i < list->n; i++) {
		const struct api_port_set *set = (const void *)list->messages[i];

		if (set->header.type == API_PORT_SET && strcmp(set->name, name) == 0)
			return set->port;
	}
	return 0;
}

static const char *port_name(const struct doctor *d, uint16_t id)
{
	const struct desired *list = d->gateway->list;

	for (size_t i = 0; list != NULL && i < list->n; i++) {
		const struct api_port_set *set = (const void *)list->messages[i];

		if (set->header.type == API_PORT_SET && set->port == id)
			return set->name;
	}
	return "?";
}

static bool is_resolved(const struct doctor *d, uint16_t port, const struct addr *addr)
{
	const struct desired *list = d->gateway->list;

	for (size_t i = 0; list != NULL && i < list->n; i++) {
		const struct api_neigh_set *set = (const void *)list->messages[i];

		if (set->header.type == API_NEIGH_SET && set->port == port &&
			addr_equal(&set->addr, addr))
			return true;
	}
	return false;
}

static void say_neighbour(struct doctor *d, const char *port, const struct addr *addr)
{
	char text[ADDR_TEXT_MAX], fix[160];

	addr_format(addr, text);
	snprintf(fix, sizeof(fix), "ping -c 1 %s; ip neigh show dev sp-%s", text, port);
	if (is_resolved(d, port_id(d, port), addr))
		doctor_say(d, DOCTOR_OK, NULL, "%s on port %s answers", text, port);
	else
		doctor_say(d, DOCTOR_FAIL, fix,
			"%s on port %s does not answer %s: wrong address, wrong cable or VLAN, or "
			"a firewall",
			text, port, addr->family == 4 ? "ARP" : "neighbour solicitations");
}

static void check_gateways(struct doctor *d)
{
	const struct model *m = compiled_of(d)->model;

	if (d->gateway->disconnected != NULL)
		return;
	for (size_t i = 0; i < m->tables[MODEL_PORT].n; i++) {
		const struct model_port *port = model_port_at(m, i);

		for (size_t k = 0; k < port->gateways.n; k++)
			say_neighbour(d, port->object.name, &port->gateways.items[k]);
	}
}

const struct doctor_check doctor_gateway_checks[] = {
	{"dataplane", "data plane", check_dataplane},
	{"ports", "ports", check_ports},
	{"gateways", "routers of the provider", check_gateways},
	{NULL, NULL, NULL},
};

/* --- one peer --- */

/* The peer's address of a family; false if it has none. */
static bool own_address(const struct doctor *d, uint8_t family, struct addr *out)
{
	for (size_t i = 0; i < d->peer->addresses.n; i++) {
		if (d->peer->addresses.items[i].family == family) {
			*out = d->peer->addresses.items[i];
			return true;
		}
	}
	return false;
}

/* What becomes of a flow to `dst`: of TCP to port 443, or, where that is denied, of what some
 * policy allows. False if the peer has no address of its family. */
static bool judge(const struct doctor *d, const struct addr *dst, struct why_answer *answer)
{
	const struct model *m = compiled_of(d)->model;
	struct why_query query = {
		.dst = *dst,
		.protocol = MODEL_TCP,
		.port = 443,
		.as = d->peer,
	};
	struct why_answer other;
	struct why_index *index;

	if (!own_address(d, dst->family, &query.src))
		return false;
	index = why_index_create(compiled_of(d), d->gateway->list);
	why_judge(index, &query, answer);
	for (size_t i = 0, tries = 0;
		answer->verdict == WHY_POLICY && tries < TRIES_MAX && i < m->tables[MODEL_POLICY].n;
		i++) {
		const struct model_policy *policy = model_policy_at(m, i);

		if (!policy->enabled || !policy->allow || policy->to.host)
			continue;
		query.protocol = policy->protocol == MODEL_ANY ? MODEL_TCP : policy->protocol;
		query.port = query.protocol == MODEL_ICMP ? 0
			     : policy->ports.n == 0       ? 443
							  : policy->ports.items[0].first;
		why_judge(index, &query, &other);
		if (other.verdict != WHY_POLICY)
			*answer = other;
		tries++;
	}
	why_index_destroy(&index);
	return true;
}

/* As judge(), to the internet. */
static bool judge_internet(const struct doctor *d, size_t i, struct why_answer *answer)
{
	struct addr dst;

	return addr_parse(internet[i], &dst) == 0 && judge(d, &dst, answer);
}

static const char *rule_text(const struct doctor *d, const struct why_answer *answer)
{
	const struct compiled *c = compiled_of(d);
	const char *name = answer->rule == NULL || answer->rule->rule >= c->n_rule_names
				   ? NULL
				   : c->rule_names[answer->rule->rule];

	return name == NULL ? "no policy" : name;
}

static void join(const struct model_refs *refs, char text[TEXT_MAX])
{
	size_t used = 0;

	snprintf(text, TEXT_MAX, "%s", refs->n == 0 ? "none" : "");
	for (size_t i = 0; i < refs->n && used < TEXT_MAX; i++)
		used += (size_t)snprintf(
			text + used, TEXT_MAX - used, "%s%s", i == 0 ? "" : ", ", refs->names[i]);
}

/* Which exit nodes there are, and for whom: the fix for a peer that has none. */
static void offer_fix(const struct doctor *d, char text[TEXT_MAX])
{
	const struct model *m = compiled_of(d)->model;
	char groups[TEXT_MAX];

	if (m->tables[MODEL_EXIT_NODE].n == 0) {
		snprintf(text, TEXT_MAX,
			"add an exit node: exit_nodes: { internet: { offer_to: "
			"[GROUP] } }, then sallyport apply");
		return;
	}
	join(&model_exit_node_at(m, 0)->offer_to, groups);
	snprintf(text, TEXT_MAX,
		"in %.128s: peers.%s.groups: [one of: %.128s], then sallyport apply and "
		"sallyport peer export %s",
		d->gateway->file, d->peer->object.name, groups, d->peer->object.name);
}

/* The exit node that one of the peer's groups is offered, whatever policies say; or NULL. */
static const struct model_exit_node *offered(const struct doctor *d)
{
	const struct model *m = compiled_of(d)->model;
	const struct compile_set *set = set_of(d);

	if (set != NULL && set->exit_node != NULL)
		return set->exit_node;
	for (size_t i = 0; i < m->tables[MODEL_EXIT_NODE].n; i++) {
		const struct model_exit_node *exit_node = model_exit_node_at(m, i);

		if (exit_node->enabled && model_peer_in_groups(d->peer, &exit_node->offer_to))
			return exit_node;
	}
	return NULL;
}

/* Who receives routing information: an exit node or a route is offered to a group of his. */
static void check_permission(struct doctor *d)
{
	const struct compile_set *set = set_of(d);
	const struct model_exit_node *exit_node = offered(d);
	char groups[TEXT_MAX], fix[TEXT_MAX];

	join(&d->peer->groups, groups);
	if (set == NULL) {
		doctor_say(d, DOCTOR_FAIL, "enabled: true, then sallyport apply",
			"peer %s is disabled", d->peer->object.name);
	} else if (set->selected != NULL && set->exit_node == NULL) {
		snprintf(fix, sizeof(fix), "sallyport exit-nodes deselect --as %s",
			d->peer->object.name);
		doctor_say(d, DOCTOR_FAIL, fix,
			"exit node %s is selected, but not offered to %s any more (groups: %s)",
			set->selected->object.name, d->peer->object.name, groups);
	} else if (exit_node != NULL) {
		doctor_say(d, DOCTOR_OK, NULL, "exit node %s is offered (groups: %s)",
			exit_node->object.name, groups);
	} else {
		offer_fix(d, fix);
		doctor_say(d, DOCTOR_FAIL, fix, "no exit node is offered to %s (groups: %s)",
			d->peer->object.name, groups);
	}
}

static void write_path(const struct doctor *d, FILE *out, const char *what, const struct addr *dst)
{
	struct why_answer answer;
	char text[ADDR_TEXT_MAX];

	if (!judge(d, dst, &answer))
		return;
	fprintf(out, "\n  +- %s -- %s -- ", what, rule_text(d, &answer));
	if (answer.verdict != WHY_ALLOWED)
		fprintf(out, "DENIED (%s)",
			why_drop_name(&answer) == NULL ? "?" : why_drop_name(&answer));
	else if (answer.masquerade && answer.n_candidates > 0)
		fprintf(out, "leaves as %s%s", addr_format(&answer.candidates[0], text),
			answer.n_candidates > 1 ? " or another of its pool" : "");
	else
		fputs("allowed", out);
}

/* A graph of what the peer reaches, by which policy. */
static void check_access(struct doctor *d)
{
	const struct compile_set *set = set_of(d);
	char groups[TEXT_MAX], what[128], *text = NULL;
	struct addr dst;
	size_t size;
	FILE *out;

	if (set == NULL || (out = open_memstream(&text, &size)) == NULL)
		return;
	join(&d->peer->groups, groups);
	fprintf(out, "%s (groups: %s)", d->peer->object.name, groups);
	for (size_t i = 0; set->exit_node != NULL && i < 2; i++) {
		snprintf(what, sizeof(what), "exit node %s, IPv%d", set->exit_node->object.name,
			i == 0 ? 4 : 6);
		if (addr_parse(internet[i], &dst) == 0)
			write_path(d, out, what, &dst);
	}
	for (size_t i = 0; i < set->n_routes; i++) {
		const struct compile_route *route = &set->routes[i];
		char prefix[PREFIX_TEXT_MAX];

		snprintf(what, sizeof(what), "%s %s, %s",
			route->route != NULL ? "route" : "exit node",
			route->route != NULL ? route->route->object.name
					     : route->exit_node->object.name,
			prefix_format(&route->prefix, prefix));
		dst = prefix_first(&route->prefix);
		if (route->prefix.length < addr_bits(dst.family))
			dst.bytes[addr_size(dst.family) - 1] |= 1;
		write_path(d, out, what, &dst);
	}
	fclose(out);
	doctor_say(d, DOCTOR_OK, NULL, "%s", text);
	free(text);
}

static void check_policy(struct doctor *d)
{
	const struct compile_set *set = set_of(d);
	const struct model_exit_node *exit_node = offered(d);
	struct why_answer answer;
	char fix[TEXT_MAX];

	if (set == NULL || exit_node == NULL || (set->selected != NULL && set->exit_node == NULL))
		return;
	snprintf(fix, sizeof(fix),
		"in %.128s: policies: - { name: internet-%s, from: { peers: [%s] }, to: { "
		"exit_nodes: [%s] }, action: allow }, then sallyport apply",
		d->gateway->file, d->peer->object.name, d->peer->object.name,
		exit_node->object.name);
	if (set->exit_node == NULL) {
		doctor_say(d, DOCTOR_FAIL, fix,
			"no policy links %s to exit node %s, so it is not handed out either",
			d->peer->object.name, exit_node->object.name);
		return;
	}
	for (size_t i = 0; i < 2; i++) {
		if (!judge_internet(d, i, &answer))
			continue;
		doctor_say(d, answer.verdict == WHY_POLICY ? DOCTOR_FAIL : DOCTOR_OK,
			answer.verdict == WHY_POLICY ? fix : NULL, "IPv%d to the internet: %s",
			i == 0 ? 4 : 6, rule_text(d, &answer));
	}
}

static void check_connection(struct doctor *d)
{
	const struct doctor_peer_figures *f = &d->figures;
	unsigned port = compiled_of(d)->model->wireguard.listen_port;
	unsigned long long age =
		f->handshake_s > d->gateway->now_s ? 0 : d->gateway->now_s - f->handshake_s;
	char fix[TEXT_MAX];

	snprintf(fix, sizeof(fix),
		"on the client: wg-quick up FILE of `sallyport peer export %s`; is UDP %u open on "
		"the way (sallyport ports)? Are both keys the right ones?",
		d->peer->object.name, port);
	if (f->handshake_s == 0)
		doctor_say(d, DOCTOR_FAIL, fix, "there has never been a handshake");
	else if (age > LIVE_S)
		doctor_say(d, DOCTOR_FAIL, fix, "the last handshake was %llu s ago, from %s", age,
			f->endpoint[0] == '\0' ? "an unknown address" : f->endpoint);
	else
		doctor_say(d, DOCTOR_OK, NULL, "handshake %llu s ago, from %s", age,
			f->endpoint[0] == '\0' ? "an unknown address" : f->endpoint);
}

/* The client's own table cannot be seen from here: what to type there, and what it must say. */
static void check_client_routes(struct doctor *d)
{
	const struct compile_set *set = set_of(d);

	if (set == NULL || set->exit_node == NULL)
		return;
	doctor_say(d, DOCTOR_ASK, "ip route get 0.0.0.0/1; ip -6 route get 8000::/1",
		"Linux: both must name the tunnel's interface (dev %s or as the file is called)",
		compiled_of(d)->model->wireguard.interface);
	doctor_say(d, DOCTOR_ASK, "route -n get 0.0.0.0/1", "macOS: interface: utun and a number");
	doctor_say(d, DOCTOR_ASK, "route print 0.0.0.0; route print 128.0.0.0",
		"Windows: both with the tunnel's own address as the interface");
}

static void check_arriving(struct doctor *d)
{
	const struct doctor_peer_figures *f = &d->figures;
	char fix[TEXT_MAX];

	snprintf(fix, sizeof(fix),
		"on the client: the routes of the step before; its own firewall; export the file "
		"anew: sallyport peer export %s",
		d->peer->object.name);
	if (f->rx_packets > 0)
		doctor_say(d, DOCTOR_OK, NULL, "%llu packets out of the tunnel, %llu into it",
			(unsigned long long)f->rx_packets, (unsigned long long)f->tx_packets);
	else if (f->handshake_s == 0)
		doctor_say(d, DOCTOR_FAIL, "connect first", "nothing can come without a handshake");
	else
		doctor_say(d, DOCTOR_FAIL, fix,
			"the tunnel stands (%llu bytes on the wire), and no packet came out of it",
			(unsigned long long)f->wire_rx_bytes);
}

/* Next hops of the internet and of each route that the peer has. */
static void check_targets(struct doctor *d)
{
	const struct compile_set *set = set_of(d);
	struct why_answer answer;

	if (set == NULL || d->gateway->disconnected != NULL)
		return;
	for (size_t i = 0; set->exit_node != NULL && i < 2; i++) {
		if (!judge_internet(d, i, &answer))
			continue;
		if (answer.underlay == NULL)
			doctor_say(d, DOCTOR_FAIL, "ports.NAME.gateways: [ADDRESS]",
				"IPv%d: no port leads to the internet", i == 0 ? 4 : 6);
		else if (answer.underlay->gateway.family != ADDR_NONE)
			say_neighbour(
				d, port_name(d, answer.underlay->port), &answer.underlay->gateway);
		else
			doctor_say(d, DOCTOR_OK, NULL, "IPv%d: on the link of port %s",
				i == 0 ? 4 : 6, port_name(d, answer.underlay->port));
	}
	for (size_t i = 0; i < set->n_routes; i++) {
		const struct model_route *route = set->routes[i].route;

		if (route != NULL && route->via_port.n > 0 && route->gateway.family != ADDR_NONE)
			say_neighbour(d, route->via_port.names[0], &route->gateway);
		for (size_t k = 0; route != NULL && k < route->via_peers.n; k++) {
			struct doctor_peer_figures f = {0};
			uint32_t index = route->via_peers.index[k];
			bool live;

			if (index == d->peer->object.index || d->gateway->figures == NULL)
				continue;
			d->gateway->figures(d->gateway->context, index, &f);
			live = f.handshake_s != 0 && f.handshake_s + LIVE_S >= d->gateway->now_s;
			doctor_say(d, live ? DOCTOR_OK : DOCTOR_FAIL,
				live ? NULL : "connect that peer, or give the route another one",
				"route %s: its routing peer %s is %s", route->object.name,
				route->via_peers.names[k], live ? "connected" : "not connected");
		}
	}
}

static uint64_t refused(const struct doctor *d, const struct addr *addr)
{
	return d->gateway->refused == NULL ? 0 : d->gateway->refused(d->gateway->context, addr);
}

static void check_nat(struct doctor *d)
{
	const struct compile_set *set = set_of(d);
	struct why_answer answer;
	char text[ADDR_TEXT_MAX], fix[TEXT_MAX];

	if (set == NULL || set->exit_node == NULL)
		return;
	snprintf(fix, sizeof(fix),
		"in %.128s: egress.rules: - { from: { peers: [%s] }, use: POOL }, with an address "
		"of that family in the pool",
		d->gateway->file, d->peer->object.name);
	for (size_t i = 0; i < 2; i++) {
		if (!judge_internet(d, i, &answer) || answer.verdict == WHY_POLICY)
			continue;
		if (answer.n_candidates == 0)
			doctor_say(d, DOCTOR_FAIL, fix,
				"IPv%d: no egress rule gives this peer an address: refused",
				i == 0 ? 4 : 6);
		else if (refused(d, &answer.candidates[0]) > 0)
			doctor_say(d, DOCTOR_FAIL,
				"give the pool another address (sallyport egress)",
				"%s has refused %llu flows for want of a port",
				addr_format(&answer.candidates[0], text),
				(unsigned long long)refused(d, &answer.candidates[0]));
		else
			doctor_say(d, DOCTOR_OK, NULL, "IPv%d leaves as %s%s", i == 0 ? 4 : 6,
				addr_format(&answer.candidates[0], text),
				answer.n_candidates > 1 ? " or another of its pool" : "");
	}
}

const struct doctor_check doctor_peer_checks[] = {
	{"permission", "network permission", check_permission},
	{"access", "access graph", check_access},
	{"policy", "policy", check_policy},
	{"connection", "connection", check_connection},
	{"client_routes", "routes of the client", check_client_routes},
	{"arriving", "packets arriving", check_arriving},
	{"targets", "next hops", check_targets},
	{"nat", "NAT", check_nat},
	{NULL, NULL, NULL},
};
