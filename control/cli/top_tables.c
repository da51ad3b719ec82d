/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One table for each kind of thing that is counted, a row for each item of a list of the sample.
 * Widths with their gaps make 80 columns.
 */
#include <string.h>

#include "control/cli/top.h"

/* A list on its way into a table. */
struct listing {
	const struct top *top;
	struct top_table *table;
	const json_t *of; /* what the list is a member of */
};

typedef bool is_same_fn(const json_t *one, const json_t *other);

/* old: the same item in the sample before; NULL if it was not there. */
typedef void add_fn(const struct listing *l, const json_t *item, const json_t *old);

static union top_cell *add_row(const struct listing *l)
{
	struct top_table *table = l->table;

	table->rows = pool_grow(table->pool, table->rows, table->n_rows, sizeof(*table->rows));
	return table->rows[table->n_rows++].cells;
}

static void begin(struct top_table *table, const struct top_column *columns)
{
	table->columns = columns;
	while (columns[table->n_columns].header != NULL)
		table->n_columns++;
}

/* Lists keep their order mostly: it is looked for behind what was found last, all round. */
static const json_t *find_old(
	const json_t *list, size_t *next, const json_t *item, is_same_fn *is_same)
{
	size_t n = json_array_size(list);

	for (size_t i = 0; i < n; i++) {
		size_t at = (*next + i) % n;

		if (is_same(json_array_get(list, at), item)) {
			*next = at + 1;
			return json_array_get(list, at);
		}
	}
	return NULL;
}

static void add_items(const struct listing *l, const json_t *now, const json_t *before,
	is_same_fn *is_same, add_fn *add)
{
	size_t i, next = 0;
	json_t *item;

	json_array_foreach(now, i, item) add(l, item, find_old(before, &next, item, is_same));
}

static void fill(const struct top *top, struct top_table *table, const char *list,
	const json_t *now, const json_t *before, is_same_fn *is_same, add_fn *add)
{
	const struct listing l = {.top = top, .table = table};

	add_items(&l, json_object_get(now, list), json_object_get(before, list), is_same, add);
}

static bool is_same_name(const json_t *one, const json_t *other)
{
	return strcmp(cli_text(one, "name"), cli_text(other, "name")) == 0;
}

static bool is_same_worker(const json_t *one, const json_t *other)
{
	return cli_int(one, "worker") == cli_int(other, "worker");
}

static void add_worker(const struct listing *l, const json_t *worker, const json_t *old)
{
	double total = top_rate(l->top, worker, old, "total_cycles");
	double busy = top_rate(l->top, worker, old, "busy_cycles");
	union top_cell *cells = add_row(l);

	cells[0].number = (double)cli_int(worker, "worker");
	cells[1].number = (double)cli_int(worker, "cpu");
	cells[2].number = total > 0 ? 100 * busy / total : 0;
	cells[3].number = top_rate(l->top, worker, old, "sleeps");
	cells[4].number = top_rate(l->top, worker, old, "handoff_out");
	cells[5].number = top_rate(l->top, worker, old, "handoff_in");
	cells[6].number = top_rate(l->top, worker, old, "helped");
	cells[7].number = (double)cli_int(worker, "flows");
}

void top_fill_workers(const struct top *top, struct top_table *table)
{
	static const struct top_column columns[] = {{"WORKER", 6, TOP_COUNT}, {"CPU", 4, TOP_COUNT},
		{"BUSY", 6, TOP_PERCENT}, {"SLEEPS/s", 10, TOP_COUNT}, {"TO/s", 10, TOP_COUNT},
		{"FROM/s", 10, TOP_COUNT}, {"HELPED/s", 9, TOP_COUNT}, {"FLOWS", 10, TOP_COUNT},
		{NULL, 0, 0}};

	begin(table, columns);
	fill(top, table, "workers", top->now.status, top->before.status, is_same_worker,
		add_worker);
}

static void add_node(const struct listing *l, const json_t *node, const json_t *old)
{
	double packets = top_rate(l->top, node, old, "packets");
	double calls = top_rate(l->top, node, old, "calls");
	double cycles = top_rate(l->top, node, old, "cycles");
	union top_cell *cells = add_row(l);

	cells[0].text = cli_text(node, "name");
	cells[1].number = packets;
	cells[2].number = calls > 0 ? packets / calls : 0;
	cells[3].number = packets > 0 ? cycles / packets : 0;
	cells[4].number = cycles;
}

