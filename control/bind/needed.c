/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Is this card the one by which the machine is reached? A default route leaves by it, or an
 * established connection of sshd's does: its own, and those of a bridge, bond or VLAN on it. The
 * session's environment is asked too, but sudo drops it, so the table of connections counts.
 */
#include "control/bind/bind_priv.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "common/base/addr.h"

enum {
	SSH_PORT = 22,
	ESTABLISHED = 1, /* in /proc/net/tcp */
	LAYERS_MAX = 4,  /* a VLAN on a bridge on a bond */
	LINE_BYTES = 512,
};

/* A line of /proc/net/route or ipv6_route. */
struct route {
	char interface[BIND_NAME_MAX];
	struct prefix prefix;
};

/* The kernel prints words of addresses as it has them in memory. */
static bool read_words(const char *text, struct addr *addr, unsigned words)
{
	for (unsigned i = 0; i < words; i++) {
		unsigned word;

		if (sscanf(text + 8 * i, "%8x", &word) != 1)
			return false;
		memcpy(addr->bytes + 4 * i, &word, 4);
	}
	addr->family = words == 1 ? ADDR_V4 : ADDR_V6;
	return true;
}

static bool read_v4_route(const char *line, struct route *route)
{
	unsigned destination, mask;

	memset(route, 0, sizeof(*route));
	if (sscanf(line, "%63s %8x %*8x %*x %*d %*d %*d %8x", route->interface, &destination,
		    &mask) != 3)
		return false;
	route->prefix.family = ADDR_V4;
	route->prefix.length = (uint8_t)__builtin_popcount(mask);
	memcpy(route->prefix.bytes, &destination, 4);
	return true;
}

static bool read_v6_route(const char *line, struct route *route)
{
	char text[33];
	unsigned length;

	memset(route, 0, sizeof(*route));
	if (sscanf(line, "%32s %2x %*32s %*2x %*32s %*x %*x %*x %*x %63s", text, &length,
		    route->interface) != 3 ||
		length > 128 || strlen(text) != 32)
		return false;
	route->prefix.family = ADDR_V6;
	route->prefix.length = (uint8_t)length;
	for (unsigned i = 0; i < 16; i++) {
		unsigned byte;

		if (sscanf(text + 2 * i, "%2x", &byte) != 1)
			return false;
		route->prefix.bytes[i] = (uint8_t)byte;
	}
	return true;
}

static bool has_interface(const struct bind_card *card, const char *name)
{
	size_t length = strlen(name);

	for (const char *at = card->interfaces; *at != '\0'; at += strspn(at, " ")) {
		size_t word = strcspn(at, " ");

		if (word == length && strncmp(at, name, length) == 0)
			return true;
		at += word;
	}
	return false;
}

/* True if the interface is the card's, or stands on it: as the kernel links them, lower_NAME. */
static bool stands_on(const struct bind_place *place, const char *interface,
	const struct bind_card *card, unsigned layers)
{
	char path[PATH_MAX];
	struct dirent *entry;
	bool found = has_interface(card, interface);
	DIR *dir;

	if (found || layers == 0)
		return found;
	bind_path(place, path, "/sys/class/net/%s", interface);
	dir = opendir(path);
	while (dir != NULL && !found && (entry = readdir(dir)) != NULL) {
		if (strncmp(entry->d_name, "lower_", 6) == 0)
			found = stands_on(place, entry->d_name + 6, card, layers - 1);
	}
	if (dir != NULL)
		closedir(dir);
	return found;
}

static const struct table {
	const char *path;
	bool (*read)(const char *line, struct route *route);
} tables[] = {
	{"/proc/net/route", read_v4_route},
	{"/proc/net/ipv6_route", read_v6_route},
};

