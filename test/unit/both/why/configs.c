/* SPDX-License-Identifier: BSD-3-Clause */
#include "test/unit/both/why/configs.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/key.h"

enum { PEERS = 6, GROUPS = 4, FORWARDS = 3 };

static const char *const route_prefixes[] = {"10.30.0.0/16", "10.30.1.0/24", "172.16.0.0/12",
	"192.168.5.0/24", "'fd30::/48'", "'fd30:0:0:1::/64'", "192.0.2.128/25"};
static const char *const sources[] = {"100.64.0.11", "100.64.0.12", "100.64.0.13", "100.64.0.14",
	"100.64.0.15", "100.64.0.16", "100.64.0.77", "fd64::11", "fd64::14", "fd64::77",
	"10.20.0.10", "fd20::10", "192.0.2.9", "192.0.2.200", "8.8.8.8", "2001:db8:77::9",
	"198.51.100.9", "2001:db8:100::9", "10.30.0.7", "10.30.1.7", "172.16.5.5", "fd30::7",
	"192.168.1.5", "10.201.0.5", "fd01:203:405:1::5", "2001:db8:1:7::5", "169.254.1.1"};
static const char *const destinations[] = {"100.64.0.1", "100.64.0.11", "100.64.0.12",
	"100.64.0.15", "100.64.0.16", "100.64.0.99", "fd64::1", "fd64::11", "fd64::14", "fd64::99",
	"10.20.0.1", "10.20.0.10", "fd20::10", "198.51.100.2", "203.0.113.2", "203.0.113.5",
	"203.0.113.5", "203.0.113.6", "2001:db8:200::5", "10.30.0.10", "10.30.1.10", "172.16.9.9",
	"192.168.5.9", "192.168.1.5", "fd30::10", "fd30:0:0:1::10", "192.0.2.80", "192.0.2.200",
	"8.8.8.8", "10.9.9.9", "2001:db8:77::80", "fd99::1", "169.254.1.1", "fe80::5", "10.201.0.5",
	"10.201.0.255", "2001:db8:1:7::5", "2001:db8:1:ffff::5", "198.51.100.50"};
static const unsigned ports[] = {22, 53, 80, 81, 443, 5000, 8080, 8081, 20000};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static uint64_t state;

void configs_seed(uint64_t seed)
{
	state = seed * 0x9e3779b97f4a7c15ull | 1;
}

unsigned configs_draw(unsigned n)
{
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return (unsigned)((state * 0x2545f4914f6cdd1dull >> 32) * n >> 32);
}

static bool one_in(unsigned n)
{
	return configs_draw(n) == 0;
}

/* "a, c": some of the names that begin with `prefix`, at least one. */
static void write_some(FILE *f, const char *prefix, unsigned n)
{
	unsigned first = configs_draw(n);

	fprintf(f, "%s%u", prefix, first);
	for (unsigned i = first + 1; i < n; i++) {
		if (one_in(3))
			fprintf(f, ", %s%u", prefix, i);
	}
}

static void write_peers(FILE *f)
{
	fprintf(f, "peers:\n");
	for (unsigned i = 0; i < PEERS; i++) {
		struct key key = {0};
		char text[KEY_TEXT_MAX];

		memset(key.bytes, (int)(i + 1), sizeof(key.bytes));
		fprintf(f, "  p%u: {public_key: '%s', addresses: [100.64.0.%u", i,
			key_format(&key, text), 11 + i);
		if (i % 3 == 0)
			fprintf(f, ", 'fd64::1%u'", i + 1);
		fprintf(f, "], groups: [");
		write_some(f, "g", GROUPS);
		fprintf(f, "], enabled: %s}\n", one_in(10) ? "false" : "true");
	}
}