/* Stages that packets go through: how many at a time, what each costs, and its share of all. */
void top_fill_nodes(const struct top *top, struct top_table *table)
{
	static const struct top_column columns[] = {{"NODE", 26, TOP_TEXT},
		{"PACKETS/s", 11, TOP_COUNT}, {"PER CALL", 9, TOP_COUNT},
		{"CYCLES/PACKET", 14, TOP_COUNT}, {"SHARE", 6, TOP_PERCENT}, {NULL, 0, 0}};
	double all = 0;

	begin(table, columns);
	fill(top, table, "nodes", top->now.status, top->before.status, is_same_name, add_node);
	for (size_t i = 0; i < table->n_rows; i++)
		all += table->rows[i].cells[4].number;
	for (size_t i = 0; i < table->n_rows; i++)
		table->rows[i].cells[4].number *= all > 0 ? 100 / all : 0;
}

static void add_port(const struct listing *l, const json_t *port, const json_t *old)
{
	union top_cell *cells = add_row(l);

	cells[0].text = cli_text(port, "name");
	cells[1].text = json_is_true(json_object_get(port, "link_up")) ? "up" : "down";
	cells[2].number = top_rate(l->top, port, old, "rx_bytes");
	cells[3].number = top_rate(l->top, port, old, "rx_packets");
	cells[4].number = top_rate(l->top, port, old, "tx_bytes");
	cells[5].number = top_rate(l->top, port, old, "tx_packets");
	cells[6].number = top_rate(l->top, port, old, "rx_missed");
}

void top_fill_ports(const struct top *top, struct top_table *table)
{
	static const struct top_column columns[] = {{"PORT", 12, TOP_TEXT}, {"LINK", 5, TOP_TEXT},
		{"RECEIVED", 12, TOP_BITS}, {"PACKETS/s", 10, TOP_COUNT}, {"SENT", 12, TOP_BITS},
		{"PACKETS/s", 10, TOP_COUNT}, {"MISSED/s", 9, TOP_COUNT}, {NULL, 0, 0}};

	begin(table, columns);
	fill(top, table, "ports", top->now.status, top->before.status, is_same_name, add_port);
}

static void add_peer(const struct listing *l, const json_t *peer, const json_t *old)
{
	union top_cell *cells = add_row(l);

	cells[0].text = cli_text(peer, "name");
	cells[1].text = cli_text(peer, "state");
	cells[2].number = top_rate(l->top, peer, old, "rx_bytes");
	cells[3].number = top_rate(l->top, peer, old, "tx_bytes");
	cells[4].number = top_rate(l->top, peer, old, "rx_packets") +
			  top_rate(l->top, peer, old, "tx_packets");
	cells[5].number = (double)cli_int(peer, "flows");
}

void top_fill_peers(const struct top *top, struct top_table *table)
{
	static const struct top_column columns[] = {{"PEER", 23, TOP_TEXT}, {"STATE", 6, TOP_TEXT},
		{"FROM", 12, TOP_BITS}, {"TO", 12, TOP_BITS}, {"PACKETS/s", 11, TOP_COUNT},
		{"FLOWS", 9, TOP_COUNT}, {NULL, 0, 0}};

	begin(table, columns);
	fill(top, table, "peers", top->now.peers, top->before.peers, is_same_name, add_peer);
}

static bool is_same_address(const json_t *one, const json_t *other)
{
	return strcmp(cli_text(one, "address"), cli_text(other, "address")) == 0;
}

static void add_address(const struct listing *l, const json_t *address, const json_t *old)
{
	union top_cell *cells = add_row(l);
	json_int_t blocks = cli_int(address, "blocks_total");

	cells[0].text = cli_text(l->of, "name");
	cells[1].text = cli_text(address, "address");
	cells[2].number = top_rate(l->top, address, old, "tx_bytes");
	cells[3].number = top_rate(l->top, address, old, "rx_bytes");
	cells[4].number = (double)cli_int(address, "mappings");
	cells[5].number =
		blocks == 0 ? 0 : 100 * (double)cli_int(address, "blocks_used") / (double)blocks;
	cells[6].number = (double)cli_int(address, "refused");
}

