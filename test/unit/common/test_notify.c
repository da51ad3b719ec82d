/* SPDX-License-Identifier: BSD-3-Clause */
/* The supervisor is a socket of the test's own, as sd_notify(3) describes it. */
#include "common/base/notify.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

struct supervisor {
	int fd;
	char name[64];
};

static int set_up(void **state)
{
	static struct supervisor supervisor;
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int length;

	supervisor.fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	length = snprintf(
		supervisor.name, sizeof(supervisor.name), "@sallyport-notify-%d", (int)getpid());
	memcpy(address.sun_path + 1, supervisor.name + 1, (size_t)length - 1);
	if (supervisor.fd < 0 ||
		bind(supervisor.fd, (struct sockaddr *)&address,
			(socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)length)) != 0)
		return -1;
	setenv("NOTIFY_SOCKET", supervisor.name, 1);
	*state = &supervisor;
	return 0;
}

static int tear_down(void **state)
{
	struct supervisor *supervisor = *state;

	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
	return close(supervisor->fd);
}

static ssize_t receive(const struct supervisor *supervisor, char text[1024])
{
	ssize_t n = recv(supervisor->fd, text, 1023, 0);

	text[n > 0 ? n : 0] = '\0';
	return n;
}

static void lines_arrive_whole(void **state)
{
	char text[1024], longer[1024];

	notify_send("READY=1\nSTATUS=%u workers", 3);
	assert_int_equal(receive(*state, text), 24);
	assert_string_equal(text, "READY=1\nSTATUS=3 workers");
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	notify_send("STATUS=%s", longer);
	assert_int_equal(receive(*state, text), NOTIFY_TEXT_MAX - 1);
}

static void without_supervisor_nothing_happens(void **state)
{
	static const char too_long[] =
		"/0123456789012345678901234567890123456789012345678901234567890123456789"
		"0123456789012345678901234567890123456789";
	static const char *const names[] = {NULL, "", "relative", "@", too_long};
	char text[1024];

	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (names[i] == NULL)
			unsetenv("NOTIFY_SOCKET");
		else
			setenv("NOTIFY_SOCKET", names[i], 1);
		notify_send("READY=1");
		assert_int_equal(receive(*state, text), -1);
	}
}

static void interval_is_read_strictly(void **state)
{
	static const struct {
		const char *usec, *pid;
		uint32_t ms;
	} cases[] = {
		{NULL, NULL, 0},
		{"5000000", NULL, 5000},
		{"5000000", "1", 0}, /* another process's */
		{"5000000", "", 0},
		{"-5", NULL, 0},
		{"5s", NULL, 0},
		{"", NULL, 0},
		{"18446744073709551615", NULL, UINT32_MAX},
		{"99999999999999999999999", NULL, 0},
	};
	char own[16];

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		unsetenv("WATCHDOG_USEC");
		unsetenv("WATCHDOG_PID");
		if (cases[i].usec != NULL)
			setenv("WATCHDOG_USEC", cases[i].usec, 1);
		if (cases[i].pid != NULL)
			setenv("WATCHDOG_PID", cases[i].pid, 1);
		assert_int_equal(notify_watchdog_ms(), cases[i].ms);
	}
	snprintf(own, sizeof(own), "%d", (int)getpid());
	setenv("WATCHDOG_USEC", "2000000", 1);
	setenv("WATCHDOG_PID", own, 1);
	assert_int_equal(notify_watchdog_ms(), 2000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(lines_arrive_whole, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			without_supervisor_nothing_happens, set_up, tear_down),
		cmocka_unit_test_setup_teardown(interval_is_read_strictly, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
