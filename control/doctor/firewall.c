/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Rules of the host's firewall that meet Sallyport's traffic, and the tools that make rules. The
 * kernel's chains do not see what the data plane forwards, nor the tunnels' own packets; they see
 * what is for the gateway itself, and the answers of neighbours, which the kernel looks up for the
 * data plane. Findings say which.
 */
#include <arpa/inet.h>
#include <ifaddrs.h>
#include <limits.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/doctor/doctor_priv.h"
#include "control/host/host.h"

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text == NULL ? "" : text;
}

static const json_t *ruleset_list(const struct doctor *d)
{
	return json_object_get(d->machine->ruleset, "nftables");
}

/* The chain of a rule, or NULL. */
static const json_t *chain_of(const struct doctor *d, const json_t *rule)
{
	const json_t *item;
	size_t i;

	json_array_foreach((json_t *)ruleset_list(d), i, item)
	{
		const json_t *chain = json_object_get(item, "chain");

		if (chain != NULL && strcmp(text_of(chain, "name"), text_of(rule, "chain")) == 0 &&
			strcmp(text_of(chain, "table"), text_of(rule, "table")) == 0 &&
			strcmp(text_of(chain, "family"), text_of(rule, "family")) == 0)
			return chain;
	}
	return NULL;
}

/* True for a number, a range or a set that holds the port. */
static bool covers(const json_t *right, long port)
{
	const json_t *list = json_object_get(right, "set"), *range, *item;
	size_t i;

	if (json_is_integer(right))
		return json_integer_value(right) == port;
	range = json_object_get(right, "range");
	if (range != NULL)
		return json_integer_value(json_array_get(range, 0)) <= port &&
		       json_integer_value(json_array_get(range, 1)) >= port;
	json_array_foreach((json_t *)list, i, item)
	{
		if (covers(item, port))
			return true;
	}
	return false;
}

/* What a rule's expressions say of a destination port of UDP, and what becomes of the packet. */
struct rule_sense {
	bool port;   /* names it */
	bool denies; /* drop or reject */
	bool accepts;
};

static struct rule_sense sense_of(const json_t *rule, long port)
{
	struct rule_sense sense = {0};
	const json_t *expr;
	size_t i;

	json_array_foreach(json_object_get(rule, "expr"), i, expr)
	{
		const json_t *match = json_object_get(expr, "match");
		const json_t *payload = json_object_get(json_object_get(match, "left"), "payload");
		const char *protocol = text_of(payload, "protocol");

		if (strcmp(text_of(payload, "field"), "dport") == 0 &&
			(strcmp(protocol, "udp") == 0 || strcmp(protocol, "th") == 0) &&
			strcmp(text_of(match, "op"), "!=") != 0 &&
			covers(json_object_get(match, "right"), port))
			sense.port = true;
		sense.denies |= json_object_get(expr, "drop") != NULL ||
				json_object_get(expr, "reject") != NULL;
		sense.accepts |= json_object_get(expr, "accept") != NULL;
	}
	return sense;
}

static bool sees_incoming(const json_t *chain)
{
	const char *hook = text_of(chain, "hook");

	/* A chain without a hook is jumped to. */
	return hook[0] == '\0' || strcmp(hook, "input") == 0 || strcmp(hook, "prerouting") == 0 ||
	       strcmp(hook, "ingress") == 0;
}

static void check_listen_port(struct doctor *d)
{
	const struct model *m = d->machine->model;
	const json_t *item;
	unsigned found = 0;
	char fix[256];
	size_t i;

	if (d->machine->ruleset == NULL || m == NULL)
		return;
	json_array_foreach((json_t *)ruleset_list(d), i, item)
	{
		const json_t *rule = json_object_get(item, "rule");
		struct rule_sense sense = sense_of(rule, m->wireguard.listen_port);

		if (!sense.port || !sense.denies || !sees_incoming(chain_of(d, rule)))
			continue;
		found++;
		snprintf(fix, sizeof(fix), "nft delete rule %s %s %s handle %lld",
			text_of(rule, "family"), text_of(rule, "table"), text_of(rule, "chain"),
			(long long)json_integer_value(json_object_get(rule, "handle")));
		doctor_say(d, DOCTOR_WARN, fix,
			"a rule of %s %s %s drops UDP %u: ports of the data plane are read before "
			"it, so tunnels work, but whoever wrote it wants them closed",
			text_of(rule, "family"), text_of(rule, "table"), text_of(rule, "chain"),
			m->wireguard.listen_port);
	}
	if (found == 0)
		doctor_say(d, DOCTOR_OK, NULL, "no rule drops UDP %u", m->wireguard.listen_port);
}