static void add_pool(const struct listing *l, const json_t *pool, const json_t *old)
{
	const struct listing addresses = {.top = l->top, .table = l->table, .of = pool};

	add_items(&addresses, json_object_get(pool, "addresses"), json_object_get(old, "addresses"),
		is_same_address, add_address);
}

/* BLOCKS: how much of the address's port blocks is in use. */
void top_fill_egress(const struct top *top, struct top_table *table)
{
	static const struct top_column columns[] = {{"EGRESS", 10, TOP_TEXT},
		{"ADDRESS", 18, TOP_TEXT}, {"OUT", 11, TOP_BITS}, {"BACK", 11, TOP_BITS},
		{"MAPPINGS", 9, TOP_COUNT}, {"BLOCKS", 7, TOP_PERCENT}, {"REFUSED", 8, TOP_COUNT},
		{NULL, 0, 0}};

	begin(table, columns);
	fill(top, table, "pools", top->now.egress, top->before.egress, is_same_name, add_pool);
}

static void add_drop(const struct listing *l, const json_t *drop, const json_t *old)
{
	union top_cell *cells;

	if (cli_int(drop, "packets") == 0)
		return;
	cells = add_row(l);
	cells[0].text = cli_text(drop, "name");
	cells[1].number = top_rate(l->top, drop, old, "packets");
	cells[2].number = (double)cli_int(drop, "packets");
	cells[3].text = cli_text(drop, "text");
}

void top_fill_drops(const struct top *top, struct top_table *table)
{
	static const struct top_column columns[] = {{"DROPS", 26, TOP_TEXT},
		{"PACKETS/s", 10, TOP_COUNT}, {"TOTAL", 12, TOP_COUNT}, {"MEANING", 29, TOP_TEXT},
		{NULL, 0, 0}};

	begin(table, columns);
	fill(top, table, "drops", top->now.drops, top->before.drops, is_same_name, add_drop);
}

static bool is_same_flow(const json_t *one, const json_t *other)
{
	static const char *const texts[] = {"protocol", "src", "dst", "from"};
	static const char *const numbers[] = {"sport", "dport"};

	for (size_t i = 0; i < 2; i++) {
		if (cli_int(one, numbers[i]) != cli_int(other, numbers[i]))
			return false;
	}
	for (size_t i = 0; i < 4; i++) {
		if (strcmp(cli_text(one, texts[i]), cli_text(other, texts[i])) != 0)
			return false;
	}
	return true;
}

static const char *end_text(
	struct pool *pool, const json_t *flow, const char *address, const char *port)
{
	const char *text = cli_text(flow, address);
	long long number = cli_int(flow, port);

	if (number == 0)
		return text;
	return pool_printf(pool, strchr(text, ':') == NULL ? "%s:%lld" : "[%s]:%lld", text, number);
}

static void add_flow(const struct listing *l, const json_t *flow, const json_t *old)
{
	union top_cell *cells = add_row(l);

	cells[0].text = cli_text(flow, "protocol");
	cells[1].text = cli_text(flow, "from");
	cells[2].text = end_text(l->table->pool, flow, "src", "sport");
	cells[3].text = end_text(l->table->pool, flow, "dst", "dport");
	cells[4].number = top_rate(l->top, flow, old, "bytes");
	cells[5].number = top_rate(l->top, flow, old, "reply_bytes");
}

/* The first TOP_FLOWS_MAX of the data plane's tables. */
void top_fill_flows(const struct top *top, struct top_table *table)
{
	static const struct top_column columns[] = {{"PROTO", 5, TOP_TEXT}, {"FROM", 11, TOP_TEXT},
		{"SOURCE", 18, TOP_TEXT}, {"DESTINATION", 19, TOP_TEXT}, {"OUT", 11, TOP_BITS},
		{"BACK", 11, TOP_BITS}, {NULL, 0, 0}};

	begin(table, columns);
	fill(top, table, "flows", top->now.flows, top->before.flows, is_same_flow, add_flow);
}
