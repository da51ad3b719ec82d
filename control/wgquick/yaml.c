/* SPDX-License-Identifier: BSD-3-Clause */
/* The configuration that a wg-quick file becomes. */
#include <string.h>

#include "control/wgquick/wgquick.h"

static void write_ifaddrs(FILE *out, const struct model_ifaddrs *list)
{
	char text[ADDR_TEXT_MAX];

	for (size_t i = 0; i < list->n; i++)
		fprintf(out, "%s\"%s/%u\"", i == 0 ? "" : ", ",
			addr_format(&list->items[i].addr, text), list->items[i].length);
}

static void write_interface(FILE *out, const struct wgquick *file)
{
	const struct model_wireguard *wg = &file->wireguard;

	fputs("wireguard:\n  private_key_file: gateway.key\n", out);
	fprintf(out, "  listen_port: %u\n", wg->listen_port);
	if (wg->mtu != 0)
		fprintf(out, "  mtu: %u\n", wg->mtu);
	fputs("  addresses: [", out);
	write_ifaddrs(out, &wg->addresses);
	fputs("]\n", out);
}

/* True for what no route takes: the default route. */
static bool is_default(const struct prefix *prefix)
{
	return prefix->length == 0;
}

static size_t count_routed(const struct model_peer *peer)
{
	size_t n = 0;

	for (size_t i = 0; i < peer->also_from.n; i++)
		n += !is_default(&peer->also_from.items[i]);
	return n;
}

static void write_peer(FILE *out, const struct model_peer *peer)
{
	char key[KEY_TEXT_MAX], text[ENDPOINT_TEXT_MAX];

	fprintf(out, "  %s:\n    public_key: \"%s\"\n", peer->object.name,
		key_format(&peer->public_key, key));
	fputs("    addresses: [", out);
	for (size_t i = 0; i < peer->addresses.n; i++)
		fprintf(out, "%s\"%s\"", i == 0 ? "" : ", ",
			addr_format(&peer->addresses.items[i], text));
	fputs("]\n    groups: [imported]\n", out);
	if (peer->endpoint.addr.family != ADDR_NONE)
		fprintf(out, "    endpoint: \"%s\"\n", endpoint_format(&peer->endpoint, text));
	if (peer->persistent_keepalive != 0)
		fprintf(out, "    persistent_keepalive: %u\n", peer->persistent_keepalive);
	if (peer->preshared_key_file != NULL)
		fprintf(out, "    preshared_key_file: %s\n", peer->preshared_key_file);
	for (size_t i = 0; i < peer->also_from.n; i++) {
		if (is_default(&peer->also_from.items[i]))
			fprintf(out,
				"    # AllowedIPs had %s: an exit by another peer is not taken "
				"over\n",
				prefix_format(&peer->also_from.items[i], text));
	}
}

static void write_routes(FILE *out, const struct wgquick *file)
{
	char text[PREFIX_TEXT_MAX];
	bool any = false;

	for (size_t i = 0; i < file->n_peers; i++) {
		const struct model_peer *peer = file->peers[i];
		const char *comma = "";

		if (count_routed(peer) == 0)
			continue;
		fprintf(out, "%s  behind-%s:\n    prefixes: [", any ? "" : "\nroutes:\n",
			peer->object.name);
		any = true;
		for (size_t k = 0; k < peer->also_from.n; k++) {
			if (is_default(&peer->also_from.items[k]))
				continue;
			fprintf(out, "%s\"%s\"", comma,
				prefix_format(&peer->also_from.items[k], text));
			comma = ", ";
		}
		fprintf(out,
			"]\n    via: { peers: [%s] }\n    masquerade: false\n"
			"    distribute_to: [imported]\n",
			peer->object.name);
	}
}

static void write_policy(FILE *out, const struct wgquick *file)
{
	const char *comma = "";
	bool any = false;

	fputs("\n# wg-quick let every peer reach every other one, as far as the kernel forwarded.\n"
	      "policies:\n  - name: imported\n    from: { groups: [imported] }\n"
	      "    to: { groups: [imported]",
		out);
	for (size_t i = 0; i < file->n_peers; i++) {
		if (count_routed(file->peers[i]) == 0)
			continue;
		fprintf(out, "%s%sbehind-%s", any ? "" : ", routes: [", comma,
			file->peers[i]->object.name);
		any = true;
		comma = ", ";
	}
	fprintf(out, "%s }\n    action: allow\n", any ? "]" : "");
	fputs("\npolicy:\n  routes_without_acl_groups: deny\n", out);
}

void wgquick_write_yaml(FILE *out, const struct wgquick *file, const char *name)
{
	fprintf(out,
		"# Made of %s by `sallyport import wg-quick`. What is missing: ports, the devices "
		"that\n"
		"# the gateway takes, and exit nodes, if it is to be one.\nversion: 1\n\n",
		name);
	for (size_t i = 0; i < file->n_notes; i++)
		fprintf(out, "%s#   line %s\n", i == 0 ? "# Not taken over, and not run:\n" : "",
			file->notes[i]);
	write_interface(out, file);
	if (file->n_peers == 0)
		return;
	fputs("\ngroups:\n  imported: { description: Peers of the wg-quick file }\n\npeers:\n",
		out);
	for (size_t i = 0; i < file->n_peers; i++)
		write_peer(out, file->peers[i]);
	write_routes(out, file);
	write_policy(out, file);
}
