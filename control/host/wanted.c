/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Neighbours that the kernel is to keep resolved: next hops of the data plane, and so whatever it
 * was told of, and gateways. They
 * are entered as `managed` (Linux 5.16: the kernel probes them by itself for ever, also while
 * this process is away) and as `extern_learn` (garbage collection passes them over, whatever
 * gc_stale_time says). A kernel that does not know `managed` is asked anew at each refresh.
 *
 * Anyone who can send through the gateway can make the data plane ask for on-link addresses, so
 * their number is bounded and one that does not answer is given up until it is asked for again.
 */
#include "control/host/host_priv.h"

#include <event2/event.h>
#include <linux/neighbour.h>
#include <netlink/msg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/log.h"

LOG_TYPE(host_neighbour);

enum { GIVE_UP_S = 60 };

struct wanted_key {
	struct addr addr;
	uint16_t port;
	uint16_t zero;
};

struct wanted {
	struct wanted_key key;
	int gateways;   /* routes that lead to it */
	time_t asked_s; /* monotonic: when the data plane asked last */
	bool resolved;
	bool managed;      /* the kernel said so */
	UT_hash_handle hh; /* in order of first asking */
};

static time_t now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

static int request(struct host *host, int type, const struct wanted *wanted, uint8_t flags)
{
	const struct host_link *link = link_of_port(host, wanted->key.port);
	uint32_t managed = NTF_EXT_MANAGED;
	struct ndmsg info = {
		.ndm_family = (uint8_t)netlink_family(wanted->key.addr.family),
		.ndm_flags = flags,
		.ndm_state = NUD_NONE,
	};
	struct nl_msg *message;

	if (link == NULL || neighbour_is_fixed(host, link->index, &wanted->key.addr))
		return 0; /* entered when the twin appears; or not in need of it */
	info.ndm_ifindex = link->index;
	message = netlink_message(
		type, type == RTM_NEWNEIGH ? NLM_F_CREATE | NLM_F_REPLACE : 0, &info, sizeof(info));
	netlink_put_addr(message, NDA_DST, &wanted->key.addr);
	if (type == RTM_NEWNEIGH)
		netlink_put(message, NDA_FLAGS_EXT, &managed, sizeof(managed));
	return netlink_request(host, message);
}

static void enter(struct host *host, struct wanted *wanted)
{
	char text[ADDR_TEXT_MAX];
	int error = request(host, RTM_NEWNEIGH, wanted, NTF_EXT_LEARNED);

	if (error < 0)
		log_warn(host_neighbour, "%s: cannot enter: %s",
			addr_format(&wanted->key.addr, text), strerrordesc_np(-error));
}

static void give_up(struct host *host, struct wanted *wanted)
{
	request(host, RTM_DELNEIGH, wanted, 0);
	HASH_DEL(host->wanted, wanted);
	host->wanted_count--;
	free(wanted);
}

static struct wanted *find(const struct host *host, uint16_t port, const struct addr *addr)
{
	struct wanted_key key = {.addr = *addr, .port = port};
	struct wanted *wanted;

	HASH_FIND(hh, host->wanted, &key, sizeof(key), wanted);
	return wanted;
}

/* Room for one more: the oldest that no route leads to goes. False if there is none. */
static bool make_room(struct host *host)
{
	struct wanted *wanted, *next;

	if (host->wanted_count < HOST_NEIGHBOURS_MAX)
		return true;
	HASH_ITER (hh, host->wanted, wanted, next) {
		if (wanted->gateways > 0)
			continue;
		give_up(host, wanted);
		return true;
	}
	return false;
}

static struct wanted *add(struct host *host, uint16_t port, const struct addr *addr)
{
	struct wanted *wanted;

	if (!make_room(host))
		return NULL;
	wanted = calloc(1, sizeof(*wanted));
	if (wanted == NULL)
		abort();
	wanted->key.addr = *addr;
	wanted->key.port = port;
	HASH_ADD(hh, host->wanted, key, sizeof(wanted->key), wanted);
	host->wanted_count++;
	wanted->asked_s = now_s();
	enter(host, wanted);
	return wanted;
}

static bool can_be_neighbour(const struct host *host, const struct addr *addr)
{
	static const uint8_t zero[16];

	if (!addr_is_valid(addr) || local_is(host, addr) ||
		memcmp(addr->bytes, zero, sizeof(zero)) == 0)
		return false;
	return addr->family == ADDR_V4 ? addr->bytes[0] < 224 && addr->bytes[0] != 127
				       : addr->bytes[0] != 0xff;
}

void wanted_add(struct host *host, uint16_t port, const struct addr *addr)
{
	struct wanted *wanted = find(host, port, addr);

	if (wanted != NULL)
		wanted->asked_s = now_s();
	else if (port != 0 && link_of_port(host, port) != NULL && can_be_neighbour(host, addr))
		add(host, port, addr);
}

void wanted_gateway(struct host *host, uint16_t port, const struct addr *addr, int count)
{
	struct wanted *wanted = find(host, port, addr);

	if (wanted == NULL && count > 0 && can_be_neighbour(host, addr))
		wanted = add(host, port, addr);
	if (wanted != NULL)
		wanted->gateways += count;
}

void wanted_seen(
	struct host *host, uint16_t port, const struct addr *addr, bool resolved, bool managed)
{
	struct wanted *wanted = find(host, port, addr);

	if (wanted == NULL) {
		/* An earlier process wanted it: it is ours to look after now. */
		if (managed && make_room(host) && can_be_neighbour(host, addr))
			wanted = add(host, port, addr);
		if (wanted == NULL)
			return;
	}
	if (wanted->managed && !managed)
		event_active(host->refresh, EV_TIMEOUT, 0); /* somebody removed it: at once */
	wanted->resolved = resolved;
	wanted->managed = managed;
}

void wanted_apply(struct host *host, const struct host_link *link)
{
	struct wanted *wanted, *next;

	HASH_ITER (hh, host->wanted, wanted, next) {
		if (link->kind == LINK_TWIN && wanted->key.port == link->port)
			enter(host, wanted);
	}
}

void wanted_refresh(struct host *host)
{
	time_t now = now_s();
	struct wanted *wanted, *next;

	HASH_ITER (hh, host->wanted, wanted, next) {
		if (!wanted->resolved && wanted->gateways <= 0 && now - wanted->asked_s > GIVE_UP_S)
			give_up(host, wanted);
		else if (!wanted->managed)
			request(host, RTM_NEWNEIGH, wanted, NTF_EXT_LEARNED | NTF_USE);
	}
}

void wanted_withdraw(struct host *host)
{
	struct wanted *wanted, *next;

	HASH_ITER (hh, host->wanted, wanted, next) {
		give_up(host, wanted);
	}
}

void wanted_free(struct host *host)
{
	struct wanted *wanted, *next;

	HASH_ITER (hh, host->wanted, wanted, next) {
		HASH_DEL(host->wanted, wanted);
		free(wanted);
	}
}
