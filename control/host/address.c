/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/host/host_priv.h"

#include <errno.h>
#include <linux/if_addr.h>
#include <netlink/msg.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"

LOG_TYPE(host_address);

/* Where an address stands: it may be on several interfaces at once (link-local ones do). */
struct place {
	int index;
	uint8_t length;
	bool ours;
	uint32_t round;
	struct place *next;
};

struct local {
	struct addr addr;
	struct place *places;
	bool told;
	uint16_t port; /* as told */
	UT_hash_handle hh;
};

static bool is_loopback(const struct addr *addr)
{
	static const uint8_t one[16] = {[15] = 1};

	return addr->family == ADDR_V4 ? addr->bytes[0] == 127
				       : memcmp(addr->bytes, one, sizeof(one)) == 0;
}

/* False if it stands nowhere that counts. */
static bool choose_port(const struct host *host, const struct local *local, uint16_t *port)
{
	bool found = false;

	*port = 0;
	for (const struct place *place = local->places; place != NULL; place = place->next) {
		const struct host_link *link = link_find(host, place->index);

		if (link == NULL || link->kind == LINK_DEVICE)
			continue;
		found = true;
		if (link->kind == LINK_TWIN)
			*port = link->port;
	}
	return found;
}

static void give_set(const struct local *local, const struct host_sink *sink)
{
	struct api_local_set set = {.addr = local->addr, .port = local->port};

	sink->local_set(sink->context, &set);
}

/* Tells the sink what changed; the entry goes with its last place. */
static void tell(struct host *host, struct local *local)
{
	struct api_local_del del = {.addr = local->addr};
	uint16_t port;
	bool present = choose_port(host, local, &port);

	if (present && (!local->told || port != local->port)) {
		local->told = true;
		local->port = port;
		host->changed = true;
		give_set(local, &host->sink);
	} else if (!present && local->told) {
		local->told = false;
		host->changed = true;
		host->sink.local_del(host->sink.context, &del);
	}
	if (local->places == NULL) {
		HASH_DEL(host->locals, local);
		free(local);
	}
}

static struct local *find(const struct host *host, const struct addr *addr)
{
	struct local *local;

	HASH_FIND(hh, host->locals, addr, sizeof(*addr), local);
	return local;
}

static struct local *add(struct host *host, const struct addr *addr)
{
	struct local *local = calloc(1, sizeof(*local));

	if (local == NULL)
		abort();
	local->addr = *addr;
	HASH_ADD(hh, host->locals, addr, sizeof(*addr), local);
	return local;
}

static struct place **find_place(struct local *local, int index, uint8_t length)
{
	struct place **place = &local->places;

	while (*place != NULL && ((*place)->index != index || (*place)->length != length))
		place = &(*place)->next;
	return place;
}

static void remove_place(struct place **place)
{
	struct place *gone = *place;

	*place = gone->next;
	free(gone);
}

void local_receive(struct host *host, struct nlmsghdr *header)
{
	const struct ifaddrmsg *info = nlmsg_data(header);
	struct nlattr *attributes[IFA_PROTO + 1];
	struct local *local;
	struct place **place;
	struct addr addr;

	if (nlmsg_parse(header, sizeof(*info), attributes, IFA_PROTO, NULL) < 0)
		return;
	/* IFA_LOCAL is ours where both stand: on point-to-point links the other is the peer's. */
	if (!netlink_addr(
		    attributes[IFA_LOCAL] != NULL ? attributes[IFA_LOCAL] : attributes[IFA_ADDRESS],
		    info->ifa_family, &addr) ||
		is_loopback(&addr))
		return;
	local = find(host, &addr);
	if (header->nlmsg_type == RTM_DELADDR) {
		host_resync_soon(host); /* routes may have gone with it, without a word */
		if (local == NULL)
			return;
		place = find_place(local, (int)info->ifa_index, info->ifa_prefixlen);
		if (*place != NULL)
			remove_place(place);
		tell(host, local);
		return;
	}
	/* the kernel's own link-local ones stay where they are */
	if (info->ifa_family == AF_INET || info->ifa_scope != RT_SCOPE_LINK)
		link_note_address(host, (int)info->ifa_index);
	if (local == NULL)
		local = add(host, &addr);
	place = find_place(local, (int)info->ifa_index, info->ifa_prefixlen);
	if (*place == NULL) {
		*place = calloc(1, sizeof(**place));
		if (*place == NULL)
			abort();
		(*place)->index = (int)info->ifa_index;
		(*place)->length = info->ifa_prefixlen;
	}
	(*place)->round = host->round;
	(*place)->ours =
		attributes[IFA_PROTO] != NULL && nla_get_u8(attributes[IFA_PROTO]) == HOST_PROTOCOL;
	tell(host, local);
}

static void prune(struct host *host, bool (*gone)(const struct host *, const struct place *, int),
	int argument)
{
	struct local *local, *next;

	HASH_ITER (hh, host->locals, local, next) {
		struct place **place = &local->places;

		while (*place != NULL) {
			if (gone(host, *place, argument))
				remove_place(place);
			else
				place = &(*place)->next;
		}
		tell(host, local);
	}
}

static bool is_on(const struct host *host, const struct place *place, int index)
{
	return place->index == index;
}