static void write_routes(FILE *f)
{
	fprintf(f, "routes:\n");
	for (unsigned i = 0; i < COUNT(route_prefixes); i++) {
		fprintf(f, "  r%u: {prefixes: [%s], via: {", i, route_prefixes[i]);
		if (one_in(5))
			fprintf(f, "port: lan, gateway: %s",
				strchr(route_prefixes[i], ':') == NULL ? "10.20.0.77"
								       : "'fd20::77'");
		else
			fprintf(f, "peers: [p%u]", configs_draw(PEERS));
		fprintf(f, "}, masquerade: %s, network: n%u", one_in(2) ? "true" : "false", i);
		fprintf(f, ", distribute_to: [");
		write_some(f, "g", GROUPS);
		fprintf(f, "]%s", one_in(4) ? ", distribute_to_ports: [lan]" : "");
		if (one_in(3)) {
			fprintf(f, ", acl_groups: [");
			write_some(f, "g", GROUPS);
			fprintf(f, "]");
		}
		fprintf(f, ", enabled: %s}\n", one_in(4) ? "false" : "true");
	}
	fprintf(f,
		"  mapped: {prefixes: [10.201.0.0/24], map: [192.168.1.0/24], masquerade: %s,\n"
		"    via: {peers: [p4]}, distribute_to: [g0, g1]}\n"
		"  public: {prefixes: ['2001:db8:1::/48'], map: ['fd01:203:405::/48'],\n"
		"    nptv6: true, masquerade: false, via: {peers: [p5]}, distribute_to: [g1, "
		"g2]}\n",
		one_in(2) ? "true" : "false");
}

static void write_egress(FILE *f)
{
	static const char *const uses[] = {"main", "main", "main", "own", "deny"};
	unsigned rules = configs_draw(4);

	fprintf(f,
		"egress:\n  pools:\n"
		"    main: {addresses: [203.0.113.5, 203.0.113.6%s]}\n"
		"    own: {addresses: [203.0.113.2]}\n  rules:\n",
		one_in(2) ? ", '2001:db8:200::5'" : "");
	for (unsigned i = 0; i < rules; i++) {
		fprintf(f, "    - {from: {groups: [");
		write_some(f, "g", GROUPS);
		fprintf(f, "]}, use: %s%s}\n", uses[configs_draw(COUNT(uses))],
			one_in(4) ? ", to: [192.0.2.0/24]" : "");
	}
	fprintf(f, "    - {from: any, use: main}\n");
}

static void write_forwards(FILE *f)
{
	static const unsigned outside[] = {8080, 5000, 20000};

	fprintf(f, "forwards:\n");
	for (unsigned i = 0; i < FORWARDS; i++) {
		fprintf(f, "  f%u: {address: 203.0.113.%u, protocol: %s, ports: %u-%u, to: {", i,
			i == 2 ? 2 : 5, one_in(2) ? "tcp" : "udp", outside[i], outside[i] + 1);
		if (one_in(3))
			fprintf(f, "address: 10.20.0.10");
		else
			fprintf(f, "peer: p%u", configs_draw(PEERS));
		fprintf(f, ", ports: 80-81}, from: %s, enabled: %s}\n",
			one_in(3) ? "{prefixes: [192.0.2.0/25, 203.0.113.0/24]}" : "any",
			one_in(4) ? "false" : "true");
	}
}

static void write_from(FILE *f)
{
	static const char *const prefixes[] = {"100.64.0.8/29", "100.64.0.11/32", "10.30.0.0/16",
		"8.8.8.8/32", "'fd64::/64'", "10.20.0.0/28", "192.0.2.0/24"};

	switch (configs_draw(7)) {
	case 0:
		fprintf(f, "any");
		break;
	case 1:
		fprintf(f, "{port: %s}", one_in(2) ? "lan" : "inet");
		break;
	case 2:
		fprintf(f, "{peers: [p%u]}", configs_draw(PEERS));
		break;
	case 3:
		fprintf(f, "{prefixes: [%s]}", prefixes[configs_draw(COUNT(prefixes))]);
		break;
	case 4:
		fprintf(f, one_in(2) ? "{port: lan" : "{groups: [g0, g1]");
		fprintf(f, ", prefixes: [%s]}", prefixes[configs_draw(COUNT(prefixes))]);
		break;
	default:
		fprintf(f, "{groups: [");
		write_some(f, "g", GROUPS);
		fprintf(f, "]}");
	}
}

