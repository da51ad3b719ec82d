/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What stood on a port's own device when it became a port: addresses, routes over it, neighbours.
 * The twin carries them while the device is a port, and the device gets them back when it is none
 * any more; so a connection to one of these addresses goes on through start and stop, and may be
 * the one by which somebody is logged in.
 *
 * They are kept (kept.h) in a file per device, in the folder of host_set_folder(), which does not
 * outlive the kernel. So they are put back whatever process does it.
 */
#include "control/host/host_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/log.h"
#include "control/host/kept.h"

LOG_TYPE(host_moved);

/* False without a folder: then nothing is moved. */
static bool find_file(const struct host *host, const char *device, char path[PATH_MAX])
{
	return host->folder[0] != '\0' &&
	       snprintf(path, PATH_MAX, "%s/moved-%s", host->folder, device) < PATH_MAX;
}

static void read_file(const char *path, struct kept *moved)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	ssize_t got = 0;

	*moved = (struct kept){0};
	if (fd < 0)
		return;
	moved->bytes = malloc(KEPT_BYTES_MAX);
	if (moved->bytes == NULL)
		abort();
	while (moved->size < KEPT_BYTES_MAX &&
		(got = read(fd, moved->bytes + moved->size, KEPT_BYTES_MAX - moved->size)) > 0)
		moved->size += (size_t)got;
	close(fd);
}

static int write_file(const char *path, const struct kept *moved)
{
	char fresh[PATH_MAX];
	int fd, error = 0;

	if (snprintf(fresh, sizeof(fresh), "%s.new", path) >= (int)sizeof(fresh))
		return -ENAMETOOLONG;
	fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	if (write(fd, moved->bytes, moved->size) != (ssize_t)moved->size)
		error = errno != 0 ? -errno : -ENOSPC;
	if (close(fd) < 0 && error == 0)
		error = -errno;
	if (error == 0 && rename(fresh, path) < 0)
		error = -errno;
	if (error < 0)
		unlink(fresh);
	return error;
}

/* To what was moved before: another process may have given the device an address since, or the
 * same one again and again, as a DHCP client does. */
static int add_to_file(const char *path, const struct kept *fresh)
{
	struct kept all;
	int error;

	read_file(path, &all);
	error = kept_add(&all, fresh);
	if (error == 0)
		error = write_file(path, &all);
	free(all.bytes);
	return error;
}

int moved_take(struct host *host, const struct host_link *link)
{
	struct kept moved;
	char path[PATH_MAX];
	int error;

	if (!find_file(host, link->name, path))
		return 0;
	error = kept_collect(host, link->index, &moved);
	if (error < 0 || moved.addresses == 0)
		goto out;
	error = add_to_file(path, &moved);
	if (error < 0)
		goto out;
	kept_remove_addresses(host, &moved, link->name);
	log_info(host_moved, "%s: %u addresses are the twin's from now on", link->name,
		moved.addresses);
out:
	free(moved.bytes);
	return error;
}

void moved_put(struct host *host, const struct host_link *twin)
{
	const struct host_port *port = link_config(host, twin);
	struct kept moved;
	char path[PATH_MAX];

	if (port == NULL || port->iface[0] == '\0' || !find_file(host, port->iface, path))
		return;
	read_file(path, &moved);
	kept_put(host, &moved, twin->index, twin->name);
	free(moved.bytes);
}

bool moved_exists(const struct host *host, const char *device)
{
	char path[PATH_MAX];

	return find_file(host, device, path) && access(path, F_OK) == 0;
}

void moved_give_back(struct host *host, const char *device)
{
	int index = (int)if_nametoindex(device);
	struct kept moved;
	char path[PATH_MAX];

	if (!find_file(host, device, path) || access(path, F_OK) < 0)
		return;
	read_file(path, &moved);
	if (index != 0) {
		kept_put(host, &moved, index, device);
		log_info(host_moved, "%s: has its addresses back", device);
	}
	unlink(path);
	free(moved.bytes);
}
