/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is busy now. Once a second the figures are asked of the daemon, which has them from the
 * counters memory; rates are the difference to the answer before. The screen is made of lines of
 * text, which --batch prints as they are; ncurses only shows them and reads keys.
 */
#include <curses.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "control/cli/cli.h"

enum {
	LINES_MAX = 64,
	LINE_TEXT = 96,
	SHOWN_DROPS = 8,  /* at most */
	SMALL_LINES = 30, /* below it each part but the peers' is cut to a few rows */
	BATCH_LINES = 24,
};

enum order {
	BY_RX,
	BY_TX,
	BY_NAME,
	BY_FLOWS,
};

struct sample {
	json_t *status, *peers, *drops, *egress;
	double time; /* monotonic seconds */
};

struct top {
	struct cli *cli;
	enum order order;
	struct sample now, before;
	char lines[LINES_MAX][LINE_TEXT];
	unsigned n_lines;
	unsigned shown; /* rows of workers, ports, drops, egress addresses */
	int code;
};

struct row {
	const char *name;
	double rx, tx;
	json_int_t flows;
	const char *note;
};

static void line(struct top *top, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void line(struct top *top, const char *format, ...)
{
	va_list args;

	if (top->n_lines == LINES_MAX)
		return;
	va_start(args, format);
	vsnprintf(top->lines[top->n_lines++], LINE_TEXT, format, args);
	va_end(args);
}

static void forget(struct sample *sample)
{
	json_decref(sample->status);
	json_decref(sample->peers);
	json_decref(sample->drops);
	json_decref(sample->egress);
	*sample = (struct sample){0};
}

static bool ask(struct top *top)
{
	struct timespec now;
	struct sample *sample = &top->now;

	forget(&top->before);
	top->before = top->now;
	*sample = (struct sample){0};
	sample->status = cli_get(top->cli, "/api/status", &top->code);
	if (sample->status != NULL)
		sample->peers = cli_get(top->cli, "/api/peers", &top->code);
	if (sample->peers != NULL)
		sample->drops = cli_get(top->cli, "/api/drops", &top->code);
	if (sample->drops != NULL)
		sample->egress = cli_get(top->cli, "/api/egress", &top->code);
	clock_gettime(CLOCK_MONOTONIC, &now);
	sample->time = (double)now.tv_sec + (double)now.tv_nsec / 1e9;
	return sample->egress != NULL;
}

/* Per second, of a counter in both; a restart makes it fall, which is no rate. */
static double rate(const struct top *top, const json_t *now, const json_t *before, const char *key)
{
	double passed = top->now.time - top->before.time;
	json_int_t rise = cli_int(now, key) - cli_int(before, key);

	return before == NULL || passed <= 0 || rise < 0 ? 0 : (double)rise / passed;
}

/* The object of that name in the list of the sample before. */
static const json_t *same(const json_t *list, size_t hint, const char *key, const char *name)
{
	const json_t *item = json_array_get(list, hint);
	size_t i;

	if (item != NULL && strcmp(cli_text(item, key), name) == 0)
		return item;
	json_array_foreach((json_t *)list, i, item)
	{
		if (strcmp(cli_text(item, key), name) == 0)
			return item;
	}
	return NULL;
}

static void add_head(struct top *top)
{
	const json_t *status = top->now.status, *peers = json_object_get(status, "peers");
	char age[16], clock[16] = "";
	time_t now = time(NULL);
	struct tm local;

	if (localtime_r(&now, &local) != NULL)
		strftime(clock, sizeof(clock), "%H:%M:%S", &local);
	line(top, "sallyport %s %s  %s  up %s  %s", cli_text(status, "version"),
		cli_text(status, "gateway"), cli_text(status, "state"),
		cli_age(cli_int(json_object_get(status, "dataplane"), "started"), age), clock);
	line(top, "peers %lld: %lld live, %lld idle, %lld never   drops %lld",
		(long long)cli_int(peers, "total"), (long long)cli_int(peers, "live"),
		(long long)cli_int(peers, "idle"), (long long)cli_int(peers, "never"),
		(long long)cli_int(status, "drops"));
}

static void add_workers(struct top *top)
{
	const json_t *list = json_object_get(top->now.status, "workers");
	const json_t *before = json_object_get(top->before.status, "workers"), *worker;
	size_t i;

	line(top, "%-8s %4s %6s %9s %9s %9s %9s", "WORKER", "CPU", "BUSY", "SLEEPS/s", "TO/s",
		"FROM/s", "FLOWS");
	json_array_foreach((json_t *)list, i, worker)
	{
		const json_t *old = json_array_get(before, i);
		double busy = rate(top, worker, old, "busy_cycles");
		double total = rate(top, worker, old, "total_cycles");

		if (i == top->shown)
			break;
		line(top, "%-8lld %4lld %5.0f%% %9.0f %9.0f %9.0f %9lld",
			(long long)cli_int(worker, "worker"), (long long)cli_int(worker, "cpu"),
			total > 0 ? 100 * busy / total : 0, rate(top, worker, old, "sleeps"),
			rate(top, worker, old, "handoff_out"), rate(top, worker, old, "handoff_in"),
			(long long)cli_int(worker, "flows"));
	}
}

static void add_ports(struct top *top)
{
	const json_t *list = json_object_get(top->now.status, "ports");
	const json_t *before = json_object_get(top->before.status, "ports"), *port;
	char rx[CLI_UNITS_TEXT], tx[CLI_UNITS_TEXT];
	size_t i;

	line(top, "%-12s %-5s %12s %9s %12s %9s %8s", "PORT", "LINK", "RECEIVED", "PACKETS/s",
		"SENT", "PACKETS/s", "MISSED/s");
	json_array_foreach((json_t *)list, i, port)
	{
		const json_t *old = same(before, i, "name", cli_text(port, "name"));

		if (i == top->shown)
			break;
		line(top, "%-12.12s %-5s %12s %9.0f %12s %9.0f %8.0f", cli_text(port, "name"),
			json_is_true(json_object_get(port, "link_up")) ? "up" : "down",
			cli_rate(rate(top, port, old, "rx_bytes"), rx),
			rate(top, port, old, "rx_packets"),
			cli_rate(rate(top, port, old, "tx_bytes"), tx),
			rate(top, port, old, "tx_packets"), rate(top, port, old, "rx_missed"));
	}
}

static void add_drops(struct top *top)
{
	const json_t *list = json_object_get(top->now.drops, "drops");
	const json_t *before = json_object_get(top->before.drops, "drops"), *drop;
	const json_t *best[SHOWN_DROPS] = {NULL};
	double rates[SHOWN_DROPS] = {0};
	size_t i;

	json_array_foreach((json_t *)list, i, drop)
	{
		const json_t *old = same(before, i, "name", cli_text(drop, "name"));
		double r = rate(top, drop, old, "packets");
		size_t at = SHOWN_DROPS;

		if (cli_int(drop, "packets") == 0)
			continue;
		/* By rate, then by what was ever counted. */
		while (at > 0 &&
			(best[at - 1] == NULL || r > rates[at - 1] ||
				(r == rates[at - 1] && cli_int(drop, "packets") >
							       cli_int(best[at - 1], "packets"))))
			at--;
		for (size_t k = SHOWN_DROPS - 1; k > at; k--) {
			best[k] = best[k - 1];
			rates[k] = rates[k - 1];
		}
		if (at < SHOWN_DROPS) {
			best[at] = drop;
			rates[at] = r;
		}
	}
	line(top, "%-28s %9s %12s", "DROPS", "PACKETS/s", "TOTAL");
	for (i = 0; i < SHOWN_DROPS && i < top->shown && best[i] != NULL; i++)
		line(top, "%-28.28s %9.0f %12lld", cli_text(best[i], "name"), rates[i],
			(long long)cli_int(best[i], "packets"));
}

static void add_egress(struct top *top)
{
	const json_t *pools = json_object_get(top->now.egress, "pools"), *pool, *address;
	unsigned shown = 0;
	size_t i, k;

	line(top, "%-16s %-24s %9s %12s %8s", "EGRESS", "ADDRESS", "MAPPINGS", "BLOCKS", "REFUSED");
	json_array_foreach((json_t *)pools, i, pool)
	{
		json_array_foreach(json_object_get(pool, "addresses"), k, address)
		{
			char blocks[32];

			if (shown++ >= top->shown)
				break;
			snprintf(blocks, sizeof(blocks), "%lld/%lld",
				(long long)cli_int(address, "blocks_used"),
				(long long)cli_int(address, "blocks_total"));
			line(top, "%-16.16s %-24.24s %9lld %12s %8lld", cli_text(pool, "name"),
				cli_text(address, "address"),
				(long long)cli_int(address, "mappings"), blocks,
				(long long)cli_int(address, "refused"));
		}
	}
}

static enum order sort_order; /* qsort() has no argument for it */

static int compare_rows(const void *a, const void *b)
{
	const struct row *x = a, *y = b;
	double difference = sort_order == BY_RX      ? y->rx - x->rx
			    : sort_order == BY_TX    ? y->tx - x->tx
			    : sort_order == BY_FLOWS ? (double)(y->flows - x->flows)
						     : 0;

	if (difference != 0)
		return difference > 0 ? 1 : -1;
	return strcmp(x->name, y->name);
}

/* The rest of the screen is the peers'. */
static void add_peers(struct top *top, unsigned room)
{
	const json_t *list = json_object_get(top->now.peers, "peers");
	const json_t *before = json_object_get(top->before.peers, "peers"), *peer;
	struct row *rows = calloc(json_array_size(list) + 1, sizeof(*rows));
	char rx[CLI_UNITS_TEXT], tx[CLI_UNITS_TEXT];
	size_t i, n = 0;

	json_array_foreach((json_t *)list, i, peer)
	{
		const json_t *old = same(before, i, "name", cli_text(peer, "name"));

		if (rows != NULL)
			rows[n++] = (struct row){cli_text(peer, "name"),
				rate(top, peer, old, "rx_bytes"), rate(top, peer, old, "tx_bytes"),
				cli_int(peer, "flows"), cli_text(peer, "state")};
	}
	sort_order = top->order;
	if (n > 1)
		qsort(rows, n, sizeof(*rows), compare_rows);
	line(top, "%-24s %-8s %13s %13s %9s", "PEER", "STATE", "FROM", "TO", "FLOWS");
	for (i = 0; i < n && top->n_lines < room; i++)
		line(top, "%-24.24s %-8.8s %13s %13s %9lld", rows[i].name, rows[i].note,
			cli_rate(rows[i].rx, rx), cli_rate(rows[i].tx, tx),
			(long long)rows[i].flows);
	free(rows);
}

static void compose(struct top *top, unsigned room)
{
	top->n_lines = 0;
	top->shown = room < SMALL_LINES ? 3 : 8;
	add_head(top);
	add_workers(top);
	add_ports(top);
	add_drops(top);
	add_egress(top);
	add_peers(top, room < LINES_MAX ? room : LINES_MAX);
}

static int run_batch(struct top *top, unsigned long count)
{
	for (unsigned long i = 0; i < count; i++) {
		/* The first figures need a second look to become rates. */
		if ((i == 0 && !ask(top)) || sleep(1) != 0 || !ask(top))
			return top->code;
		if (top->cli->json) {
			json_t *all = json_pack("{s:O, s:O, s:O, s:O}", "status", top->now.status,
				"peers", json_object_get(top->now.peers, "peers"), "drops",
				json_object_get(top->now.drops, "drops"), "egress",
				json_object_get(top->now.egress, "pools"));

			cli_print_json(all);
			json_decref(all);
			continue;
		}
		compose(top, LINES_MAX);
		for (unsigned k = 0; k < top->n_lines; k++)
			puts(top->lines[k]);
		fflush(stdout);
	}
	return CLI_OK;
}

static bool take_key(struct top *top, int key)
{
	switch (key) {
	case 'r':
		top->order = BY_RX;
		break;
	case 't':
		top->order = BY_TX;
		break;
	case 'n':
		top->order = BY_NAME;
		break;
	case 'f':
		top->order = BY_FLOWS;
		break;
	case 'q':
		return false;
	default:
		break;
	}
	return true;
}

static void show(struct top *top)
{
	static const char keys[] = "keys: r received  t sent  n name  f flows  q quit";

	compose(top, LINES > 2 ? (unsigned)LINES - 1 : BATCH_LINES);
	erase();
	for (unsigned i = 0; i < top->n_lines && (int)i < LINES - 1; i++) {
		bool head = top->lines[i][0] >= 'A' && top->lines[i][0] <= 'Z';

		if (head)
			attron(A_REVERSE);
		mvaddnstr((int)i, 0, top->lines[i], COLS);
		if (head)
			attroff(A_REVERSE);
	}
	mvaddnstr(LINES - 1, 0, keys, COLS);
	refresh();
}

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
	interrupted = 1;
}

