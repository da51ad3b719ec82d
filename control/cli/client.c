/* SPDX-License-Identifier: BSD-3-Clause */
/* HTTP/1.0 over the Unix socket: the answer ends where the connection ends. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "control/cli/cli.h"
#include "control/progress/progress.h"

enum { TIMEOUT_S = 60 };

static int unreachable(const struct cli *cli, const char *why)
{
	if (cli->json)
		cli_print_json_new(
			json_pack("{s:s, s:s}", "error", "unreachable", "socket", cli->socket));
	fprintf(stderr, "sallyport: %s: %s\nIs sallyportd running?\n", cli->socket, why);
	return 0;
}

static int connect_to(const char *path, unsigned timeout_s)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct timeval timeout = {.tv_sec = timeout_s == 0 ? TIMEOUT_S : timeout_s};
	int fd;

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	strcpy(address.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		int error = -errno;

		close(fd);
		return error;
	}
	return fd;
}

static bool send_all(int fd, const char *bytes, size_t size)
{
	while (size > 0) {
		ssize_t n = send(fd, bytes, size, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		bytes += n;
		size -= (size_t)n;
	}
	return true;
}

/* All that comes, terminated; NULL if it ends in an error. */
static char *receive_all(int fd)
{
	char *text = NULL, part[16384];
	size_t size;
	ssize_t n;
	FILE *out = open_memstream(&text, &size);

	if (out == NULL)
		return NULL;
	while ((n = read(fd, part, sizeof(part))) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			break;
		fwrite(part, 1, (size_t)n, out);
	}
	fclose(out);
	if (n < 0) {
		free(text);
		return NULL;
	}
	return text;
}

int cli_connect(const struct cli *cli)
{
	return connect_to(cli->socket, cli->timeout_s);
}

bool cli_is_reachable(const struct cli *cli)
{
	int fd = connect_to(cli->socket, cli->timeout_s);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

int cli_request(struct cli *cli, const char *method, const char *path, const char *type,
	const char *content, size_t size, char **body)
{
	char *head = NULL, *answer = NULL, *end;
	int fd = connect_to(cli->socket, cli->timeout_s), status = 0;
	bool changes = strcmp(method, "GET") != 0;
	struct progress now;

	*body = NULL;
	if (fd < 0)
		return unreachable(cli, strerror(-fd));
	if (asprintf(&head,
		    "%s %s HTTP/1.0\r\nHost: localhost\r\nContent-Type: %s\r\n"
		    "Content-Length: %zu\r\n\r\n",
		    method, path, type, size) < 0)
		head = NULL;
	if (head != NULL && send_all(fd, head, strlen(head)) && send_all(fd, content, size)) {
		/* One of many requests is a step of the work that makes them. A script's
		 * question is given up after a while, a change is waited for. */
		if ((cli_progress_is_shown() || changes) && !progress_look(&now))
			cli_watch(cli, fd, changes);
		answer = receive_all(fd);
	}
	close(fd);
	free(head);
	end = answer == NULL ? NULL : strstr(answer, "\r\n\r\n");
	if (end == NULL || sscanf(answer, "HTTP/1.%*d %d", &status) != 1) {
		free(answer);
		return unreachable(cli, "no answer");
	}
	*body = strdup(end + 4);
	free(answer);
	if (*body == NULL)
		return unreachable(cli, "out of memory");
	return status;
}

static volatile sig_atomic_t stopped;

static void on_signal(int number)
{
	stopped = 1;
}

/* Without SA_RESTART: a read that waits ends, and what has come so far is kept in order. */
static void stop_by_signal(void)
{
	const struct sigaction action = {.sa_handler = on_signal};

	stopped = 0;
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

/* The head of the answer; its status, or 0. */
static int read_head(int fd)
{
	char head[4096];
	size_t n = 0;
	int status = 0;

	while (n + 1 < sizeof(head) && read(fd, head + n, 1) == 1) {
		n++;
		if (n >= 4 && memcmp(head + n - 4, "\r\n\r\n", 4) == 0)
			break;
	}
	head[n] = '\0';
	return sscanf(head, "HTTP/1.%*d %d", &status) == 1 ? status : 0;
}

static void copy_stream(int fd, bool (*take)(const void *bytes, size_t size, void *arg), void *arg)
{
	char part[65536];

	while (!stopped) {
		ssize_t n = read(fd, part, sizeof(part));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0 || !take(part, (size_t)n, arg))
			return;
	}
}

int cli_stream(struct cli *cli, const char *method, const char *path, const char *content,
	bool (*take)(const void *bytes, size_t size, void *arg), void *arg)
{
	const struct timeval never = {0};
	int fd = connect_to(cli->socket, cli->timeout_s), status = 0, code = CLI_OK;
	char *head = NULL, *body;

	if (fd < 0) {
		unreachable(cli, strerror(-fd));
		return CLI_UNREACHABLE;
	}
	if (asprintf(&head,
		    "%s %s HTTP/1.0\r\nHost: localhost\r\nContent-Type: application/json\r\n"
		    "Content-Length: %zu\r\n\r\n",
		    method, path, strlen(content)) < 0)
		head = NULL;
	stop_by_signal();
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &never, sizeof(never));
	if (head != NULL && send_all(fd, head, strlen(head)) &&
		send_all(fd, content, strlen(content)))
		status = read_head(fd);
	free(head);
	if (status == 200) {
		copy_stream(fd, take, arg);
	} else if (status != 0) {
		body = receive_all(fd);
		code = cli_problem(cli, status, body == NULL ? "" : body);
		free(body);
	} else if (!stopped) {
		unreachable(cli, "no answer");
		code = CLI_UNREACHABLE;
	}
	close(fd);
	return code;
}

