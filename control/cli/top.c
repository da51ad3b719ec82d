/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is busy now. Once a second the figures are asked of the daemon, which has them from the
 * counters memory; rates are the difference to the answer before. Pages are lines of text, which
 * --batch prints and `w` writes as they are; ncurses only shows them and reads keys.
 */
#include <curses.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "control/cli/top.h"

enum {
	BATCH_LINES = 24,
	ANSWER_S = 5, /* that a screen waits for the daemon */
	EVERY_MS = 1000,
	AROUND = 2, /* lines of the screen that are not the page's */
	ESCAPE = 27,
	REDRAW = '\f', /* Ctrl-L */
};

static const char keys_help[] =
	"1-6 Tab  s sort  r reverse  / filter  p freeze  w write  arrows  q quit";

struct screen {
	struct top top;
	bool typing;       /* the filter */
	int first;         /* line of the page at the top of the screen */
	char note[128];    /* of the last key */
	char trouble[128]; /* of the last question */
	double next;       /* when to ask again */
};

static double now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void print_pages(struct top *top, FILE *out, unsigned room)
{
	enum top_tab shown = top->tab;

	for (top->tab = 0; top->tab < TOP_TABS; top->tab++) {
		fprintf(out, "-- %s --\n", top_tab_name(top->tab));
		top_compose(top, room);
		for (size_t i = 0; i < top->n_lines; i++)
			fprintf(out, "%s\n", top->lines[i].text);
	}
	top->tab = shown;
}

static int fail(int code, char *trouble)
{
	fputs(trouble == NULL ? "sallyport: out of memory\n" : trouble, stderr);
	free(trouble);
	return code;
}

static void print_sample(const struct top *top)
{
	const json_t *flows = json_object_get(top->now.flows, "flows");

	cli_print_json_new(json_pack("{s:O, s:O, s:O, s:O, s:O*}", "status", top->now.status,
		"peers", json_object_get(top->now.peers, "peers"), "drops",
		json_object_get(top->now.drops, "drops"), "egress",
		json_object_get(top->now.egress, "pools"), "flows", flows));
}

static int run_batch(struct top *top, unsigned long count)
{
	char *trouble;
	int code;

	/* The first figures need a second look to become rates. */
	if (!top_ask(top, true, &code, &trouble))
		return fail(code, trouble);
	free(trouble);
	for (unsigned long i = 0; i < count; i++) {
		if (sleep(1) != 0)
			return CLI_OK;
		if (!top_ask(top, true, &code, &trouble))
			return fail(code, trouble);
		free(trouble);
		if (top->cli->json)
			print_sample(top);
		else
			print_pages(top, stdout, BATCH_LINES);
		fflush(stdout);
	}
	return CLI_OK;
}

/* All pages as they are now, into a file of this moment's name. */
static void write_snapshot(struct screen *s)
{
	time_t now = time(NULL);
	char name[64] = "", folder[60];
	struct tm local;
	FILE *out;
	int fd;

	if (localtime_r(&now, &local) != NULL)
		strftime(name, sizeof(name), "sallyport-top-%Y%m%d-%H%M%S.txt", &local);
	fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	out = fd < 0 ? NULL : fdopen(fd, "w");
	if (out == NULL) {
		snprintf(s->note, sizeof(s->note), "%s: %s", name, strerror(errno));
		if (fd >= 0)
			close(fd);
		return;
	}
	print_pages(&s->top, out, BATCH_LINES);
	if (getcwd(folder, sizeof(folder)) == NULL)
		snprintf(folder, sizeof(folder), ".");
	if (fclose(out) == 0)
		snprintf(s->note, sizeof(s->note), "written: %s in %s", name, folder);
	else
		snprintf(s->note, sizeof(s->note), "%s: %s", name, strerror(errno));
}

static void ask(struct screen *s)
{
	char *trouble;
	int code;

	if (top_ask(&s->top, s->top.tab == TOP_FLOWS, &code, &trouble))
		s->trouble[0] = '\0';
	else
		snprintf(s->trouble, sizeof(s->trouble), "%.*s; waiting for it",
			(int)strcspn(trouble == NULL ? "" : trouble, "\n"),
			trouble == NULL ? "" : trouble);
	free(trouble);
	s->next = now_s() + EVERY_MS / 1000.0;
}

static void show_tabs(const struct screen *s)
{
	const struct top *top = &s->top;
	char text[160] = "";
	size_t used = 0;

	for (int i = 0; i < TOP_TABS; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used,
			(int)top->tab == i ? "[%d %s]" : " %d %s ", i + 1, top_tab_name(i));
	snprintf(text + used, sizeof(text) - used, "  %s%s%s%s", top->frozen ? "FROZEN " : "",
		s->typing || top->filter[0] != '\0' ? "filter: " : "", top->filter,
		s->typing ? "_" : "");
	mvaddnstr(0, 0, text, COLS);
}

/* On row i of the screen; the first one stays the header of what is below it. */
static const struct top_line *line_at(const struct screen *s, int i)
{
	int head = s->first + i;

	while (i == 0 && head > 0 && !s->top.lines[head].is_head)
		head--;
	return &s->top.lines[head];
}