/* True if a rule of the table accepts answers of IPv6 neighbours, as far as text can tell. */
static bool accepts_neighbours(const struct doctor *d, const json_t *chain)
{
	static const char *const words[] = {"nd-neighbor", "icmpv6", "ipv6-icmp", "icmp6"};
	const json_t *item;
	bool found = false;
	size_t i;

	json_array_foreach((json_t *)ruleset_list(d), i, item)
	{
		const json_t *rule = json_object_get(item, "rule");
		char *text;

		if (rule == NULL || strcmp(text_of(rule, "table"), text_of(chain, "table")) != 0)
			continue;
		text = json_dumps(rule, 0);
		for (size_t k = 0; text != NULL && k < sizeof(words) / sizeof(words[0]); k++)
			found |= strstr(text, words[k]) != NULL && sense_of(rule, 0).accepts;
		free(text);
	}
	return found;
}

static bool has_v6_port(const struct model *m)
{
	for (size_t i = 0; m != NULL && i < m->tables[MODEL_PORT].n; i++) {
		const struct model_port *port = model_port_at(m, i);

		for (size_t k = 0; k < port->addresses.n; k++) {
			if (port->addresses.items[k].addr.family == 6)
				return true;
		}
	}
	return false;
}

static void check_neighbours(struct doctor *d)
{
	const json_t *item;
	unsigned found = 0;
	char fix[256];
	size_t i;

	if (d->machine->ruleset == NULL || !has_v6_port(d->machine->model))
		return;
	json_array_foreach((json_t *)ruleset_list(d), i, item)
	{
		const json_t *chain = json_object_get(item, "chain");
		const char *family = text_of(chain, "family");

		if (strcmp(text_of(chain, "hook"), "input") != 0 ||
			strcmp(text_of(chain, "policy"), "drop") != 0 ||
			(strcmp(family, "inet") != 0 && strcmp(family, "ip6") != 0) ||
			accepts_neighbours(d, chain))
			continue;
		found++;
		snprintf(fix, sizeof(fix),
			"nft insert rule %s %s %s icmpv6 type { nd-neighbor-solicit, "
			"nd-neighbor-advert, nd-router-advert } accept",
			family, text_of(chain, "table"), text_of(chain, "name"));
		doctor_say(d, DOCTOR_FAIL, fix,
			"chain %s %s %s drops answers of IPv6 neighbours: the kernel looks them up "
			"for the data plane, so IPv6 has no next hop",
			family, text_of(chain, "table"), text_of(chain, "name"));
	}
	if (found == 0)
		doctor_say(d, DOCTOR_OK, NULL, "answers of neighbours reach the kernel");
}