static bool is_old(const struct host *host, const struct place *place, int unused)
{
	return place->round != host->round;
}

void local_forget_link(struct host *host, int index)
{
	prune(host, is_on, index);
}

void local_sweep(struct host *host)
{
	prune(host, is_old, 0);
}

void local_replay(const struct host *host, const struct host_sink *sink)
{
	for (const struct local *local = host->locals; local != NULL; local = local->hh.next) {
		if (local->told)
			give_set(local, sink);
	}
}

bool local_is(const struct host *host, const struct addr *addr)
{
	return find(host, addr) != NULL;
}

static int request(struct host *host, int type, int index, const struct host_address *address)
{
	struct ifaddrmsg info = {
		.ifa_family = (uint8_t)netlink_family(address->addr.family),
		.ifa_prefixlen = address->length,
		.ifa_index = (uint32_t)index,
		.ifa_scope = RT_SCOPE_UNIVERSE,
	};
	int flags = type == RTM_NEWADDR ? NLM_F_CREATE | NLM_F_REPLACE : 0;
	struct nl_msg *message = netlink_message(type, flags, &info, sizeof(info));
	uint8_t protocol = HOST_PROTOCOL;
	uint32_t how = 0;

	if (address->addr.family == ADDR_V6 && address->nodad)
		how |= IFA_F_NODAD;
	if (address->length == addr_bits(address->addr.family))
		how |= IFA_F_NOPREFIXROUTE; /* nobody else is on-link by it */
	netlink_put_addr(message, IFA_LOCAL, &address->addr);
	netlink_put_addr(message, IFA_ADDRESS, &address->addr);
	if (type == RTM_NEWADDR) {
		netlink_put(message, IFA_FLAGS, &how, sizeof(how));
		netlink_put(message, IFA_PROTO, &protocol, sizeof(protocol));
	}
	return netlink_request(host, message);
}

/*
 * The link-local address of a twin, as the kernel would make it (RFC 4291, appendix A). The kernel
 * would first look for duplicates, and meanwhile not resolve any neighbour; of the port's own MAC
 * address there is none.
 */
static struct host_address link_local(const struct host_link *link)
{
	const uint8_t *m = link->mac;
	struct host_address address = {
		.addr = {.family = ADDR_V6,
			.bytes = {0xfe, 0x80, 0, 0, 0, 0, 0, 0, m[0] ^ 2, m[1], m[2], 0xff, 0xfe,
				m[3], m[4], m[5]}},
		.length = 64,
		.nodad = true,
	};

	return address;
}

/* The addresses that belong on a link, from 0; false past the last one. */
static bool configured(const struct host *host, const struct host_link *link, size_t i,
	struct host_address *address)
{
	const struct host_port *port = link_config(host, link);

	if (port == NULL) {
		if (i < host->config.overlay_address_count)
			*address = host->config.overlay_addresses[i];
		return i < host->config.overlay_address_count;
	}
	if (i < port->address_count)
		*address = port->addresses[i];
	else
		*address = link_local(link);
	return i <= port->address_count;
}

static bool is_configured(const struct host *host, const struct host_link *link,
	const struct addr *addr, uint8_t length)
{
	struct host_address address;

	for (size_t i = 0; configured(host, link, i, &address); i++) {
		if (addr_equal(&address.addr, addr) && address.length == length)
			return true;
	}
	return false;
}

/* Ours that the configuration no longer has on this link. */
static void remove_ours(struct host *host, const struct host_link *link, bool all)
{
	char text[ADDR_TEXT_MAX];

	for (struct local *local = host->locals; local != NULL; local = local->hh.next) {
		for (struct place *place = local->places; place != NULL; place = place->next) {
			struct host_address old = {.addr = local->addr, .length = place->length};

			if (!place->ours || place->index != link->index ||
				(!all && is_configured(host, link, &old.addr, old.length)))
				continue;
			log_info(host_address, "%s: removing %s/%u", link->name,
				addr_format(&old.addr, text), old.length);
			request(host, RTM_DELADDR, link->index, &old);
		}
	}
}

void local_apply(struct host *host, const struct host_link *link)
{
	char text[ADDR_TEXT_MAX];
	struct host_address address;

	remove_ours(host, link, false);
	for (size_t i = 0; configured(host, link, i, &address); i++) {
		struct local *local = find(host, &address.addr);
		struct place *place =
			local == NULL ? NULL : *find_place(local, link->index, address.length);
		int error;

		if (place != NULL && place->ours)
			continue;
		error = request(host, RTM_NEWADDR, link->index, &address);
		if (error < 0)
			log_error(host_address, "%s: cannot add %s/%u: %s", link->name,
				addr_format(&address.addr, text), address.length,
				strerrordesc_np(-error));
	}
}

void local_withdraw(struct host *host)
{
	for (struct host_link *link = host->links; link != NULL; link = link->hh.next)
		remove_ours(host, link, true);
}

void local_free(struct host *host)
{
	struct local *local, *next;

	HASH_ITER (hh, host->locals, local, next) {
		while (local->places != NULL)
			remove_place(&local->places);
		HASH_DEL(host->locals, local);
		free(local);
	}
}
