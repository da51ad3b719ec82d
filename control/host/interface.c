/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/host/host_priv.h"

#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "control/host/kept.h"

struct host_interface {
	struct kept kept;
	char name[IFNAMSIZ];
	int mtu;
	bool up;
};

/* 0 or -errno. */
static int ask(const char *name, unsigned long request, struct ifreq *answer)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), rc = 0;

	if (fd < 0)
		return -errno;
	snprintf(answer->ifr_name, sizeof(answer->ifr_name), "%s", name);
	if (ioctl(fd, request, answer) < 0)
		rc = -errno;
	close(fd);
	return rc;
}

static int set_mtu(const char *name, int mtu)
{
	struct ifreq request = {.ifr_mtu = mtu};

	return ask(name, SIOCSIFMTU, &request);
}

static int set_up(const char *name)
{
	struct ifreq request = {0};
	int rc = ask(name, SIOCGIFFLAGS, &request);

	if (rc < 0 || (request.ifr_flags & IFF_UP) != 0)
		return rc;
	request.ifr_flags |= IFF_UP;
	return ask(name, SIOCSIFFLAGS, &request);
}

struct host_interface *host_interface_remember(const char *name)
{
	struct host_interface *state = calloc(1, sizeof(*state));
	struct ifreq mtu, flags;
	struct host host = {0};
	int index = (int)if_nametoindex(name), rc = 0;

	if (state == NULL || index == 0)
		goto out_none;
	snprintf(state->name, sizeof(state->name), "%s", name);
	if (ask(name, SIOCGIFMTU, &mtu) < 0 || ask(name, SIOCGIFFLAGS, &flags) < 0)
		goto out_none;
	state->mtu = mtu.ifr_mtu;
	state->up = (flags.ifr_flags & IFF_UP) != 0;
	rc = netlink_open_requests(&host);
	if (rc == 0)
		rc = kept_collect(&host, index, &state->kept);
	netlink_close(&host);
	if (rc < 0 || (!state->up && state->kept.addresses == 0))
		goto out_none;
	return state;

out_none:
	host_interface_forget(&state);
	return NULL;
}

int host_interface_restore(const struct host_interface *state, const char *name)
{
	struct host host = {0};
	int index = (int)if_nametoindex(name), rc;

	if (index == 0)
		return -ENODEV;
	rc = set_mtu(name, state->mtu);
	if (rc == 0 && state->up)
		rc = set_up(name);
	if (rc < 0)
		return rc;
	rc = netlink_open_requests(&host);
	if (rc == 0)
		kept_put(&host, &state->kept, index, name);
	netlink_close(&host);
	return rc;
}

const char *host_interface_name(const struct host_interface *state)
{
	return state->name;
}

void host_interface_forget(struct host_interface **state)
{
	if (*state != NULL)
		free((*state)->kept.bytes);
	free(*state);
	*state = NULL;
}
