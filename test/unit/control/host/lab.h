/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A network namespace of the test's own with a real kernel in it, a second one as the far end of
 * its wires, and a sink that keeps what the host told. Included by one source per program.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <event2/event.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "control/host/host.h"

enum { EXIT_SKIP = 77, TOLD_MAX = 256, WAIT_S = 30 };

static pid_t far_pid;
static struct event_base *lab_base;

/* What the sink holds: one line each, as in "neigh 1 192.0.2.9 02:00:00:00:00:09". */
struct told {
	char key[96];
	char value[96];
};

static struct told told[TOLD_MAX];
static size_t told_count;
static unsigned told_wrong; /* deletions of what was never set */
static unsigned told_settled;

static struct told *told_find(const char *key)
{
	for (size_t i = 0; i < told_count; i++) {
		if (strcmp(told[i].key, key) == 0)
			return &told[i];
	}
	return NULL;
}

static void told_set(const char *key, const char *value)
{
	struct told *entry = told_find(key);

	if (entry == NULL && told_count < TOLD_MAX)
		entry = &told[told_count++];
	if (entry == NULL)
		abort();
	snprintf(entry->key, sizeof(entry->key), "%s", key);
	snprintf(entry->value, sizeof(entry->value), "%s", value);
}

static void told_del(const char *key)
{
	struct told *entry = told_find(key);

	if (entry == NULL)
		told_wrong++;
	else
		*entry = told[--told_count];
}

static void on_local_set(void *context, const struct api_local_set *local)
{
	char text[ADDR_TEXT_MAX], key[96], value[96];

	snprintf(key, sizeof(key), "local %s", addr_format(&local->addr, text));
	snprintf(value, sizeof(value), "%u", local->port);
	told_set(key, value);
}

static void on_local_del(void *context, const struct api_local_del *local)
{
	char text[ADDR_TEXT_MAX], key[96];

	snprintf(key, sizeof(key), "local %s", addr_format(&local->addr, text));
	told_del(key);
}

static void on_route_set(void *context, const struct api_route_set *route)
{
	char text[PREFIX_TEXT_MAX], gateway[ADDR_TEXT_MAX], key[96], value[96];

	assert_int_equal(route->table, API_TABLE_UNDERLAY);
	assert_int_equal(route->set_id, 0);
	snprintf(key, sizeof(key), "route %s", prefix_format(&route->prefix, text));
	if (route->next == API_NEXT_HOST)
		snprintf(value, sizeof(value), "host");
	else
		snprintf(value, sizeof(value), "port %u via %s", route->port,
			addr_format(&route->gateway, gateway));
	told_set(key, value);
}

static void on_route_del(void *context, const struct api_route_del *route)
{
	char text[PREFIX_TEXT_MAX], key[96];

	snprintf(key, sizeof(key), "route %s", prefix_format(&route->prefix, text));
	told_del(key);
}

static void on_neigh_set(void *context, const struct api_neigh_set *neigh)
{
	char text[ADDR_TEXT_MAX], key[96], value[96];
	const uint8_t *m = neigh->mac;

	snprintf(key, sizeof(key), "neigh %u %s", neigh->port, addr_format(&neigh->addr, text));
	snprintf(value, sizeof(value), "%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3],
		m[4], m[5]);
	told_set(key, value);
}

static void on_neigh_del(void *context, const struct api_neigh_del *neigh)
{
	char text[ADDR_TEXT_MAX], key[96];

	snprintf(key, sizeof(key), "neigh %u %s", neigh->port, addr_format(&neigh->addr, text));
	told_del(key);
}

static void on_settled(void *context)
{
	told_settled++;
}

static const struct host_sink lab_sink = {
	.local_set = on_local_set,
	.local_del = on_local_del,
	.route_set = on_route_set,
	.route_del = on_route_del,
	.neigh_set = on_neigh_set,
	.neigh_del = on_neigh_del,
	.settled = on_settled,
};