/* True if protocol and ports are left to the policy. */
static bool write_to(FILE *f)
{
	static const char *const others[] = {"host: true", "exit_nodes: [internet]",
		"prefixes: [192.0.2.0/24]", "prefixes: [203.0.113.0/24]",
		"routes: [mapped, public]", "prefixes: ['2001:db8::/32']"};
	unsigned kind = configs_draw(9);

	fprintf(f, "{");
	if (kind < COUNT(others)) {
		fprintf(f, "%s", others[kind]);
	} else {
		static const struct {
			const char *key, *prefix;
			unsigned n;
		} lists[] = {{"groups", "g", GROUPS}, {"routes", "r", COUNT(route_prefixes)},
			{"forwards", "f", FORWARDS}};
		unsigned list = kind - (unsigned)COUNT(others);

		fprintf(f, "%s: [", lists[list].key);
		write_some(f, lists[list].prefix, lists[list].n);
		fprintf(f, "]");
	}
	fprintf(f, "}");
	return kind != COUNT(others) + 2;
}

static void write_policies(FILE *f)
{
	static const char *const protocols[] = {"", "", ", protocol: icmp", ", protocol: tcp",
		", protocol: udp, ports: [50-100]", ", protocol: tcp, ports: [80, 443, 8080-8090]"};
	unsigned n = 2 + configs_draw(8);
	bool narrow;

	fprintf(f, "policies:\n");
	for (unsigned i = 0; i < n; i++) {
		fprintf(f, "  - {name: x%u, from: ", i);
		write_from(f);
		fprintf(f, ", to: ");
		narrow = write_to(f);
		fprintf(f, ", action: %s%s}\n", one_in(4) ? "deny" : "allow",
			narrow ? protocols[configs_draw(COUNT(protocols))] : "");
	}
	fprintf(f, "  - {name: out, from: {groups: [g0, g1]}, to: {exit_nodes: [internet]},\n"
		   "     action: allow}\n");
	if (one_in(3))
		fprintf(f, "  - {name: all, from: any, to: {prefixes: [0.0.0.0/0, '::/0']}, "
			   "action: allow}\n");
	fprintf(f, "policy: {routes_without_acl_groups: %s}\n", one_in(2) ? "allow" : "deny");
}

char *configs_make(void)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	if (f == NULL)
		return NULL;
	fprintf(f, "version: 1\n"
		   "ports:\n"
		   "  wan: {device: net_null0, addresses: [198.51.100.2/24, "
		   "'2001:db8:100::2/64']}\n"
		   "  inet: {device: net_null1, addresses: [203.0.113.2/24,\n"
		   "    '2001:db8:200::2/64'], gateways: [203.0.113.1, '2001:db8:200::1']}\n"
		   "  lan: {device: net_null2, addresses: [10.20.0.1/24, 'fd20::1/64']}\n"
		   "wireguard: {addresses: [100.64.0.1/10, 'fd64::1/64']}\n"
		   "groups: {g0: {}, g1: {}, g2: {}, g3: {}}\n");
	write_peers(f);
	write_routes(f);
	fprintf(f, "exit_nodes: {internet: {offer_to: [");
	write_some(f, "g", GROUPS);
	fprintf(f, "]%s}}\n", one_in(3) ? ", also: [192.168.5.0/24, 10.9.0.0/16]" : "");
	write_egress(f);
	write_forwards(f);
	write_policies(f);
	fclose(f);
	return text;
}

void configs_question(const char *words[4])
{
	static char src[64], dst[64], as[8];
	const char *to = destinations[configs_draw(COUNT(destinations))];
	unsigned port = one_in(4) ? 0 : ports[configs_draw(COUNT(ports))];
	bool named = one_in(2);

	/* of one family */
	do {
		snprintf(src, sizeof(src), "%s", sources[configs_draw(COUNT(sources))]);
	} while ((strchr(src, ':') == NULL) != (strchr(to, ':') == NULL));
	snprintf(as, sizeof(as), "p%u", configs_draw(PEERS));
	if (port == 0)
		snprintf(dst, sizeof(dst), "%s", to);
	else
		snprintf(dst, sizeof(dst), strchr(to, ':') == NULL ? "%s:%u" : "[%s]:%u", to, port);
	words[0] = named && one_in(2) ? as : src;
	words[1] = dst;
	words[2] = port == 0 ? NULL : one_in(2) ? "tcp" : "udp";
	words[3] = named && words[0] == src ? as : NULL;
}