static void check_guard(struct doctor *d)
{
	const struct model *m = d->machine->model;

	if (!d->machine->running || m == NULL || d->machine->ruleset == NULL)
		return;
	for (size_t i = 0; i < m->tables[MODEL_PORT].n; i++) {
		const struct model_port *port = model_port_at(m, i);
		char iface[HOST_IFACE_MAX], name[HOST_IFACE_MAX + 4], twin[128];
		const json_t *item, *chain;
		bool found = false;
		size_t k;

		host_device_iface(port->device, iface);
		if (iface[0] == '\0')
			continue;
		snprintf(name, sizeof(name), "on_%s", iface);
		json_array_foreach((json_t *)ruleset_list(d), k, item)
		{
			chain = json_object_get(item, "chain");
			found |= strcmp(text_of(chain, "table"), "sallyport_guard") == 0 &&
				 strcmp(text_of(chain, "name"), name) == 0;
		}
		snprintf(twin, sizeof(twin), "/sys/class/net/sp-%s/ifindex", port->object.name);
		if (!found && doctor_number(d, twin) < 0)
			doctor_say(d, DOCTOR_WARN, "sallyport status",
				"port %s: the kernel has %s: no data plane has a port on it",
				port->object.name, iface);
		else if (found)
			doctor_say(d, DOCTOR_OK, NULL, "port %s: the kernel is kept off %s",
				port->object.name, iface);
		else
			doctor_say(d, DOCTOR_FAIL, "sallyport apply",
				"port %s: the guard of %s is gone, so the kernel answers there too "
				"(a tool that flushes all rules does that)",
				port->object.name, iface);
	}
}

/* True if a table or chain has this name, or one that begins with it if it ends in '*'. */
static bool has_named(const struct doctor *d, const char *kind, const char *name)
{
	size_t length = strcspn(name, "*"), i;
	const json_t *item;

	json_array_foreach((json_t *)ruleset_list(d), i, item)
	{
		const char *found = text_of(json_object_get(item, kind), "name");

		if (strncmp(found, name, length) == 0 &&
			(name[length] == '*' || strlen(found) == length))
			return true;
	}
	return false;
}

/* True if a rule names the overlay's interface. */
static bool names_overlay(const struct doctor *d)
{
	const json_t *item;
	char quoted[HOST_IFACE_MAX + 4];
	bool found = false;
	size_t i;

	snprintf(quoted, sizeof(quoted), "\"%s\"", d->machine->model->wireguard.interface);
	json_array_foreach((json_t *)ruleset_list(d), i, item)
	{
		const json_t *rule = json_object_get(item, "rule");
		char *text = rule == NULL ? NULL : json_dumps(rule, 0);

		found |= text != NULL && strstr(text, quoted) != NULL;
		free(text);
	}
	return found;
}

/* "100.64.0.0/10", the overlay's first network. */
static const char *overlay_network(const struct model *m, char text[PREFIX_TEXT_MAX])
{
	struct prefix network = {0};

	if (m->wireguard.addresses.n == 0)
		return "";
	network = model_network(&m->wireguard.addresses.items[0]);
	return prefix_format(&network, text);
}

static void check_ufw(struct doctor *d)
{
	const struct model *m = d->machine->model;
	char fix[160], text[PREFIX_TEXT_MAX];

	if (m == NULL || !has_named(d, "chain", "ufw-before-input"))
		return;
	snprintf(fix, sizeof(fix), "ufw allow in on %s from %s", m->wireguard.interface,
		overlay_network(m, text));
	if (names_overlay(d))
		doctor_say(d, DOCTOR_OK, NULL, "on, with a rule for %s", m->wireguard.interface);
	else
		doctor_say(d, DOCTOR_WARN, fix,
			"on: it drops what peers send to the gateway itself, after Sallyport's "
			"policies have let it in; tunnels and exit traffic are not its business");
}

static void check_firewalld(struct doctor *d)
{
	const struct model *m = d->machine->model;
	char fix[192];

	if (m == NULL || !has_named(d, "table", "firewalld"))
		return;
	snprintf(fix, sizeof(fix),
		"firewall-cmd --permanent --zone=trusted --add-interface=%s && firewall-cmd "
		"--reload",
		m->wireguard.interface);
	if (names_overlay(d))
		doctor_say(d, DOCTOR_OK, NULL, "%s is in a zone", m->wireguard.interface);
	else
		doctor_say(d, DOCTOR_WARN, fix,
			"%s is in no zone of firewalld's: the default zone judges what peers send "
			"to the gateway itself",
			m->wireguard.interface);
}

