/* SPDX-License-Identifier: BSD-3-Clause */
/* The watchdog on a clock of the test's: when it tells the supervisor, and when it does not. */
#include "dataplane/main/watchdog.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

static int fd = -1;
static uint64_t beats[2];

static int set_up(void **state)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	char name[64];
	int length = snprintf(name, sizeof(name), "@sallyport-watchdog-%d", (int)getpid());

	memcpy(address.sun_path + 1, name + 1, (size_t)length - 1);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 ||
		bind(fd, (struct sockaddr *)&address,
			(socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)length)) != 0)
		return -1;
	setenv("NOTIFY_SOCKET", name, 1);
	setenv("WATCHDOG_USEC", "4000000", 1);
	memset(beats, 0, sizeof(beats));
	watchdog_watch(&beats[0], "worker %u", 0);
	watchdog_watch(&beats[1], "handshake thread");
	return 0;
}

static int tear_down(void **state)
{
	watchdog_forget();
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	return close(fd);
}

static unsigned count_pings(void)
{
	char text[64];
	unsigned n = 0;
	ssize_t length;

	while ((length = recv(fd, text, sizeof(text), 0)) > 0) {
		assert_memory_equal(text, "WATCHDOG=1", (size_t)length);
		n++;
	}
	return n;
}

/* Ticks of 100 ms, in which the threads of the mask move. */
static uint64_t run(uint64_t from_ms, uint64_t to_ms, unsigned moving)
{
	for (; from_ms < to_ms; from_ms += 100) {
		for (unsigned i = 0; i < 2; i++)
			beats[i] += moving >> i & 1;
		watchdog_run(from_ms);
	}
	return to_ms;
}

static void fed_twice_in_each_interval(void **state)
{
	watchdog_start(1000);
	run(1000, 21000, 3);
	assert_int_equal(count_pings(), 10);
}

static void one_hanging_thread_is_enough(void **state)
{
	static const unsigned moving[] = {1, 2, 0};

	for (unsigned i = 0; i < 3; i++) {
		uint64_t now = 1000;

		watchdog_start(now);
		now = run(now, now + WATCHDOG_PATIENCE_MS + 200, moving[i]);
		count_pings();
		now = run(now, now + 20000, moving[i]);
		assert_int_equal(count_pings(), 0);
		/* What moves again is trusted again. */
		run(now, now + 2000, 3);
		assert_int_equal(count_pings(), 1);
	}
}

static void slow_is_not_hanging(void **state)
{
	uint64_t now = 1000;

	watchdog_start(now);
	for (unsigned i = 0; i < 10; i++) {
		beats[0]++;
		beats[1]++;
		now = run(now, now + WATCHDOG_PATIENCE_MS, 0);
	}
	assert_int_equal(count_pings(), 10);
}

static void nobody_asked(void **state)
{
	unsetenv("WATCHDOG_USEC");
	watchdog_start(1000);
	run(1000, 21000, 3);
	assert_int_equal(count_pings(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(fed_twice_in_each_interval, set_up, tear_down),
		cmocka_unit_test_setup_teardown(one_hanging_thread_is_enough, set_up, tear_down),
		cmocka_unit_test_setup_teardown(slow_is_not_hanging, set_up, tear_down),
		cmocka_unit_test_setup_teardown(nobody_asked, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
