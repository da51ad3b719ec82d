/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/port/memif_socket.h"

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

static char folder[] = "/tmp/sallyport-memif-XXXXXX";
static char path[64];

static int set_up(void **state)
{
	if (mkdtemp(folder) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/memif.sock", folder);
	return 0;
}

static int clear(void **state)
{
	unlink(path);
	return 0;
}

static int tear_down(void **state)
{
	unlink(path);
	return rmdir(folder);
}

/* A listening socket at the path; its file stays when it is closed, as a killed process's does. */
static int listen_there(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	memcpy(address.sun_path, path, strlen(path));
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 1), 0);
	return fd;
}

static bool forget(const char *format)
{
	char text[160];

	snprintf(text, sizeof(text), format, path);
	return memif_socket_forget(text);
}

static const char server[] = "net_memif0,role=server,id=0,socket-abstract=no,socket=%s";

static void deserted_socket_goes(void **state)
{
	close(listen_there());
	assert_true(forget(server));
	assert_int_equal(access(path, F_OK), -1);
	assert_false(forget(server)); /* nothing there */
}

static void socket_in_use_stays(void **state)
{
	int fd = listen_there();

	assert_false(forget(server));
	assert_int_equal(access(path, F_OK), 0);
	close(fd);
}

static void only_what_a_server_would_bind(void **state)
{
	static const char *const others[] = {
		"net_memif0,role=client,id=0,socket-abstract=no,socket=%s",
		"net_memif0,role=server,id=0,socket=%s",
		"net_memif0,id=0,socket-abstract=no,socket=%s",
		"net_tap0,role=server,socket-abstract=no,socket=%s",
		"net_memif0%s",
		"net_memif0,role=server,,=%s",
	};

	close(listen_there());
	for (unsigned i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		assert_false(forget(others[i]));
	assert_int_equal(access(path, F_OK), 0);
	assert_true(forget(server));
}

static void other_files_stay(void **state)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fclose(file);
	assert_false(forget(server));
	assert_int_equal(access(path, F_OK), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(deserted_socket_goes, clear),
		cmocka_unit_test_setup(socket_in_use_stays, clear),
		cmocka_unit_test_setup(only_what_a_server_would_bind, clear),
		cmocka_unit_test_setup(other_files_stay, clear),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
