/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One line on the terminal that is written over until the work is done: what, how much of it, the
 * rate, the time that is left. Only digits, blanks and a carriage return, so that it needs no
 * colour and works over a serial line. Where there is no terminal, a line of its own now and then.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "control/cli/cli.h"
#include "control/cli/line.h"

enum {
	PATIENCE_MS = 1500, /* what is quicker needs no line */
	DRAW_EVERY_MS = 200,
	TELL_EVERY_MS = 10000, /* without a terminal */
	RATE_AFTER_MS = 500,   /* before that a rate says little */
};

static const char *format_count(enum progress_unit unit, uint64_t n, char text[CLI_UNITS_TEXT])
{
	if (unit == PROGRESS_BYTES)
		return cli_bytes((json_int_t)n, text);
	snprintf(text, CLI_UNITS_TEXT, "%llu", (unsigned long long)n);
	return text;
}

static const char *format_time(uint64_t ms, char text[16])
{
	uint64_t s = (ms + 500) / 1000;

	if (s < 120)
		snprintf(text, 16, "%u s", (unsigned)s);
	else
		snprintf(text, 16, "%u min", (unsigned)((s + 30) / 60));
	return text;
}

/* How much, by the rate of this work so far. */
static void format(const struct cli_line *line, const struct progress *now, uint64_t at_ms,
	char *text, size_t size)
{
	uint64_t spent = at_ms - line->work_ms, risen = now->done - line->work_done;
	char done[CLI_UNITS_TEXT], total[CLI_UNITS_TEXT], rate[CLI_UNITS_TEXT], left[16];
	size_t n;

	if (now->total == 0) {
		snprintf(text, size, "%s  %s", now->what, format_time(spent, left));
		return;
	}
	n = (size_t)snprintf(text, size, "%s", now->what);
	if (now->unit != PROGRESS_THOUSANDTHS)
		n += (size_t)snprintf(text + n, size - n, "  %s of %s",
			format_count(now->unit, now->done, done),
			format_count(now->unit, now->total, total));
	n += (size_t)snprintf(
		text + n, size - n, "  %u %%", (unsigned)(now->done * 100 / now->total));
	if (spent < RATE_AFTER_MS || risen == 0 || now->done >= now->total)
		return;
	if (now->unit != PROGRESS_THOUSANDTHS)
		n += (size_t)snprintf(text + n, size - n, "  %s/s",
			format_count(now->unit, risen * 1000 / spent, rate));
	snprintf(text + n, size - n, "  %s left",
		format_time((now->total - now->done) * spent / risen, left));
}

static void write_over(struct cli_line *line, const char *text)
{
	int width = (int)strlen(text);

	fprintf(line->out, "\r%s", text);
	if (width < line->width)
		fprintf(line->out, "%*s\r%s", line->width - width, "", text);
	fflush(line->out);
	line->width = width;
}

void cli_line_init(struct cli_line *line, FILE *out, unsigned columns,
	uint64_t (*now_ms)(void *arg), void *arg)
{
	*line = (struct cli_line){.out = out, .columns = columns, .now_ms = now_ms, .arg = arg};
	line->start_ms = now_ms(arg);
}

/* For a file or a pipe: whole lines, and few of them. */
static void tell(struct cli_line *line, const struct progress *now, uint64_t at_ms)
{
	uint64_t since = line->drawn_ms == 0 ? line->start_ms : line->drawn_ms;
	char text[256];

	if (at_ms < since + TELL_EVERY_MS)
		return;
	line->drawn_ms = at_ms;
	format(line, now, at_ms, text, sizeof(text));
	fprintf(line->out, "%s\n", text);
	fflush(line->out);
}

void cli_line_step(struct cli_line *line, const struct progress *now)
{
	uint64_t at_ms = line->now_ms(line->arg);
	char text[256];

	if (strncmp(line->what, now->what, sizeof(line->what) - 1) != 0 ||
		now->done < line->work_done) {
		snprintf(line->what, sizeof(line->what), "%s", now->what);
		line->work_ms = at_ms;
		line->work_done = now->done;
	} else if (line->width > 0 && at_ms < line->drawn_ms + DRAW_EVERY_MS) {
		return;
	}
	if (line->columns == 0) {
		tell(line, now, at_ms);
		return;
	}
	if (at_ms < line->start_ms + PATIENCE_MS)
		return;
	line->drawn_ms = at_ms;
	format(line, now, at_ms, text, sizeof(text));
	/* The last column stays free: terminals go to the next line by themselves there. */
	if (strlen(text) >= line->columns)
		text[line->columns - 1] = '\0';
	write_over(line, text);
}

void cli_line_end(struct cli_line *line)
{
	if (line->width > 0) {
		write_over(line, "");
		fputc('\r', line->out);
		fflush(line->out);
	}
	line->width = 0;
	line->what[0] = '\0';
}

/* --- the process's own: of what works here, and of what the daemon says --- */

static struct cli_line own;

static uint64_t monotonic_ms(void *arg)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void on_progress(const struct progress *now, void *arg)
{
	if (now != NULL)
		cli_line_step(&own, now);
	else
		cli_line_end(&own);
}

void cli_progress_start(void)
{
	const char *terminal = getenv("TERM");
	unsigned columns = 0;
	struct winsize size;

	if (isatty(STDERR_FILENO) == 1 && (terminal == NULL || strcmp(terminal, "dumb") != 0)) {
		columns = 80;
		if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col >= 20)
			columns = size.ws_col;
	}
	cli_line_init(&own, stderr, columns, monotonic_ms, NULL);
	progress_listen(on_progress, NULL);
}

bool cli_progress_is_shown(void)
{
	return own.columns != 0;
}

void cli_progress_stop(void)
{
	progress_listen(NULL, NULL);
	own.columns = 0;
}