/* Calls `each` for every route; ends where it says true. */
static bool find_route(const struct bind_place *place,
	bool (*each)(const struct route *route, void *arg), void *arg)
{
	char path[PATH_MAX], line[LINE_BYTES];
	struct route route;
	bool found = false;

	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
		FILE *file;

		bind_path(place, path, "%s", tables[i].path);
		file = fopen(path, "re");
		while (file != NULL && !found && fgets(line, sizeof(line), file) != NULL)
			found = tables[i].read(line, &route) && each(&route, arg);
		if (file != NULL)
			fclose(file);
	}
	return found;
}

struct asking {
	const struct bind_place *place;
	const struct bind_card *card;
	struct addr to;
	struct route best; /* of those that lead to `to` */
	bool found;
};

/* The kernel has unreachable default routes on `lo` where there is none. */
static bool is_default_here(const struct route *route, void *arg)
{
	const struct asking *a = arg;

	return route->prefix.length == 0 &&
	       stands_on(a->place, route->interface, a->card, LAYERS_MAX);
}

static bool keep_longest(const struct route *route, void *arg)
{
	struct asking *a = arg;

	if (prefix_contains(&route->prefix, &a->to) &&
		(!a->found || route->prefix.length > a->best.prefix.length)) {
		a->best = *route;
		a->found = true;
	}
	return false;
}

/* Answers to this address leave by the card. */
static bool leads_here(struct asking *a, const struct addr *to)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

	a->to = *to;
	a->found = false;
	if (to->family == ADDR_V6 && memcmp(to->bytes, mapped, sizeof(mapped)) == 0) {
		memset(&a->to, 0, sizeof(a->to));
		a->to.family = ADDR_V4;
		memcpy(a->to.bytes, to->bytes + 12, 4);
	}
	find_route(a->place, keep_longest, a);
	return a->found && stands_on(a->place, a->best.interface, a->card, LAYERS_MAX);
}

/* An established connection of sshd's whose answers leave by the card; true and its other end. */
static bool find_session(struct asking *a, unsigned port, unsigned words, struct addr *peer)
{
	char path[PATH_MAX], line[LINE_BYTES], remote[33];
	unsigned local_port, remote_port, state;
	bool found = false;
	FILE *file;

	bind_path(a->place, path, words == 1 ? "/proc/net/tcp" : "/proc/net/tcp6");
	file = fopen(path, "re");
	while (file != NULL && !found && fgets(line, sizeof(line), file) != NULL) {
		memset(peer, 0, sizeof(*peer));
		found = sscanf(line, " %*d: %*32[0-9A-Fa-f]:%4x %32[0-9A-Fa-f]:%4x %2x",
				&local_port, remote, &remote_port, &state) == 4 &&
			(local_port == SSH_PORT || local_port == port) && state == ESTABLISHED &&
			strlen(remote) == 8 * words && read_words(remote, peer, words) &&
			leads_here(a, peer);
	}
	if (file != NULL)
		fclose(file);
	return found;
}

bool bind_is_needed(
	const struct bind_place *place, const struct bind_card *card, char text[BIND_TEXT_MAX])
{
	struct asking a = {.place = place, .card = card};
	char client[64] = "", who[ADDR_TEXT_MAX];
	unsigned port = SSH_PORT;
	struct addr peer;

	if (card->interfaces[0] == '\0')
		return false;
	if (place->ssh != NULL && sscanf(place->ssh, "%63s %*u %*s %u", client, &port) != 2)
		client[0] = '\0';
	if (find_route(place, is_default_here, &a)) {
		snprintf(text, BIND_TEXT_MAX, "the default route leaves by it (%.96s)",
			card->interfaces);
		return true;
	}
	if (!(client[0] != '\0' && addr_parse(client, &peer) == 0 && leads_here(&a, &peer)) &&
		!find_session(&a, port, 1, &peer) && !find_session(&a, port, 4, &peer))
		return false;
	snprintf(text, BIND_TEXT_MAX, "the SSH session of %s comes in by it (%.96s)",
		addr_format(&peer, who), card->interfaces);
	return true;
}
