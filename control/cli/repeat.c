/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * --watch: a command again and again. What it prints is collected first, so that a screen is never
 * half old and half new, and that a signal never cuts a line in two. A daemon that is away is
 * waited for.
 */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "control/cli/cli.h"

#define EVERY_MIN_S 0.2
#define EVERY_MAX_S 3600.0

struct round {
	char *text, *trouble; /* to stdout, to stderr */
	size_t size, trouble_size;
	int code;
};

struct repeat {
	struct cli *cli;
	const struct cli_command *command;
	double every_s;
	bool drawn;          /* text stands on the screen */
	bool away;           /* the daemon was, the last time */
	char away_since[16]; /* "21:03:12" */
	char *told;          /* the trouble that was told last, or NULL */
	struct round shown;  /* the last good one */
	sigset_t outside;    /* the mask in which signals come through */
};

static volatile sig_atomic_t ended, asking;

static void on_end(int number)
{
	ended = 1;
	if (asking) /* of an answer that may be far away nothing has been printed yet */
		_exit(CLI_OK);
}

static double now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void drop_round(struct round *round)
{
	free(round->text);
	free(round->trouble);
	*round = (struct round){0};
}

/* The command once, into memory. */
static void ask(struct repeat *r, struct round *round)
{
	FILE *out = stdout, *err = stderr;

	*round = (struct round){.code = CLI_FAILED};
	stdout = open_memstream(&round->text, &round->size);
	stderr = open_memstream(&round->trouble, &round->trouble_size);
	if (stdout != NULL && stderr != NULL) {
		asking = 1;
		round->code = r->command->run(r->cli);
		asking = 0;
	}
	if (stdout != NULL)
		fclose(stdout);
	if (stderr != NULL)
		fclose(stderr);
	stdout = out;
	stderr = err;
}

/* Until something happens on standard output or the time is over; false if there is an end. */
static bool wait_output(const struct repeat *r, short events, double seconds)
{
	struct pollfd fd = {.fd = STDOUT_FILENO, .events = events};
	struct timespec time = {
		.tv_sec = (time_t)seconds,
		.tv_nsec = (long)((seconds - (double)(time_t)seconds) * 1e9),
	};
	sigset_t inside;
	bool go_on;

	sigemptyset(&inside);
	sigaddset(&inside, SIGINT);
	sigaddset(&inside, SIGTERM);
	sigprocmask(SIG_BLOCK, &inside, NULL);
	go_on = !ended && ppoll(&fd, 1, seconds < 0 ? NULL : &time, &r->outside) >= 0 && !ended;
	sigprocmask(SIG_SETMASK, &r->outside, NULL);
	return go_on && (fd.revents & (POLLERR | POLLHUP | POLLNVAL)) == 0;
}

/* In pieces that a pipe with room takes without waiting; false when nobody reads any more. */
static bool put(const struct repeat *r, const char *text, size_t size)
{
	while (size > 0) {
		ssize_t n;

		if (!wait_output(r, POLLOUT, -1))
			return false;
		n = write(STDOUT_FILENO, text, size > PIPE_BUF ? PIPE_BUF : size);
		if (n < 0 && errno != EINTR && errno != EAGAIN)
			return false;
		text += n < 0 ? 0 : n;
		size -= n < 0 ? 0 : (size_t)n;
	}
	return true;
}

static const char *clock_text(const char *form, char text[32])
{
	time_t now = time(NULL);
	struct tm local;

	text[0] = '\0';
	if (localtime_r(&now, &local) != NULL)
		strftime(text, 32, form, &local);
	return text;
}

static unsigned screen_lines(void)
{
	struct winsize size;

	return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row >= 4 ? size.ws_row : 24;
}

static void draw_head(const struct repeat *r, FILE *out)
{
	char clock[32];

	fprintf(out, "\033[H%s  every %g s: sallyport %s", clock_text("%H:%M:%S", clock),
		r->every_s, r->command->words);
	for (int i = 0; i < r->cli->n_args; i++)
		fprintf(out, " %s", r->cli->args[i]);
	fputs("\033[K\n", out);
	if (r->away)
		fprintf(out, "sallyportd is away since %s; waiting for it\033[K\n", r->away_since);
	else if (r->told != NULL)
		fprintf(out, "%.*s\033[K\n", (int)strcspn(r->told, "\n"), r->told);
}

/* Over what stands there, each line up to its end: nothing flickers. */
static bool draw(struct repeat *r)
{
	unsigned room = screen_lines() - 3;
	const char *line = r->shown.text;
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	bool done;

	if (out == NULL)
		return false;
	if (!r->drawn)
		fputs("\033[2J", out);
	r->drawn = true;
	draw_head(r, out);
	for (; *line != '\0' && room > 0; room--) {
		size_t length = strcspn(line, "\n");

		fprintf(out, "%.*s\033[K\n", (int)length, line);
		line += length + (line[length] == '\n');
	}
	fprintf(out, "%s\033[K\033[J", *line == '\0' ? "" : "(more lines than the screen has)");
	fclose(out);
	done = put(r, text, size);
	free(text);
	return done;
}

