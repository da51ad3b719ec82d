/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The guard of a port's own device. A port on a kernel device (af_packet, af_xdp) shares its
 * frames with the kernel's stack, which would answer ARP, echo and SYNs beside the data plane. A
 * netdev ingress chain with policy drop stands behind the packet sockets and before the stack: the
 * data plane sees every frame, the stack none. One chain per device in a table of our own.
 *
 * The kernel removes a chain with its device, so a device that comes back is guarded anew.
 */
#include "control/host/host_priv.h"

#include <ctype.h>
#include <errno.h>
#include <jansson.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <nftables/libnftables.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/log.h"
#include "control/host/offload.h"

LOG_TYPE(host_guard);

#define TABLE "sallyport_guard"

enum { COMMAND_MAX = 320 };

int guard_open(struct host *host)
{
	host->nft = nft_ctx_new(NFT_CTX_DEFAULT);
	if (host->nft == NULL)
		return -ENOMEM;
	nft_ctx_buffer_output(host->nft);
	nft_ctx_buffer_error(host->nft);
	return 0;
}

void guard_close(struct host *host)
{
	if (host->nft != NULL)
		nft_ctx_free(host->nft);
	host->nft = NULL;
}

static int run(struct host *host, const char *command, bool quiet)
{
	const char *errors;
	int result = nft_run_cmd_from_buffer(host->nft, command);

	errors = nft_ctx_get_error_buffer(host->nft); /* taking it empties it */
	if (result == 0)
		return 0;
	if (!quiet)
		log_error(host_guard, "nft %s: %.200s", command, errors);
	return -EIO;
}

/* What nft takes in a chain's name, so that the device's can be part of it. */
static bool is_plain(const char *name)
{
	for (; *name != '\0'; name++) {
		if (!isalnum((unsigned char)*name) && strchr("._-", *name) == NULL)
			return false;
	}
	return true;
}

/* Off: the kernel would merge frames into ones that no port takes. */
static void set_feature(const char *name, uint32_t command, uint32_t value)
{
	struct ethtool_value data = {.cmd = command, .data = value};
	struct ifreq request = {.ifr_data = (void *)&data};
	int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	if (sock < 0 || ioctl(sock, SIOCETHTOOL, &request) < 0)
		log_debug(host_guard, "%s: ethtool command %u: %m", name, command);
	if (sock >= 0)
		close(sock);
}

static uint32_t get_flags(const char *name)
{
	struct ethtool_value data = {.cmd = ETHTOOL_GFLAGS};
	struct ifreq request = {.ifr_data = (void *)&data};
	int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	if (sock < 0 || ioctl(sock, SIOCETHTOOL, &request) < 0)
		data.data = 0;
	if (sock >= 0)
		close(sock);
	return data.data;
}

/* Not an error: small packets pass, and `packet.cut` counts the others. */
static void keep_wire_sized(const struct host *host, const struct host_link *link)
{
	const struct host_port *port = link_config(host, link);
	int error = port != NULL && port->own_xdp ? 0 : offload_attach(link->name);

	if (error == -EBUSY)
		log_info(host_guard, "%s: has an XDP program of somebody else's, left alone",
			link->name);
	else if (error < 0)
		log_warn(host_guard,
			"%s: cannot attach an XDP program: %s; large TCP packets will be lost "
			"unless its "
			"far end is told: ethtool -K FAR_END tso off gso off",
			link->name, strerrordesc_np(-error));
}

/*
 * A DHCP client of the host's that was there before goes on at the device, by a packet socket. One
 * for IPv4 alone stands behind the chain (udhcpc's, systemd-networkd's), so answers of servers go
 * through where the device had addresses; the stack has no use for them.
 */
static int add_chain(struct host *host, const char *device)
{
	char command[COMMAND_MAX];
	int error;

	snprintf(command, sizeof(command),
		"add table netdev " TABLE "\n"
		"add chain netdev " TABLE " on_%s { type filter hook ingress device \"%s\" "
		"priority -500; policy drop; }\n"
		"flush chain netdev " TABLE " on_%s",
		device, device, device);
	error = run(host, command, false);
	if (error < 0 || !moved_exists(host, device))
		return error;
	snprintf(command, sizeof(command),
		"add rule netdev " TABLE
		" on_%s udp sport 67 udp dport 68 limit rate 20/second accept",
		device);
	return run(host, command, false);
}

int guard_apply(struct host *host, const struct host_link *link)
{
	uint32_t flags;
	int error;

	if (!is_plain(link->name))
		return -EINVAL;
	error = add_chain(host, link->name);
	if (error < 0)
		return error;
	link_sysctl("ipv6", link->name, "disable_ipv6", "1");
	keep_wire_sized(host, link);
	set_feature(link->name, ETHTOOL_SGRO, 0);
	flags = get_flags(link->name);
	if ((flags & ETH_FLAG_LRO) != 0)
		set_feature(link->name, ETHTOOL_SFLAGS, flags & ~(uint32_t)ETH_FLAG_LRO);
	log_info(host_guard, "%s: guarded", link->name);
	return 0;
}

void guard_remove(struct host *host, const char *device)
{
	char command[COMMAND_MAX];
	int error;

	snprintf(command, sizeof(command), "delete chain netdev " TABLE " on_%s", device);
	/* somebody may have flushed all rules: the rest has to go all the same */
	if (run(host, command, false) == 0)
		log_info(host_guard, "%s: no longer guarded", device);
	if (if_nametoindex(device) == 0)
		return;
	link_sysctl("ipv6", device, "disable_ipv6", "0");
	error = offload_detach(device);
	if (error < 0)
		log_warn(host_guard, "%s: keeps its XDP program: %s; ip link set %s xdp off",
			device, strerrordesc_np(-error), device);
	moved_give_back(host, device);
}

/* It stands on one of a port's devices: an earlier process took that. */
static bool mark_taken(const struct host *host, const char *name)
{
	for (struct host_link *link = host->links; link != NULL; link = link->hh.next) {
		if (link->kind != LINK_DEVICE || strcmp(link->name, name) != 0)
			continue;
		link->proven |= !link->taken;
		link->taken = true;
		return true;
	}
	return false;
}

/* Chains of devices that are no port's any more; `all`: every chain. */
static void remove_chains(struct host *host, bool all)
{
	json_t *root, *list, *item;
	size_t i;

	nft_ctx_output_set_flags(host->nft, NFT_CTX_OUTPUT_JSON);
	if (run(host, "list table netdev " TABLE, true) < 0) {
		nft_ctx_output_set_flags(host->nft, 0);
		return; /* there is none */
	}
	root = json_loads(nft_ctx_get_output_buffer(host->nft), 0, NULL);
	nft_ctx_output_set_flags(host->nft, 0);
	list = json_object_get(root, "nftables");
	json_array_foreach(list, i, item)
	{
		const char *name =
			json_string_value(json_object_get(json_object_get(item, "chain"), "name"));

		if (name != NULL && strncmp(name, "on_", 3) == 0 && is_plain(name) &&
			strlen(name) < HOST_IFACE_MAX + 3 && (all || !mark_taken(host, name + 3)))
			guard_remove(host, name + 3);
	}
	json_decref(root);
}

void guard_remove_stale(struct host *host)
{
	remove_chains(host, false);
}

void guard_withdraw(struct host *host)
{
	remove_chains(host, true);
	run(host, "delete table netdev " TABLE, true);
}
