/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Waits for an answer that takes long, and meanwhile asks the daemon on another connection how far
 * it is. While its loop reads a large file it does not answer either; then the line counts seconds.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "control/cli/cli.h"
#include "control/progress/progress.h"

enum { ASK_EVERY_MS = 250 };

struct watch {
	struct cli *cli;
	int asked;  /* the connection of a question under way, or -1 */
	char *text; /* of its answer so far */
	size_t size;
	char what[64]; /* as the daemon said it last */
	struct progress now;
};

static void ask(struct watch *w)
{
	static const char question[] = "GET /api/progress HTTP/1.0\r\nHost: localhost\r\n\r\n";

	w->asked = cli_connect(w->cli);
	if (w->asked >= 0 && send(w->asked, question, sizeof(question) - 1, MSG_NOSIGNAL) < 0) {
		close(w->asked);
		w->asked = -1;
	}
}

static enum progress_unit unit_of(const char *word)
{
	return strcmp(word, "bytes") == 0         ? PROGRESS_BYTES
	       : strcmp(word, "thousandths") == 0 ? PROGRESS_THOUSANDTHS
						  : PROGRESS_ITEMS;
}

static void take_answer(struct watch *w)
{
	const char *body = w->text == NULL ? NULL : strstr(w->text, "\r\n\r\n");
	json_t *json = body == NULL ? NULL : json_loads(body + 4, 0, NULL);
	const char *what = json_string_value(json_object_get(json, "what"));

	if (what != NULL) {
		snprintf(w->what, sizeof(w->what), "%s", what);
		w->now = (struct progress){
			.what = w->what,
			.unit = unit_of(cli_text(json, "unit")),
			.done = (uint64_t)cli_int(json, "done"),
			.total = (uint64_t)cli_int(json, "total"),
		};
	}
	json_decref(json);
}

/* A part of the answer, or its end. */
static void read_answer(struct watch *w)
{
	char part[1024];
	ssize_t n = read(w->asked, part, sizeof(part));
	char *grown = n <= 0 ? NULL : realloc(w->text, w->size + (size_t)n + 1);

	if (grown != NULL) {
		memcpy(grown + w->size, part, (size_t)n);
		w->text = grown;
		w->size += (size_t)n;
		grown[w->size] = '\0';
		return;
	}
	take_answer(w);
	close(w->asked);
	free(w->text);
	w->text = NULL;
	w->size = 0;
	w->asked = -1;
}

static volatile sig_atomic_t interrupted;

static void on_interrupt(int number)
{
	interrupted = 1;
}

/* As if nobody had caught the signal, but for a word on what goes on without us. */
static void end_by_interrupt(bool changes)
{
	progress_end();
	if (changes)
		fputs("sallyport: interrupted; sallyportd brings the change to its end, whole or "
		      "not at all: `sallyport history` says which\n",
			stderr);
	signal(SIGINT, SIG_DFL);
	raise(SIGINT);
}

void cli_watch(struct cli *cli, int fd, bool changes)
{
	const struct sigaction action = {.sa_handler = on_interrupt};
	struct sigaction before;
	struct watch w = {.cli = cli, .asked = -1, .now = {.what = "waiting for sallyportd"}};
	struct pollfd fds[2] = {{.fd = fd, .events = POLLIN}};

	sigaction(SIGINT, &action, &before);
	for (;;) {
		int n;

		fds[1] = (struct pollfd){.fd = w.asked, .events = POLLIN};
		n = poll(fds, 2, ASK_EVERY_MS);
		if (interrupted)
			end_by_interrupt(changes);
		if ((n < 0 && errno != EINTR) || (n > 0 && fds[0].revents != 0))
			break;
		if (n > 0 && fds[1].revents != 0)
			read_answer(&w);
		else if (w.asked < 0)
			ask(&w);
		progress_step(w.now.what, w.now.unit, w.now.done, w.now.total);
	}
	sigaction(SIGINT, &before, NULL);
	if (w.asked >= 0)
		close(w.asked);
	free(w.text);
	progress_end();
}
