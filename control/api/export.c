/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The wg-quick file of a peer. Its routes are the compiled ones: what the data plane would refuse
 * is not in it.
 *
 * With the halves of the internet wg-quick does nothing about the tunnel's own packets (it does
 * for /0 only), so the file says it: the routes stand in a table of their own, which everything
 * but packets with the tunnel's mark is sent to, after the main table's routes that are more
 * specific than a default. Answers of the gateway would fail a strict reverse path filter, which
 * knows no mark; a rule for the endpoint's address mends that.
 */
#include "control/api/api_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/conf/conf.h"

enum {
	TABLE = 51820, /* also the mark; what wg-quick itself takes */
	KEEPALIVE_S = 25,
};

/* The first address of a port that leads to the provider; else of the first port. */
static bool default_endpoint(const struct model *m, struct endpoint *out)
{
	const struct model_port *best = NULL;

	for (size_t i = 0; i < m->tables[MODEL_PORT].n; i++) {
		const struct model_port *port = model_port_at(m, i);

		if (port->addresses.n == 0)
			continue;
		if (best == NULL || (best->gateways.n == 0 && port->gateways.n > 0))
			best = port;
	}
	if (best == NULL)
		return false;
	*out = (struct endpoint){
		.addr = best->addresses.items[0].addr,
		.port = m->wireguard.listen_port,
	};
	return true;
}

static void write_addresses(FILE *out, const struct model_peer *peer)
{
	char text[PREFIX_TEXT_MAX];

	fputs("Address = ", out);
	for (size_t i = 0; i < peer->addresses.n; i++) {
		struct prefix host = prefix_of_addr(&peer->addresses.items[i]);

		fprintf(out, "%s%s", i == 0 ? "" : ", ", prefix_format(&host, text));
	}
	fputc('\n', out);
}

static void write_rules(
	FILE *out, const char *verb, const char *action, const struct addr *endpoint)
{
	char text[ADDR_TEXT_MAX];

	for (int family = 4; family <= 6; family += 2) {
		fprintf(out, "%s = ip -%d rule %s not fwmark %d table %d\n", verb, family, action,
			TABLE, TABLE);
		fprintf(out, "%s = ip -%d rule %s table main suppress_prefixlength 0\n", verb,
			family, action);
		if (endpoint->family == family)
			fprintf(out, "%s = ip -%d rule %s to %s table main\n", verb, family, action,
				addr_format(endpoint, text));
	}
}

static void write_halves_policy(FILE *out, const struct addr *endpoint)
{
	fprintf(out,
		"# The routes below go to table %d; all but the tunnel's own packets (mark %d)\n"
		"# look there, after any route of the main table but the default one. `wg-quick\n"
		"# down` takes it back; by hand: ip [-6] rule del ... as in the PreDown lines.\n",
		TABLE, TABLE);
	fprintf(out, "Table = %d\nFwMark = %d\n", TABLE, TABLE);
	write_rules(out, "PostUp", "add", endpoint);
	write_rules(out, "PreDown", "del", endpoint);
}

static bool leads_to(const struct model_route *route, const struct model_peer *peer)
{
	if (!route->enabled || !route->masquerade)
		return false;
	for (size_t i = 0; i < route->via_peers.n; i++) {
		if (route->via_peers.index[i] == peer->object.index)
			return true;
	}
	return false;
}

/* Does a rule give what this route masquerades an address of this pool? */
static bool may_use(
	const struct model *m, const struct model_route *route, const struct model_pool *pool)
{
	for (size_t i = 0; i < m->egress.rules.n; i++) {
		const struct model_egress_rule *rule = &m->egress.rules.items[i];

		if (rule->use.n == 0 || rule->use.index[0] != pool->object.index)
			continue;
		for (size_t k = 0; k < rule->to.n * route->prefixes.n; k++) {
			if (prefix_overlaps(&rule->to.items[k / route->prefixes.n],
				    &route->prefixes.items[k % route->prefixes.n]))
				return true;
		}
	}
	return false;
}

/* A routing peer takes packets from what they are masqueraded as on their way to it, and sends the
 * answers back: the overlay's own address, or those of a pool. */
static void write_pools(FILE *out, const struct model *m, const struct model_peer *peer)
{
	char text[PREFIX_TEXT_MAX];

	for (size_t i = 0; i < m->tables[MODEL_POOL].n; i++) {
		const struct model_pool *pool = model_pool_at(m, i);
		bool used = false;

		for (size_t k = 0; k < m->tables[MODEL_ROUTE].n && !used; k++)
			used = leads_to(model_route_at(m, k), peer) &&
			       may_use(m, model_route_at(m, k), pool);
		for (size_t k = 0; used && k < pool->addresses.n; k++) {
			struct prefix host = prefix_of_addr(&pool->addresses.items[k]);

			fprintf(out, ", %s", prefix_format(&host, text));
		}
	}
}

