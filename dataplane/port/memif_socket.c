/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/port/memif_socket.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <rte_kvargs.h>

#include "common/base/log.h"

LOG_TYPE(memif);

/* The file of a server whose socket has one; NULL for all other devices. */
static const char *find_path(const struct rte_kvargs *args)
{
	const char *role = rte_kvargs_get(args, "role");
	const char *abstract = rte_kvargs_get(args, "socket-abstract");

	if (role == NULL || (strcmp(role, "server") != 0 && strcmp(role, "master") != 0))
		return NULL;
	if (abstract == NULL || strcmp(abstract, "no") != 0)
		return NULL;
	return rte_kvargs_get(args, "socket");
}

static bool is_deserted(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct stat file;
	bool refused;
	int fd;

	if (lstat(path, &file) != 0 || !S_ISSOCK(file.st_mode) ||
		strlen(path) >= sizeof(address.sun_path))
		return false;
	memcpy(address.sun_path, path, strlen(path));
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return false;
	refused = connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0 &&
		  errno == ECONNREFUSED;
	close(fd);
	return refused;
}

bool memif_socket_forget(const char *devargs)
{
	const char *keys = strchr(devargs, ',');
	struct rte_kvargs *args;
	const char *path;
	bool removed = false;

	if (strncmp(devargs, "net_memif", strlen("net_memif")) != 0 || keys == NULL)
		return false;
	args = rte_kvargs_parse(keys + 1, NULL);
	if (args == NULL)
		return false;
	path = find_path(args);
	if (path != NULL && is_deserted(path)) {
		removed = unlink(path) == 0;
		if (removed)
			log_info(memif, "%s: removed, nobody listened on it", path);
	}
	rte_kvargs_free(args);
	return removed;
}
