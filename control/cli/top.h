/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sallyport top: samples of what the daemon reads from the counters memory (top_sample.c), tables
 * of what rose between two of them (top_tables.c), pages of text made of those (top_page.c), and
 * the screen that shows them (top.c). All in one thread; nothing here knows of curses but top.c.
 */
#pragma once

#include "common/base/pool.h"
#include "control/cli/cli.h"

enum {
	TOP_COLUMNS_MAX = 8,
	TOP_LINE_TEXT = 160,
	TOP_FLOWS_MAX = 500, /* that are asked for while they are shown */
};

enum top_tab {
	TOP_OVERVIEW,
	TOP_CORES,
	TOP_PEERS,
	TOP_EGRESS,
	TOP_DROPS,
	TOP_FLOWS,
	TOP_TABS,
};

struct top_sample {
	json_t *status, *peers, *drops, *egress; /* NULL: none yet */
	json_t *flows;                           /* NULL: not asked for */
	double time;                             /* monotonic seconds */
};

struct top_line {
	char text[TOP_LINE_TEXT];
	bool is_head;
};

struct top {
	struct cli *cli;
	enum top_tab tab;
	unsigned sort[TOP_TABS]; /* a column of the tab's last table */
	bool reversed;
	bool frozen;
	char filter[32]; /* rows with a text that has this in it; "" = all */
	struct top_sample now, before;
	struct top_line *lines; /* of the page; the caller's to free */
	size_t n_lines, lines_room;
};

/* top_sample.c. A new sample, and the one before; false leaves both as they are, with *code and
 * what was printed about it (malloc, may be NULL). */
bool top_ask(struct top *top, bool flows, int *code, char **trouble);
void top_forget(struct top *top);

/* Per second, of a counter in both samples; a restart makes it fall, which is no rate. */
double top_rate(const struct top *top, const json_t *now, const json_t *before, const char *key);

/* top_tables.c */
enum top_kind {
	TOP_TEXT,
	TOP_COUNT,
	TOP_BITS, /* bytes per second, shown as bits */
	TOP_PERCENT,
};

struct top_column {
	const char *header;
	int width;
	enum top_kind kind;
};

union top_cell {
	const char *text; /* the pool's or the sample's */
	double number;
};

struct top_row {
	union top_cell cells[TOP_COLUMNS_MAX];
};

struct top_table {
	const struct top_column *columns; /* header NULL ends */
	unsigned n_columns;
	struct top_row *rows; /* the pool's */
	size_t n_rows;
	struct pool *pool;
};

void top_fill_workers(const struct top *top, struct top_table *table);
void top_fill_nodes(const struct top *top, struct top_table *table);
void top_fill_ports(const struct top *top, struct top_table *table);
void top_fill_peers(const struct top *top, struct top_table *table);
void top_fill_egress(const struct top *top, struct top_table *table);
void top_fill_drops(const struct top *top, struct top_table *table);
void top_fill_flows(const struct top *top, struct top_table *table);

/* top_page.c. The page of the tab; the overview is cut to `room` lines. */
void top_compose(struct top *top, unsigned room);
const char *top_tab_name(enum top_tab tab);

/* Which column the tab is sorted by next, and its header. */
void top_sort_next(struct top *top);
const char *top_sort_name(const struct top *top);