static void write_allowed(FILE *out, const struct model *m, const struct model_peer *peer,
	const struct compile_set *set, enum api_export_form form)
{
	char text[PREFIX_TEXT_MAX];
	const char *comma = "";

	fputs("AllowedIPs = ", out);
	for (size_t i = 0; i < m->wireguard.addresses.n; i++) {
		struct prefix network = model_network(&m->wireguard.addresses.items[i]);

		fprintf(out, "%s%s", comma, prefix_format(&network, text));
		comma = ", ";
	}
	for (size_t i = 0; i < set->n_routes; i++) {
		if (set->routes[i].route != NULL)
			fprintf(out, "%s%s", comma, prefix_format(&set->routes[i].prefix, text));
	}
	write_pools(out, m, peer);
	/* Also for a peer without an IPv6 address: IPv6 past the tunnel would be a leak. */
	if (set->exit_node != NULL)
		fputs(form == API_EXPORT_FULL ? ", 0.0.0.0/0, ::/0"
					      : ", 0.0.0.0/1, 128.0.0.0/1, ::/1, 8000::/1",
			out);
	fputc('\n', out);
}

static void write_file(FILE *out, const struct compiled *c, const struct model_peer *peer,
	const struct key *gateway, const struct api_export *options, const char *endpoint)
{
	const struct compile_set *set = c->set_of_peer[peer->object.index];
	struct endpoint parsed = {0};
	char key[KEY_TEXT_MAX];
	uint16_t keepalive =
		peer->persistent_keepalive == 0 ? KEEPALIVE_S : peer->persistent_keepalive;

	if (endpoint_parse(endpoint, &parsed) < 0)
		memset(&parsed, 0, sizeof(parsed)); /* a name: no rule for its address */
	fprintf(out, "# Peer '%s' of the Sallyport gateway '%s', for wg-quick.\n",
		peer->object.name, c->model->gateway_name);
	if (set->exit_node != NULL)
		fprintf(out, "# All of its internet traffic goes through exit node '%s'.\n",
			set->exit_node->object.name);
	fputs("[Interface]\nPrivateKey = @PRIVATE_KEY@\n", out);
	write_addresses(out, peer);
	fprintf(out, "MTU = %u\n",
		(unsigned)(peer->mtu == 0 ? c->model->wireguard.mtu : peer->mtu));
	if (set->exit_node != NULL && options->form == API_EXPORT_HALVES)
		write_halves_policy(out, &parsed.addr);
	fprintf(out, "\n[Peer]\nPublicKey = %s\n", key_format(gateway, key));
	if (peer->preshared_key_file != NULL)
		fputs("# A preshared key is in use: put it here as PresharedKey = ...\n", out);
	fprintf(out, "Endpoint = %s\n", endpoint);
	write_allowed(out, c->model, peer, set, options->form);
	fprintf(out, "PersistentKeepalive = %u\n", keepalive);
}

char *api_export_peer(const struct compiled *compiled, const char *name,
	const struct key *gateway_public_key, const struct api_export *options, int *error)
{
	const struct model_peer *peer =
		(const struct model_peer *)model_find(compiled->model, MODEL_PEER, name);
	char buffer[ENDPOINT_TEXT_MAX], *text = NULL;
	const char *address = options->endpoint;
	struct endpoint endpoint;
	size_t size;
	FILE *out;

	if (peer == NULL || !peer->enabled) {
		*error = -ENOENT;
		return NULL;
	}
	if (address == NULL) {
		if (!default_endpoint(compiled->model, &endpoint)) {
			*error = -EDESTADDRREQ;
			return NULL;
		}
		address = endpoint_format(&endpoint, buffer);
	}
	out = open_memstream(&text, &size);
	if (out == NULL) {
		*error = -errno;
		return NULL;
	}
	write_file(out, compiled, peer, gateway_public_key, options, address);
	fclose(out);
	return text;
}

/* One word of a file that is going to be read by a shell script. */
static bool is_plain_endpoint(const char *text)
{
	return strspn(text, "0123456789abcdefghijklmnopqrstuvwxyz"
			    "ABCDEFGHIJKLMNOPQRSTUVWXYZ.:-[]") == strlen(text) &&
	       strrchr(text, ':') != NULL;
}

void api_get_export(struct http_request *request, void *arg)
{
	struct api *api = arg;
	const struct compiled *c = api_need_config(api, request);
	struct api_export options = {.endpoint = http_query(request, "endpoint")};
	struct key private_key, public_key;
	char *text = NULL;
	int error;

	if (c == NULL)
		return;
	if (options.endpoint != NULL && !is_plain_endpoint(options.endpoint)) {
		http_reply_problem(request, 400, "endpoint is HOST:PORT", NULL);
		return;
	}
	if (http_query(request, "full") != NULL)
		options.form = API_EXPORT_FULL;
	error = conf_key_file_read(
		api->state_dir, c->model->wireguard.private_key_file, true, &private_key);
	if (error == 0 && key_public(&private_key, &public_key) == 0)
		text = api_export_peer(c, http_param(request), &public_key, &options, &error);
	key_wipe(&private_key);
	if (text != NULL)
		http_reply_text(request, 200, "text/plain; charset=utf-8", text);
	else if (error == -ENOENT)
		http_reply_problem(request, 404, "there is no such peer, or it is disabled", NULL);
	else if (error == -EDESTADDRREQ)
		http_reply_problem(request, 400, "no port has an address: give an endpoint", NULL);
	else
		http_reply_problem(request, 503, strerror(-error), NULL);
	free(text);
}
