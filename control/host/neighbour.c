/* SPDX-License-Identifier: BSD-3-Clause */
/* The mirror of the twins' neighbours that have a MAC address. */
#include "control/host/host_priv.h"

#include <linux/neighbour.h>
#include <netlink/msg.h>
#include <stdlib.h>
#include <string.h>

enum {
	MAC_SIZE = 6,
	USABLE = NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT | NUD_NOARP,
};

struct neighbour_key {
	struct addr addr;
	int index;
};

struct neighbour {
	struct neighbour_key key;
	uint16_t port;
	uint8_t mac[MAC_SIZE];
	bool fixed; /* entered by hand for good: nothing needs to keep it */
	uint32_t round;
	UT_hash_handle hh;
};

static void give_set(const struct neighbour *neighbour, const struct host_sink *sink)
{
	struct api_neigh_set set = {.addr = neighbour->key.addr, .port = neighbour->port};

	memcpy(set.mac, neighbour->mac, MAC_SIZE);
	sink->neigh_set(sink->context, &set);
}

static void remove_entry(struct host *host, struct neighbour *neighbour)
{
	struct api_neigh_del del = {.addr = neighbour->key.addr, .port = neighbour->port};

	HASH_DEL(host->neighbours, neighbour);
	free(neighbour);
	host->changed = true;
	host->sink.neigh_del(host->sink.context, &del);
}

static struct neighbour *find(const struct host *host, const struct neighbour_key *key)
{
	struct neighbour *neighbour;

	HASH_FIND(hh, host->neighbours, key, sizeof(*key), neighbour);
	return neighbour;
}

bool neighbour_is_fixed(const struct host *host, int index, const struct addr *addr)
{
	struct neighbour_key key = {.addr = *addr, .index = index};
	const struct neighbour *neighbour = find(host, &key);

	return neighbour != NULL && neighbour->fixed;
}

static void set(struct host *host, const struct neighbour_key *key, uint16_t port,
	const uint8_t mac[MAC_SIZE], bool fixed)
{
	struct neighbour *neighbour = find(host, key);

	if (neighbour != NULL) {
		neighbour->round = host->round;
		neighbour->fixed = fixed;
		if (neighbour->port == port && memcmp(neighbour->mac, mac, MAC_SIZE) == 0)
			return;
	} else {
		neighbour = calloc(1, sizeof(*neighbour));
		if (neighbour == NULL)
			abort();
		neighbour->key = *key;
		neighbour->round = host->round;
		neighbour->fixed = fixed;
		HASH_ADD(hh, host->neighbours, key, sizeof(neighbour->key), neighbour);
	}
	neighbour->port = port;
	memcpy(neighbour->mac, mac, MAC_SIZE);
	host->changed = true;
	give_set(neighbour, &host->sink);
	wanted_add(host, port, &key->addr); /* the data plane uses what it is told of */
}

static bool is_multicast(const struct addr *addr)
{
	return addr->family == ADDR_V4 ? addr->bytes[0] >= 224 : addr->bytes[0] == 0xff;
}

void neighbour_receive(struct host *host, struct nlmsghdr *header)
{
	const struct ndmsg *info = nlmsg_data(header);
	struct nlattr *attributes[NDA_FLAGS_EXT + 1];
	struct neighbour_key key = {.index = info->ndm_ifindex};
	struct neighbour *known;
	struct host_link *link;
	bool managed, usable;

	link = link_find(host, info->ndm_ifindex);
	if (link == NULL || link->kind != LINK_TWIN ||
		nlmsg_parse(header, sizeof(*info), attributes, NDA_FLAGS_EXT, NULL) < 0 ||
		!netlink_addr(attributes[NDA_DST], info->ndm_family, &key.addr) ||
		is_multicast(&key.addr))
		return;
	managed = attributes[NDA_FLAGS_EXT] != NULL &&
		  (nla_get_u32(attributes[NDA_FLAGS_EXT]) & NTF_EXT_MANAGED) != 0;
	usable = header->nlmsg_type == RTM_NEWNEIGH && (info->ndm_state & USABLE) != 0 &&
		 attributes[NDA_LLADDR] != NULL && nla_len(attributes[NDA_LLADDR]) == MAC_SIZE;
	wanted_seen(
		host, link->port, &key.addr, usable, managed && header->nlmsg_type == RTM_NEWNEIGH);
	if (usable) {
		set(host, &key, link->port, nla_data(attributes[NDA_LLADDR]),
			(info->ndm_state & (NUD_PERMANENT | NUD_NOARP)) != 0);
		return;
	}
	known = find(host, &key);
	if (known != NULL)
		remove_entry(host, known);
}

void neighbour_forget_link(struct host *host, int index)
{
	struct neighbour *neighbour, *next;

	HASH_ITER (hh, host->neighbours, neighbour, next) {
		if (neighbour->key.index == index)
			remove_entry(host, neighbour);
	}
}

void neighbour_sweep(struct host *host)
{
	struct neighbour *neighbour, *next;

	HASH_ITER (hh, host->neighbours, neighbour, next) {
		if (neighbour->round != host->round)
			remove_entry(host, neighbour);
	}
}

void neighbour_replay(const struct host *host, const struct host_sink *sink)
{
	for (const struct neighbour *n = host->neighbours; n != NULL; n = n->hh.next)
		give_set(n, sink);
}

void neighbour_free(struct host *host)
{
	struct neighbour *neighbour, *next;

	HASH_ITER (hh, host->neighbours, neighbour, next) {
		HASH_DEL(host->neighbours, neighbour);
		free(neighbour);
	}
}
