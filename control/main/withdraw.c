/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/main/withdraw.h"

#include <errno.h>
#include <event2/event.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/ring/channel.h"
#include "control/main/kernel.h"

LOG_TYPE(withdraw);

/* The data plane listens as long as it lives. */
static bool has_dataplane(const char *run_dir)
{
	char path[PATH_MAX];
	int fd = -ENAMETOOLONG;

	if (snprintf(path, sizeof(path), "%s/dataplane.sock", run_dir) < (int)sizeof(path))
		fd = channel_connect(path);
	if (fd >= 0)
		close(fd);
	return fd >= 0 || fd == -EAGAIN; /* it lives, and many want to speak with it */
}

int withdraw(const char *run_dir, bool if_stopped)
{
	struct program_kernel unused;
	struct event_base *base;
	struct kernel *kernel = NULL;
	int error = -ENOMEM;

	if (has_dataplane(run_dir) && if_stopped) {
		log_info(withdraw, "sallyport-dataplane runs: its ports keep their devices");
		return 0;
	}
	if (has_dataplane(run_dir)) {
		log_error(withdraw, "sallyport-dataplane runs and needs its ports: stop it first");
		return -EBUSY;
	}
	base = event_base_new();
	if (base != NULL)
		kernel = kernel_create(base, run_dir, &unused, &error);
	if (kernel != NULL)
		error = kernel_withdraw(kernel);
	if (error < 0)
		log_error(withdraw, "not all could be taken back: %s", strerror(-error));
	kernel_destroy(&kernel);
	if (base != NULL)
		event_base_free(base);
	return error;
}