/* Behind what was printed before. */
static bool append(const struct repeat *r)
{
	char head[40] = "", clock[32];

	if (!r->cli->json)
		snprintf(head, sizeof(head), "# %s\n", clock_text("%Y-%m-%d %H:%M:%S", clock));
	return put(r, head, strlen(head)) && put(r, r->shown.text, r->shown.size) &&
	       (r->cli->json || put(r, "\n", 1));
}

static bool is_screen(const struct repeat *r)
{
	const char *terminal = getenv("TERM");

	return r->cli->columns != 0 && !r->cli->json &&
	       (terminal == NULL || strcmp(terminal, "dumb") != 0);
}

/* What went wrong, once, on standard error, unless that is the screen that is drawn on. */
static void tell(struct repeat *r, struct round *round)
{
	bool quiet = is_screen(r) && isatty(STDERR_FILENO) == 1;
	const char *what = round->trouble == NULL ? "sallyport: out of memory\n" : round->trouble;
	bool away = round->code == CLI_UNREACHABLE;
	char clock[32];

	if (away && !r->away) {
		snprintf(r->away_since, sizeof(r->away_since), "%.15s",
			clock_text("%H:%M:%S", clock));
		if (!quiet)
			fprintf(stderr, "%.*s; waiting for sallyportd\n", (int)strcspn(what, "\n"),
				what);
	} else if (!away && !quiet && (r->told == NULL || strcmp(r->told, what) != 0)) {
		fputs(what, stderr);
	}
	r->away = away;
	free(r->told);
	r->told = round->trouble;
	round->trouble = NULL;
}

static void take_good(struct repeat *r, struct round *round)
{
	if (r->away && !(is_screen(r) && isatty(STDERR_FILENO) == 1))
		fputs("sallyport: sallyportd is back\n", stderr);
	r->away = false;
	free(r->told);
	r->told = NULL;
	drop_round(&r->shown);
	r->shown = *round;
	*round = (struct round){0};
}

/* False at the end; *code if that is an error. */
static bool step(struct repeat *r, bool first, int *code)
{
	struct round round;
	bool failed, go_on;

	cli_look_at_terminal(r->cli);
	ask(r, &round);
	failed = round.text == NULL || round.trouble == NULL ||
		 (round.code != CLI_OK && round.trouble_size > 0);
	if (failed && first) {
		*code = round.code;
		go_on = put(r, round.text, round.size);
		fputs(round.trouble == NULL ? "sallyport: out of memory\n" : round.trouble, stderr);
		drop_round(&round);
		return false;
	}
	if (failed)
		tell(r, &round);
	else
		take_good(r, &round);
	go_on = is_screen(r) ? draw(r) : failed || append(r);
	drop_round(&round);
	return go_on;
}

static bool take_options(struct repeat *r)
{
	const char *interval = r->cli->interval == NULL ? "1" : r->cli->interval;
	char *end;

	r->every_s = strtod(interval, &end);
	if (end == interval || *end != '\0' || !(r->every_s >= EVERY_MIN_S) ||
		!(r->every_s <= EVERY_MAX_S)) {
		fprintf(stderr, "sallyport: --watch is a time from 0.2 to 3600 seconds, not '%s'\n",
			interval);
		return false;
	}
	if (r->cli->given & (CLI_CHECK | CLI_CSV)) {
		fprintf(stderr,
			"sallyport: --watch does not go with %s; for scripts: --watch --jsonl\n",
			r->cli->given & CLI_CSV ? "--csv" : "--check");
		return false;
	}
	return true;
}

int cli_repeat(struct cli *cli, const struct cli_command *command)
{
	const struct sigaction end = {.sa_handler = on_end}, ignore = {.sa_handler = SIG_IGN};
	struct repeat r = {.cli = cli, .command = command};
	bool go_on = true, first = true;
	int code = CLI_OK;
	double next;

	if (!take_options(&r))
		return CLI_USAGE;
	sigprocmask(SIG_SETMASK, NULL, &r.outside);
	sigaction(SIGINT, &end, NULL);
	sigaction(SIGTERM, &end, NULL);
	sigaction(SIGPIPE, &ignore, NULL);
	fflush(stdout);
	next = now_s();
	while (go_on) {
		double now;

		go_on = step(&r, first, &code);
		first = false;
		now = now_s();
		next = next + r.every_s > now ? next + r.every_s : now + r.every_s;
		go_on = go_on && wait_output(&r, 0, next - now);
	}
	if (r.drawn && put(&r, "\n", 1))
		r.drawn = false;
	drop_round(&r.shown);
	free(r.told);
	return code;
}