bool cli_number(const char *option, const char *text, unsigned long max, unsigned long otherwise,
	unsigned long *out)
{
	char *end;

	*out = otherwise;
	if (text == NULL)
		return true;
	errno = 0;
	*out = strtoul(text, &end, 10);
	if (errno == 0 && text[0] >= '0' && text[0] <= '9' && *end == '\0' && *out >= 1 &&
		*out <= max)
		return true;
	fprintf(stderr, "sallyport: --%s is a number from 1 to %lu, not '%s'\n", option, max, text);
	return false;
}

bool cli_is_name(const char *what, const char *text)
{
	if (text[0] != '\0' && strspn(text, "0123456789abcdefghijklmnopqrstuvwxyz_-"
					    "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == strlen(text))
		return true;
	fprintf(stderr, "sallyport: '%s' is not a name of a %s\n", text, what);
	return false;
}

int cli_problem(struct cli *cli, int status, const char *body)
{
	json_t *json = json_loads(body, 0, NULL);
	const char *detail = json_string_value(json_object_get(json, "detail"));
	const char *text = json_string_value(json_object_get(json, "text"));

	if (cli->json && json != NULL)
		cli_print_json(json);
	else if (text != NULL)
		fputs(text, stderr);
	/* Findings speak for themselves; what else is refused says why beside them. */
	if (text == NULL || text[0] == '\0' || status != 422)
		fprintf(stderr, "sallyport: %s\n", detail == NULL ? "unreadable answer" : detail);
	json_decref(json);
	if (status == 400 || status == 404 || status == 422)
		return CLI_USAGE;
	return status == 503 ? CLI_DEGRADED : CLI_FAILED;
}

json_t *cli_get(struct cli *cli, const char *path, int *code)
{
	char *body;
	int status = cli_request(cli, "GET", path, "application/json", "", 0, &body);
	json_t *json = NULL;

	if (status == 0) {
		*code = CLI_UNREACHABLE;
	} else if (status != 200) {
		*code = cli_problem(cli, status, body);
	} else {
		json = json_loads(body, 0, NULL);
		*code = CLI_FAILED;
		if (json == NULL)
			fputs("sallyport: unreadable answer\n", stderr);
	}
	free(body);
	return json;
}
