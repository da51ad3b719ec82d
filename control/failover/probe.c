/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/failover/probe.h"

#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { IDENTIFIER = 0x5350 };

struct prober {
	const char *interface;
	int v4, v6; /* -1 = not opened, -2 = cannot be */
};

struct prober *probe_begin(const char *interface)
{
	struct prober *prober = malloc(sizeof(*prober));

	if (prober == NULL)
		abort();
	*prober = (struct prober){interface, -1, -1};
	return prober;
}

/* What comes in on a raw socket is every echo reply of the host's: nothing is wanted of it. */
static int open_socket(const char *interface, int family, int protocol)
{
	int sock = socket(family, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);
	int least = 1;

	if (sock < 0)
		return -2;
	if (setsockopt(sock, SOL_SOCKET, SO_BINDTODEVICE, interface, (socklen_t)strlen(interface)) <
			0 ||
		setsockopt(sock, SOL_SOCKET, SO_RCVBUF, &least, sizeof(least)) < 0) {
		close(sock);
		return -2;
	}
	return sock;
}

/* RFC 1071; the one of ICMPv6 is the kernel's. */
static uint16_t checksum(const void *data, size_t size)
{
	const uint8_t *byte = data;
	uint32_t sum = 0;

	for (size_t i = 0; i + 1 < size; i += 2)
		sum += (uint32_t)byte[i] << 8 | byte[i + 1];
	sum = (sum >> 16) + (sum & 0xffff);
	return htons((uint16_t) ~(sum + (sum >> 16)));
}

static bool send_v4(struct prober *prober, const struct addr *to)
{
	struct sockaddr_in where = {.sin_family = AF_INET};
	struct icmphdr echo = {.type = ICMP_ECHO, .un.echo.id = htons(IDENTIFIER)};

	memcpy(&where.sin_addr, to->bytes, 4);
	echo.checksum = checksum(&echo, sizeof(echo));
	if (prober->v4 == -1)
		prober->v4 = open_socket(prober->interface, AF_INET, IPPROTO_ICMP);
	return prober->v4 >= 0 && sendto(prober->v4, &echo, sizeof(echo), 0,
					  (struct sockaddr *)&where, sizeof(where)) >= 0;
}

static bool send_v6(struct prober *prober, const struct addr *to)
{
	struct sockaddr_in6 where = {.sin6_family = AF_INET6};
	struct icmp6_hdr echo = {.icmp6_type = ICMP6_ECHO_REQUEST, .icmp6_id = htons(IDENTIFIER)};

	memcpy(&where.sin6_addr, to->bytes, 16);
	if (prober->v6 == -1)
		prober->v6 = open_socket(prober->interface, AF_INET6, IPPROTO_ICMPV6);
	return prober->v6 >= 0 && sendto(prober->v6, &echo, sizeof(echo), 0,
					  (struct sockaddr *)&where, sizeof(where)) >= 0;
}

bool probe_send(struct prober *prober, const struct addr *to)
{
	return to->family == ADDR_V4 ? send_v4(prober, to) : send_v6(prober, to);
}

void probe_end(struct prober **prober)
{
	if ((*prober)->v4 >= 0)
		close((*prober)->v4);
	if ((*prober)->v6 >= 0)
		close((*prober)->v6);
	free(*prober);
	*prober = NULL;
}
