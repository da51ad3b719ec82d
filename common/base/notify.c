/* SPDX-License-Identifier: BSD-3-Clause */
#include "common/base/notify.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/base/log.h"

LOG_TYPE(notify);

/* The length of the address, 0 if there is no supervisor. */
static socklen_t find_supervisor(struct sockaddr_un *address)
{
	const char *path = getenv("NOTIFY_SOCKET");

	if (path == NULL || (path[0] != '/' && path[0] != '@') ||
		strlen(path) >= sizeof(address->sun_path))
		return 0;
	*address = (struct sockaddr_un){.sun_family = AF_UNIX};
	memcpy(address->sun_path, path, strlen(path));
	if (path[0] == '@')
		address->sun_path[0] = '\0';
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
}

void notify_send(const char *format, ...)
{
	struct sockaddr_un address;
	socklen_t length = find_supervisor(&address);
	char text[NOTIFY_TEXT_MAX];
	va_list args;
	int fd;

	if (length == 0)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	if (sendto(fd, text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL, (struct sockaddr *)&address,
		    length) < 0)
		log_warn(notify, "cannot tell the supervisor: %s", strerror(errno));
	close(fd);
}

static uint64_t number(const char *name)
{
	const char *text = getenv(name);
	char *end;
	unsigned long long value;

	if (text == NULL || *text < '0' || *text > '9')
		return 0;
	errno = 0;
	value = strtoull(text, &end, 10);
	return errno == 0 && *end == '\0' ? value : 0;
}

uint32_t notify_watchdog_ms(void)
{
	uint64_t ms = number("WATCHDOG_USEC") / 1000;

	/* It may be meant for the process that started this one. */
	if (getenv("WATCHDOG_PID") != NULL && number("WATCHDOG_PID") != (uint64_t)getpid())
		return 0;
	return ms > UINT32_MAX ? UINT32_MAX : (uint32_t)ms;
}
