/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Of an address that is the kernel's and the NAT's, each has its ports. The kernel keeps to that
 * for the ports that it chooses itself: the NAT's are among its reserved ones
 * (net.ipv4.ip_local_reserved_ports, which holds for IPv6 and UDP too). What was reserved before
 * is kept in a file and comes back.
 */
#include "control/host/host_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/log.h"

LOG_TYPE(host_reserved);

#define RESERVED "/proc/sys/net/ipv4/ip_local_reserved_ports"
#define CHOSEN   "/proc/sys/net/ipv4/ip_local_port_range"

enum {
	TEXT_MAX = 8192,
	CHOICE_MIN = 10000, /* fewer ports than this are soon used up: that is said */
};

static bool read_text(const char *path, char text[TEXT_MAX])
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got = fd < 0 ? -1 : read(fd, text, TEXT_MAX - 1);

	if (fd >= 0)
		close(fd);
	if (got < 0)
		return false;
	text[got] = '\0';
	text[strcspn(text, "\n")] = '\0';
	return true;
}

static bool write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	size_t size = strlen(text);
	bool whole = fd >= 0 && write(fd, text, size) == (ssize_t)size;

	if (fd >= 0 && close(fd) < 0)
		whole = false;
	return whole;
}

static bool find_file(const struct host *host, char path[PATH_MAX])
{
	return host->folder[0] != '\0' &&
	       snprintf(path, PATH_MAX, "%s/reserved-ports", host->folder) < PATH_MAX;
}

/* Are there enough ports left that the kernel may choose? */
static void check_choice(unsigned nat_first, unsigned nat_last)
{
	unsigned first, last, from, to, left;
	char text[TEXT_MAX];

	if (!read_text(CHOSEN, text) || sscanf(text, "%u %u", &first, &last) != 2 || first > last)
		return;
	from = first > nat_first ? first : nat_first;
	to = last < nat_last ? last : nat_last;
	left = last - first + 1 - (from <= to ? to - from + 1 : 0);
	if (left < CHOICE_MIN)
		log_warn(host_reserved,
			"%u ports are left to the gateway's own connections: ports %u-%u are the "
			"NAT's; sysctl -w net.ipv4.ip_local_port_range='32768 60999' gives 28232",
			left, nat_first, nat_last);
}

void reserved_apply(struct host *host)
{
	unsigned first = host->config.nat_port_first, last = host->config.nat_port_last;
	char path[PATH_MAX], old[TEXT_MAX], text[TEXT_MAX + 16];

	if (!find_file(host, path))
		return;
	if (first == 0) {
		reserved_withdraw(host);
		return;
	}
	check_choice(first, last);
	if (access(path, F_OK) < 0 && (!read_text(RESERVED, old) || !write_text(path, old)))
		goto err;
	if (!read_text(path, old))
		goto err;
	snprintf(text, sizeof(text), "%s%s%u-%u", old, old[0] != '\0' ? "," : "", first, last);
	if (write_text(RESERVED, text))
		return;
err:
	log_warn(host_reserved,
		"ports %u-%u are the NAT's, but the kernel may choose them for connections of its "
		"own: %m; sysctl -w net.ipv4.ip_local_reserved_ports=%u-%u",
		first, last, first, last);
}

void reserved_withdraw(struct host *host)
{
	char path[PATH_MAX], old[TEXT_MAX];

	if (!find_file(host, path) || !read_text(path, old))
		return;
	/* an empty list is a line */
	if (old[0] == '\0')
		strcpy(old, "\n");
	if (!write_text(RESERVED, old))
		log_warn(host_reserved, "cannot give back %s: %m", RESERVED);
	else
		unlink(path);
}
