/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A move on trial. The one who waits is a process of its own, because the card may be the
 * operator's way in, and because no daemon need run when cards are handed out. It has its own
 * session, no terminal, and leaves the login's control group, so neither the end of the SSH
 * session nor logind's KillUserProcesses ends it. It sleeps until the deadline on the clock that
 * counts suspension too.
 *
 * A trial is a file in the run directory, named after the card and the deadline. Whoever removes
 * it has decided: the operator's confirmation, or the process at the deadline. A restart of the
 * machine ends it as well: overrides do not outlive it.
 */
#include "control/bind/bind_priv.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

static unsigned long long now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (unsigned long long)now.tv_sec * 1000000000ULL + (unsigned long long)now.tv_nsec;
}

/* Deadline of a file of this folder, 0 = it is none. */
static unsigned long long read_name(const char *name, char address[BIND_ADDRESS_MAX])
{
	unsigned long long deadline;
	char card[BIND_ADDRESS_MAX];
	int end = -1;

	if (sscanf(name, "bind-%15[0-9a-f:.]@%llu%n", card, &deadline, &end) != 2 || end < 0 ||
		name[end] != '\0' || !bind_parse_address(card, address))
		return 0;
	return deadline;
}

unsigned bind_trial_left(const struct bind_place *place, const char *address)
{
	char card[BIND_ADDRESS_MAX];
	unsigned long long deadline, now = now_ns();
	struct dirent *entry;
	unsigned left = 0;
	DIR *dir = opendir(place->run_dir);

	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		deadline = read_name(entry->d_name, card);
		if (deadline > now && strcmp(card, address) == 0)
			left = (unsigned)((deadline - now) / 1000000000ULL) + 1;
	}
	if (dir != NULL)
		closedir(dir);
	return left;
}

static void wait_until(unsigned long long deadline)
{
	const struct timespec at = {
		.tv_sec = (time_t)(deadline / 1000000000ULL),
		.tv_nsec = (long)(deadline % 1000000000ULL),
	};

	while (clock_nanosleep(CLOCK_BOOTTIME, TIMER_ABSTIME, &at, NULL) == EINTR)
		;
}

/* Out of the login's control group; where there is none this fails and nothing is lost. */
static void leave_group(const struct bind_place *place)
{
	char path[PATH_MAX];
	int fd;

	bind_path(place, path, "/sys/fs/cgroup/cgroup.procs");
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd >= 0 && write(fd, "0", 1) < 0)
		syslog(LOG_WARNING, "the return of a card stays in the session's group");
	if (fd >= 0)
		close(fd);
}

static void give_back(const struct bind_place *place, const struct bind_card *was,
	const struct bind_carried *carried)
{
	int rc = bind_restore(place, was);

	if (rc == 0)
		bind_carried_restore(place, carried);
	if (rc == 0)
		syslog(LOG_NOTICE, "%s was not confirmed: back to %s", was->address,
			was->driver[0] == '\0' ? "no driver" : was->driver);
	else
		syslog(LOG_ERR, "%s cannot be given back: %s", was->address, strerror(-rc));
}

static void stand_watch(const struct bind_place *place, const struct bind_card *card,
	const struct bind_carried *carried, const char *file, unsigned long long deadline)
{
	int null = open("/dev/null", O_RDWR);

	/* Nothing of the terminal stays open: sshd waits for whoever holds it. */
	for (int fd = 0; fd < 3 && null >= 0; fd++)
		dup2(null, fd);
	for (int fd = 3; fd < 1024; fd++)
		close(fd);
	openlog("sallyport-bind", LOG_PID, LOG_DAEMON);
	leave_group(place);
	wait_until(deadline);
	if (unlink(file) == 0)
		give_back(place, card, carried);
}

int bind_trial(const struct bind_place *place, const struct bind_card *card, unsigned seconds)
{
	unsigned long long deadline = now_ns() + seconds * 1000000000ULL;
	struct bind_carried *carried;
	char file[PATH_MAX];
	int fd;
	pid_t child;

	if (bind_trial_left(place, card->address) > 0)
		return -EBUSY;
	if (mkdir(place->run_dir, 0755) < 0 && errno != EEXIST)
		return -errno;
	snprintf(file, sizeof(file), "%s/bind-%s@%llu", place->run_dir, card->address, deadline);
	fd = open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0)
		return -errno;
	close(fd);
	carried = bind_carried_remember(place, card); /* it is the child's to give back */
	child = fork();
	if (child != 0)
		bind_carried_forget(&carried);
	if (child < 0) {
		unlink(file);
		return -EAGAIN;
	}
	if (child == 0) {
		signal(SIGHUP, SIG_IGN);
		/* Twice, so that it is nobody's child and leads no session. */
		if (setsid() < 0 || fork() != 0)
			_exit(0);
		stand_watch(place, card, carried, file, deadline);
		_exit(0);
	}
	while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
		;
	return 0;
}

int bind_confirm(const struct bind_place *place, const char *address)
{
	char card[BIND_ADDRESS_MAX], file[PATH_MAX];
	struct dirent *entry;
	int n = 0;
	DIR *dir = opendir(place->run_dir);

	if (dir == NULL)
		return errno == ENOENT ? 0 : -errno;
	while ((entry = readdir(dir)) != NULL) {
		unsigned long long deadline = read_name(entry->d_name, card);

		if (deadline == 0 || (address != NULL && strcmp(card, address) != 0))
			continue;
		snprintf(file, sizeof(file), "%s/%.255s", place->run_dir, entry->d_name);
		/* At the last moment the other side may have been first. */
		if (unlink(file) == 0 && deadline > now_ns())
			n++;
	}
	closedir(dir);
	return n;
}
