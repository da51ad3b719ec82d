/* SPDX-License-Identifier: BSD-3-Clause */
/* Pages of lines, one for each tab: tables sorted, filtered and cut. ASCII, for serial lines. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "control/cli/top.h"

enum { SMALL_LINES = 30, TABLES_MAX = 5 };

static const struct {
	const char *name;
	/* The last one has the rest of the page, and is the one that is sorted and filtered. */
	void (*tables[TABLES_MAX])(const struct top *top, struct top_table *table);
	unsigned sort; /* as it begins */
} tabs[TOP_TABS] = {
	[TOP_OVERVIEW] = {"Overview",
		{top_fill_workers, top_fill_ports, top_fill_drops, top_fill_egress, top_fill_peers},
		2},
	[TOP_CORES] = {"Cores", {top_fill_workers, top_fill_nodes}, 4},
	[TOP_PEERS] = {"Peers", {top_fill_peers}, 2},
	[TOP_EGRESS] = {"Egress", {top_fill_egress}, 2},
	[TOP_DROPS] = {"Drops", {top_fill_drops}, 1},
	[TOP_FLOWS] = {"Flows", {top_fill_flows}, 4},
};

const char *top_tab_name(enum top_tab tab)
{
	return tabs[tab].name;
}

static void line(struct top *top, bool is_head, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void line(struct top *top, bool is_head, const char *format, ...)
{
	char text[TOP_LINE_TEXT];
	struct top_line *grown;
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (top->n_lines == top->lines_room) {
		top->lines_room = top->lines_room == 0 ? 64 : 2 * top->lines_room;
		grown = realloc(top->lines, top->lines_room * sizeof(*grown));
		if (grown == NULL)
			abort();
		top->lines = grown;
	}
	grown = &top->lines[top->n_lines++];
	grown->is_head = is_head;
	memcpy(grown->text, text, sizeof(text));
}

/* The tab's last table, empty: for its columns. */
static unsigned last_table(enum top_tab tab)
{
	unsigned last = 0;

	while (last + 1 < TABLES_MAX && tabs[tab].tables[last + 1] != NULL)
		last++;
	return last;
}

static const struct top_column *columns_of(enum top_tab tab, unsigned *n)
{
	static const struct top nothing;
	struct top_table table = {.pool = pool_create()};

	tabs[tab].tables[last_table(tab)](&nothing, &table);
	pool_destroy(&table.pool);
	*n = table.n_columns;
	return table.columns;
}

/* Until a column is chosen, it is the usual one: 0 in top->sort. */
static unsigned sort_column(const struct top *top)
{
	return top->sort[top->tab] == 0 ? tabs[top->tab].sort : top->sort[top->tab] - 1;
}

void top_sort_next(struct top *top)
{
	unsigned n;

	columns_of(top->tab, &n);
	top->sort[top->tab] = (sort_column(top) + 1) % n + 1;
}

const char *top_sort_name(const struct top *top)
{
	unsigned n;

	return columns_of(top->tab, &n)[sort_column(top)].header;
}

/* What qsort() has no argument for. */
static struct {
	const struct top_table *table;
	unsigned column;
	bool reversed;
} order;

static int compare_cells(const struct top_row *a, const struct top_row *b, unsigned column)
{
	double difference;

	if (order.table->columns[column].kind == TOP_TEXT)
		return strcmp(a->cells[column].text, b->cells[column].text);
	difference = b->cells[column].number - a->cells[column].number;
	return difference > 0 ? 1 : difference < 0 ? -1 : 0;
}

/* Most first, texts by the alphabet; among equals by all that follows. */
static int compare_rows(const void *a, const void *b)
{
	int difference = compare_cells(a, b, order.column);

	if (order.reversed)
		difference = -difference;
	for (unsigned i = 0; difference == 0 && i < order.table->n_columns; i++)
		difference = compare_cells(a, b, i);
	return difference;
}

static void sort(struct top_table *table, unsigned column, bool reversed)
{
	order.table = table;
	order.column = column;
	order.reversed = reversed;
	if (table->n_rows > 1)
		qsort(table->rows, table->n_rows, sizeof(*table->rows), compare_rows);
}

static bool matches(const struct top_table *table, const struct top_row *row, const char *filter)
{
	for (unsigned i = 0; i < table->n_columns; i++) {
		if (table->columns[i].kind == TOP_TEXT &&
			strcasestr(row->cells[i].text, filter) != NULL)
			return true;
	}
	return filter[0] == '\0';
}

static void format_cell(const struct top_column *column, const union top_cell *cell, char text[64])
{
	char rate[CLI_UNITS_TEXT];
	int width = column->width;

	if (column->kind == TOP_TEXT)
		snprintf(text, 64, (int)strlen(cell->text) > width ? "%.*s~" : "%-*s",
			(int)strlen(cell->text) > width ? width - 1 : width, cell->text);
	else if (column->kind == TOP_BITS)
		snprintf(text, 64, "%*s", width, cli_rate(cell->number, rate));
	else if (column->kind == TOP_PERCENT)
		snprintf(text, 64, "%*.0f%%", width - 1, cell->number);
	else
		snprintf(text, 64, "%*.0f", width, cell->number);
}

static void add_row(struct top *top, const struct top_table *table, const struct top_row *row)
{
	char text[TOP_LINE_TEXT] = "", cell[64];
	size_t used = 0;

	for (unsigned i = 0; i < table->n_columns && used < sizeof(text); i++) {
		format_cell(&table->columns[i], &row->cells[i], cell);
		used += (size_t)snprintf(
			text + used, sizeof(text) - used, "%s%s", i == 0 ? "" : " ", cell);
	}
	line(top, false, "%s", text);
}

/* The column that the rows are sorted by has a mark. */
static void add_header(struct top *top, const struct top_table *table, int sorted)
{
	char text[TOP_LINE_TEXT] = "", name[32];
	size_t used = 0;

	for (unsigned i = 0; i < table->n_columns && used < sizeof(text); i++) {
		const struct top_column *column = &table->columns[i];

		snprintf(name, sizeof(name), "%s%s", (int)i == sorted ? "*" : "", column->header);
		used += (size_t)snprintf(text + used, sizeof(text) - used,
			column->kind == TOP_TEXT ? "%s%-*s" : "%s%*s", i == 0 ? "" : " ",
			column->width, name);
	}
	line(top, true, "%s", text);
}

static void add_table(struct top *top, unsigned which, unsigned shown, bool is_last)
{
	struct top_table table = {.pool = pool_create()};
	size_t left = shown;

	tabs[top->tab].tables[which](top, &table);
	if (is_last)
		sort(&table, sort_column(top), top->reversed);
	else if (tabs[top->tab].tables[which] == top_fill_drops)
		sort(&table, 1, false);
	add_header(top, &table, is_last ? (int)sort_column(top) : -1);
	for (size_t i = 0; i < table.n_rows && left > 0; i++) {
		if (is_last && !matches(&table, &table.rows[i], top->filter))
			continue;
		add_row(top, &table, &table.rows[i]);
		left--;
	}
	pool_destroy(&table.pool);
}

static void add_head(struct top *top)
{
	const json_t *status = top->now.status, *peers = json_object_get(status, "peers");
	char age[16], clock[16] = "";
	time_t now = time(NULL);
	struct tm local;

	if (localtime_r(&now, &local) != NULL)
		strftime(clock, sizeof(clock), "%H:%M:%S", &local);
	line(top, false, "sallyport %s %s  %s  up %s  %s", cli_text(status, "version"),
		cli_text(status, "gateway"), cli_text(status, "state"),
		cli_age(cli_int(json_object_get(status, "dataplane"), "started"), age), clock);
	line(top, false, "peers %lld: %lld live, %lld idle, %lld never   drops %lld",
		(long long)cli_int(peers, "total"), (long long)cli_int(peers, "live"),
		(long long)cli_int(peers, "idle"), (long long)cli_int(peers, "never"),
		(long long)cli_int(status, "drops"));
}

void top_compose(struct top *top, unsigned room)
{
	unsigned last = last_table(top->tab), shown = room < SMALL_LINES ? 3 : 8;
	bool overview = top->tab == TOP_OVERVIEW;

	top->n_lines = 0;
	if (overview)
		add_head(top);
	for (unsigned i = 0; i < last; i++)
		add_table(top, i, overview ? shown : 64, false);
	if (!overview)
		shown = UINT32_MAX;
	else
		shown = room > top->n_lines + 1 ? room - (unsigned)top->n_lines - 1 : 0;
	add_table(top, last, shown, true);
	if (top->tab == TOP_FLOWS && top->now.flows == NULL)
		line(top, false,
			"(no flows: the data plane is away, or the figures were frozen before)");
}