static int run_screen(struct top *top, unsigned long count)
{
	bool go_on = true;

	if (!ask(top))
		return top->code;
	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	if (initscr() == NULL)
		return CLI_FAILED;
	cbreak();
	noecho();
	curs_set(0);
	timeout(1000);
	for (unsigned long i = 0; go_on && !interrupted && (count == 0 || i < count);) {
		int key;

		show(top);
		key = getch();
		if (key != ERR && key != KEY_RESIZE) {
			go_on = take_key(top, key);
			continue;
		}
		i++;
		if (!ask(top)) {
			endwin();
			return top->code;
		}
	}
	endwin();
	return CLI_OK;
}

int cli_run_top(struct cli *cli)
{
	struct top top = {.cli = cli};
	bool batch = cli->json || (cli->given & CLI_BATCH);
	unsigned long count;
	int code;

	if (!cli_number("count", cli->count, 1000000, batch ? 1 : 0, &count))
		return CLI_USAGE;
	if (!batch && (isatty(STDOUT_FILENO) != 1 || getenv("TERM") == NULL)) {
		fputs("sallyport: this is no terminal; try: sallyport top --batch\n", stderr);
		return CLI_USAGE;
	}
	code = batch ? run_batch(&top, count) : run_screen(&top, count);
	forget(&top.now);
	forget(&top.before);
	return code;
}
