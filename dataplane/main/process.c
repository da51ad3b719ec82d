/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/main/process.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "common/base/log.h"

LOG_TYPE(process);

void process_harden(void)
{
	const struct rlimit none = {0, 0};

	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
		log_warn(process, "cannot forbid dumps: %s", strerror(errno));
	if (setrlimit(RLIMIT_CORE, &none) != 0)
		log_warn(process, "cannot forbid cores: %s", strerror(errno));
}

void process_lock_memory(void)
{
	/* On fault: EAL reserves far more addresses than it ever uses. */
	if (mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) != 0)
		log_warn(process, "cannot lock memory, keys may be swapped out: %s",
			strerror(errno));
}

int process_signal_fd(void)
{
	sigset_t set;
	int fd;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	if (sigprocmask(SIG_BLOCK, &set, NULL) != 0)
		return -errno;
	fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	return fd < 0 ? -errno : fd;
}