static void run(const char *format, ...) __attribute__((format(printf, 1, 2)));
static int status_of(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void far(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void run(const char *format, ...)
{
	char command[512];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(command, sizeof(command), format, arguments);
	va_end(arguments);
	if (system(command) != 0)
		fail_msg("failed: %s", command);
}

/* The exit status, without output. */
static int status_of(const char *format, ...)
{
	char command[600];
	va_list arguments;
	int n;

	va_start(arguments, format);
	n = vsnprintf(command, 512, format, arguments);
	va_end(arguments);
	snprintf(command + n, sizeof(command) - (size_t)n, " >/dev/null 2>&1");
	return WEXITSTATUS(system(command));
}

/* In the far end's namespace. */
static void far(const char *format, ...)
{
	char command[512], inner[400];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(inner, sizeof(inner), format, arguments);
	va_end(arguments);
	snprintf(command, sizeof(command), "nsenter -t %d -n sh -c '%s'", far_pid, inner);
	if (system(command) != 0)
		fail_msg("failed: %s", command);
}

/* What a command prints, cut to one buffer. */
static const char *output_of(const char *command)
{
	static char output[8192];
	FILE *pipe = popen(command, "r");
	size_t n = pipe == NULL ? 0 : fread(output, 1, sizeof(output) - 1, pipe);

	output[n] = '\0';
	if (pipe != NULL)
		pclose(pipe);
	return output;
}

static bool is_told(const char *key, const char *value)
{
	const struct told *entry = told_find(key);

	return value == NULL ? entry == NULL
			     : entry != NULL && (*value == '*' || strcmp(entry->value, value) == 0);
}

static time_t lab_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

static void on_tick(evutil_socket_t fd, short what, void *context)
{
}

/* Runs the loop until it holds: value NULL = not told, "*" = whatever. */
static void await_told(const char *key, const char *value)
{
	time_t end = lab_now() + WAIT_S;
	struct timeval tick = {.tv_usec = 20000};
	struct event *event = event_new(lab_base, -1, EV_PERSIST, on_tick, NULL);

	event_add(event, &tick);
	while (!is_told(key, value) && lab_now() < end)
		event_base_loop(lab_base, EVLOOP_ONCE);
	event_free(event);
	if (!is_told(key, value))
		fail_msg("%s: told '%s', expected '%s'", key,
			told_find(key) != NULL ? told_find(key)->value : "nothing",
			value != NULL ? value : "nothing");
}

static void __attribute__((unused)) await_all(const char *const (*rows)[2], size_t n)
{
	for (size_t i = 0; i < n; i++)
		await_told(rows[i][0], rows[i][1]);
}

/* A wire to the far end, where addresses stand before the near end gets its name. */
static __attribute__((unused)) void lay_wire(
	const char *near, const char *other, const char *address, const char *address6)
{
	run("ip link add unnamed type veth peer name %s netns %d", other, far_pid);
	far("ip addr add %s dev %s; ip addr add %s dev %s nodad; ip link set %s up", address, other,
		address6, other, other);
	run("ip link set unnamed name %s", near);
}

/* False: not root, the tests are to be skipped. */
static bool lab_open(void)
{
	int ready[2];
	char byte;

	if (geteuid() != 0 || unshare(CLONE_NEWNET | CLONE_NEWNS) < 0 || pipe(ready) < 0)
		return false;
	/* sysfs and /proc/sys show the namespace of who looks; mounts stay ours. */
	if (status_of("mount --make-rprivate /") != 0)
		return false;
	far_pid = fork();
	if (far_pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (unshare(CLONE_NEWNET) == 0 && write(ready[1], "x", 1) == 1) {
			for (;;)
				pause();
		}
		_exit(1);
	}
	close(ready[1]);
	if (far_pid < 0 || read(ready[0], &byte, 1) != 1)
		return false;
	close(ready[0]);
	run("ip link set lo up");
	lab_base = event_base_new();
	return lab_base != NULL;
}

static void lab_close(void)
{
	event_base_free(lab_base);
	kill(far_pid, SIGKILL);
	waitpid(far_pid, NULL, 0);
}

static struct addr __attribute__((unused)) address_of(const char *text)
{
	struct addr addr = {0};

	if (addr_parse(text, &addr) < 0)
		abort();
	return addr;
}

static struct prefix __attribute__((unused)) prefix_of(const char *text)
{
	struct prefix prefix = {0};

	if (prefix_parse(text, &prefix) < 0)
		abort();
	return prefix;
}