static void show(struct screen *s)
{
	struct top *top = &s->top;
	int room = LINES - AROUND, last;

	top_compose(top, room > 0 ? (unsigned)room : 1);
	last = (int)top->n_lines - room;
	s->first = s->first > last ? last : s->first;
	s->first = s->first < 0 ? 0 : s->first;
	erase();
	show_tabs(s);
	for (int i = 0; i < room && s->first + i < (int)top->n_lines; i++) {
		const struct top_line *line = line_at(s, i);

		if (line->is_head)
			attron(A_REVERSE);
		mvaddnstr(i + 1, 0, line->text, COLS);
		if (line->is_head)
			attroff(A_REVERSE);
	}
	mvaddnstr(LINES - 1, 0,
		s->note[0] != '\0'      ? s->note
		: s->trouble[0] != '\0' ? s->trouble
					: keys_help,
		COLS - 1);
	refresh();
}

static void go_to(struct screen *s, int tab)
{
	s->top.tab = (enum top_tab)((tab + TOP_TABS) % TOP_TABS);
	s->first = 0;
	/* Flows are asked for when they are looked at. */
	if (s->top.tab == TOP_FLOWS && !s->top.frozen)
		ask(s);
}

static void take_filter_key(struct screen *s, int key)
{
	char *filter = s->top.filter;
	size_t length = strlen(filter);

	if (key == '\n' || key == '\r' || key == KEY_ENTER || key == ESCAPE) {
		s->typing = false;
		if (key == ESCAPE)
			filter[0] = '\0';
	} else if (key == KEY_BACKSPACE || key == 127 || key == '\b') {
		if (length > 0)
			filter[length - 1] = '\0';
	} else if (key >= ' ' && key < 127 && length + 1 < sizeof(s->top.filter)) {
		filter[length] = (char)key;
		filter[length + 1] = '\0';
	}
}

static void scroll_by_key(struct screen *s, int key)
{
	int page = LINES - AROUND;

	s->first += key == KEY_UP      ? -1
		    : key == KEY_DOWN  ? 1
		    : key == KEY_PPAGE ? -page
		    : key == KEY_NPAGE ? page
				       : 0;
	if (key == KEY_HOME)
		s->first = 0;
}

/* False to end. */
static bool take_key(struct screen *s, int key)
{
	struct top *top = &s->top;

	if (key == REDRAW) {
		clearok(curscr, TRUE); /* whatever else has written there */
		return true;
	}
	s->note[0] = '\0';
	if (s->typing) {
		take_filter_key(s, key);
		return true;
	}
	if (key >= '1' && key < '1' + TOP_TABS)
		go_to(s, key - '1');
	else if (key == '\t' || key == KEY_RIGHT)
		go_to(s, (int)top->tab + 1);
	else if (key == KEY_BTAB || key == KEY_LEFT)
		go_to(s, (int)top->tab - 1);
	else if (key == 's')
		top_sort_next(top);
	else if (key == 'r')
		top->reversed = !top->reversed;
	else if (key == 'p' || key == ' ')
		top->frozen = !top->frozen;
	else if (key == '/')
		s->typing = true;
	else if (key == ESCAPE)
		top->filter[0] = '\0';
	else if (key == 'w')
		write_snapshot(s);
	else
		scroll_by_key(s, key);
	if (key == 's')
		snprintf(s->note, sizeof(s->note), "sorted by %s", top_sort_name(top));
	return key != 'q';
}

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
	interrupted = 1;
}

static void run_screen_loop(struct screen *s, unsigned long count)
{
	unsigned long asked = 0;

	while (!interrupted && (count == 0 || asked < count)) {
		double left = s->next - now_s();
		int key;

		show(s);
		timeout(left > 0 ? (int)(left * 1000) + 1 : 0);
		key = getch();
		if (key != ERR && key != KEY_RESIZE && !take_key(s, key))
			return;
		if (now_s() < s->next)
			continue;
		asked++;
		if (s->top.frozen)
			s->next = now_s() + EVERY_MS / 1000.0;
		else
			ask(s);
	}
}

static int run_screen(struct screen *s, unsigned long count)
{
	const struct sigaction action = {.sa_handler = on_signal};
	char *trouble;
	int code;

	s->top.cli->timeout_s = ANSWER_S;
	cli_progress_stop();
	if (!top_ask(&s->top, false, &code, &trouble))
		return fail(code, trouble);
	free(trouble);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	if (initscr() == NULL)
		return CLI_FAILED;
	cbreak();
	noecho();
	keypad(stdscr, TRUE);
	set_escdelay(100);
	curs_set(0);
	s->next = now_s() + EVERY_MS / 1000.0;
	run_screen_loop(s, count);
	endwin();
	return CLI_OK;
}

int cli_run_top(struct cli *cli)
{
	struct screen s = {.top = {.cli = cli}};
	bool batch = cli->json || (cli->given & CLI_BATCH);
	unsigned long count;
	int code;

	if (!cli_number("count", cli->count, 1000000, batch ? 1 : 0, &count))
		return CLI_USAGE;
	if (!batch && (isatty(STDOUT_FILENO) != 1 || getenv("TERM") == NULL)) {
		fputs("sallyport: this is no terminal; try: sallyport top --batch\n", stderr);
		return CLI_USAGE;
	}
	code = batch ? run_batch(&s.top, count) : run_screen(&s, count);
	top_forget(&s.top);
	free(s.top.lines);
	return code;
}