/* The last line that begins with `key`. */
static void find_line(
	const struct doctor *d, const char *name, const char *key, char *out, size_t size)
{
	char path[PATH_MAX], line[256];
	FILE *file;

	snprintf(path, sizeof(path), "%s%s", d->machine->root, name);
	file = fopen(path, "re");
	while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
		if (strncmp(line, key, strlen(key)) == 0)
			snprintf(out, size, "%s", line);
	}
	if (file != NULL)
		fclose(file);
}

static void check_fail2ban(struct doctor *d)
{
	const struct model *m = d->machine->model;
	char fix[192], text[PREFIX_TEXT_MAX], ignored[256] = "";

	if (m == NULL || (!has_named(d, "table", "f2b-*") && !has_named(d, "chain", "f2b-*")))
		return;
	snprintf(fix, sizeof(fix),
		"add to [DEFAULT] in /etc/fail2ban/jail.local: ignoreip = 127.0.0.1/8 ::1 %s",
		overlay_network(m, text));
	find_line(d, "/etc/fail2ban/jail.local", "ignoreip", ignored, sizeof(ignored));
	if (strstr(ignored, text) != NULL)
		doctor_say(d, DOCTOR_OK, NULL, "on, and leaves %s alone", text);
	else
		doctor_say(d, DOCTOR_WARN, fix,
			"on: one peer's wrong passwords would ban his address, and behind an "
			"egress "
			"address everybody's");
}

static unsigned mask_length(const struct sockaddr_in *mask)
{
	return (unsigned)__builtin_popcount(mask->sin_addr.s_addr);
}

/* The object whose range this network overlaps, or NULL. */
static const char *overlapping(const struct model *m, const struct prefix *network)
{
	if (model_overlaps_overlay(m, network))
		return "the overlay";
	for (size_t i = 0; i < m->tables[MODEL_ROUTE].n; i++) {
		const struct model_route *route = model_route_at(m, i);

		for (size_t k = 0; k < route->prefixes.n; k++) {
			const struct prefix *range = &route->prefixes.items[k];

			if (prefix_covers(range, network) || prefix_covers(network, range))
				return route->object.name;
		}
	}
	return NULL;
}

static void check_docker(struct doctor *d)
{
	const struct model *m = d->machine->model;
	struct ifaddrs *list = NULL;
	unsigned found = 0;

	if (m == NULL || !has_named(d, "chain", "DOCKER*") || getifaddrs(&list) < 0)
		return;
	for (const struct ifaddrs *i = list; i != NULL; i = i->ifa_next) {
		const struct sockaddr_in *sin = (const void *)i->ifa_addr;
		struct model_ifaddr address = {.addr = {.family = 4}};
		struct prefix network;
		const char *object;

		if (sin == NULL || sin->sin_family != AF_INET ||
			(strncmp(i->ifa_name, "docker", 6) != 0 &&
				strncmp(i->ifa_name, "br-", 3) != 0))
			continue;
		memcpy(address.addr.bytes, &sin->sin_addr, 4);
		address.length = (uint8_t)mask_length((const void *)i->ifa_netmask);
		network = model_network(&address);
		object = overlapping(m, &network);
		if (object == NULL)
			continue;
		found++;
		doctor_say(d, DOCTOR_FAIL,
			"give Docker another range: default-address-pools in "
			"/etc/docker/daemon.json",
			"the network of %s overlaps %s: the kernel keeps those addresses to "
			"itself",
			i->ifa_name, object);
	}
	freeifaddrs(list);
	if (found == 0)
		doctor_say(d, DOCTOR_OK, NULL, "its chains see containers only");
}

const struct doctor_check doctor_firewall_checks[] = {
	{"guard", "guard of ports", check_guard},
	{"listen_port", "firewall: the tunnels' port", check_listen_port},
	{"neighbours", "firewall: neighbours", check_neighbours},
	{"ufw", "UFW", check_ufw},
	{"firewalld", "firewalld", check_firewalld},
	{"docker", "Docker", check_docker},
	{"fail2ban", "fail2ban", check_fail2ban},
	{NULL, NULL, NULL},
};
