/* SPDX-License-Identifier: BSD-3-Clause */
/* One table for each kind of thing that is counted. Widths with their gaps make 80 columns. */
#include <string.h>

#include "control/cli/top.h"

static struct top_row *add_row(struct top_table *table)
{
	table->rows = pool_grow(table->pool, table->rows, table->n_rows, sizeof(*table->rows));
	return &table->rows[table->n_rows++];
}

static void begin(struct top_table *table, const struct top_column *columns)
{
	table->columns = columns;
	while (columns[table->n_columns].header != NULL)
		table->n_columns++;
}

void top_fill_workers(const struct top *top, struct top_table *table)
{
	static const struct top_column columns[] = {{"WORKER", 6, TOP_COUNT}, {"CPU", 4, TOP_COUNT},
		{"BUSY", 6, TOP_PERCENT}, {"SLEEPS/s", 10, TOP_COUNT}, {"TO/s", 10, TOP_COUNT},
		{"FROM/s", 10, TOP_COUNT}, {"HELPED/s", 9, TOP_COUNT}, {"FLOWS", 10, TOP_COUNT},
		{NULL, 0, 0}};
	const json_t *list = json_object_get(top->now.status, "workers"), *worker;
	const json_t *before = json_object_get(top->before.status, "workers");
	size_t i;

	begin(table, columns);
	json_array_foreach((json_t *)list, i, worker)
	{
		const json_t *old = json_array_get(before, i);
		double total = top_rate(top, worker, old, "total_cycles");
		double busy = top_rate(top, worker, old, "busy_cycles");
		union top_cell *cells = add_row(table)->cells;

		cells[0].number = (double)cli_int(worker, "worker");
		cells[1].number = (double)cli_int(worker, "cpu");
		cells[2].number = total > 0 ? 100 * busy / total : 0;
		cells[3].number = top_rate(top, worker, old, "sleeps");
		cells[4].number = top_rate(top, worker, old, "handoff_out");
		cells[5].number = top_rate(top, worker, old, "handoff_in");
		cells[6].number = top_rate(top, worker, old, "helped");
		cells[7].number = (double)cli_int(worker, "flows");
	}
}

/* Stages that packets go through: how many at a time, what each costs, and its share of all. */
void top_fill_nodes(const struct top *top, struct top_table *table)
{
	static const struct top_column columns[] = {{"NODE", 26, TOP_TEXT},
		{"PACKETS/s", 11, TOP_COUNT}, {"PER CALL", 9, TOP_COUNT},
		{"CYCLES/PACKET", 14, TOP_COUNT}, {"SHARE", 6, TOP_PERCENT}, {NULL, 0, 0}};
	const json_t *list = json_object_get(top->now.status, "nodes"), *node;
	const json_t *before = json_object_get(top->before.status, "nodes");
	double all = 0;
	size_t i;

	begin(table, columns);
	json_array_foreach((json_t *)list, i, node)
	{
		const json_t *old = top_find(before, i, "name", cli_text(node, "name"));
		double packets = top_rate(top, node, old, "packets");
		double calls = top_rate(top, node, old, "calls");
		double cycles = top_rate(top, node, old, "cycles");
		union top_cell *cells = add_row(table)->cells;

		all += cycles;
		cells[0].text = cli_text(node, "name");
		cells[1].number = packets;
		cells[2].number = calls > 0 ? packets / calls : 0;
		cells[3].number = packets > 0 ? cycles / packets : 0;
		cells[4].number = cycles;
	}
	for (i = 0; i < table->n_rows; i++)
		table->rows[i].cells[4].number *= all > 0 ? 100 / all : 0;
}

void top_fill_ports(const struct top *top, struct top_table *table)
{
	static const struct top_column columns[] = {{"PORT", 12, TOP_TEXT}, {"LINK", 5, TOP_TEXT},
		{"RECEIVED", 12, TOP_BITS}, {"PACKETS/s", 10, TOP_COUNT}, {"SENT", 12, TOP_BITS},
		{"PACKETS/s", 10, TOP_COUNT}, {"MISSED/s", 9, TOP_COUNT}, {NULL, 0, 0}};
	const json_t *list = json_object_get(top->now.status, "ports"), *port;
	const json_t *before = json_object_get(top->before.status, "ports");
	size_t i;

	begin(table, columns);
	json_array_foreach((json_t *)list, i, port)
	{
		const json_t *old = top_find(before, i, "name", cli_text(port, "name"));
		union top_cell *cells = add_row(table)->cells;

		cells[0].text = cli_text(port, "name");
		cells[1].text = json_is_true(json_object_get(port, "link_up")) ? "up" : "down";
		cells[2].number = top_rate(top, port, old, "rx_bytes");
		cells[3].number = top_rate(top, port, old, "rx_packets");
		cells[4].number = top_rate(top, port, old, "tx_bytes");
		cells[5].number = top_rate(top, port, old, "tx_packets");
		cells[6].number = top_rate(top, port, old, "rx_missed");
	}
}

void top_fill_peers(const struct top *top, struct top_table *table)
{
	static const struct top_column columns[] = {{"PEER", 23, TOP_TEXT}, {"STATE", 6, TOP_TEXT},
		{"FROM", 12, TOP_BITS}, {"TO", 12, TOP_BITS}, {"PACKETS/s", 11, TOP_COUNT},
		{"FLOWS", 9, TOP_COUNT}, {NULL, 0, 0}};
	const json_t *list = json_object_get(top->now.peers, "peers"), *peer;
	const json_t *before = json_object_get(top->before.peers, "peers");
	size_t i;

	begin(table, columns);
	json_array_foreach((json_t *)list, i, peer)
	{
		const json_t *old = top_find(before, i, "name", cli_text(peer, "name"));
		union top_cell *cells = add_row(table)->cells;

		cells[0].text = cli_text(peer, "name");
		cells[1].text = cli_text(peer, "state");
		cells[2].number = top_rate(top, peer, old, "rx_bytes");
		cells[3].number = top_rate(top, peer, old, "tx_bytes");
		cells[4].number = top_rate(top, peer, old, "rx_packets") +
				  top_rate(top, peer, old, "tx_packets");
		cells[5].number = (double)cli_int(peer, "flows");
	}
}

static void add_address(const struct top *top, struct top_table *table, const json_t *pool,
	const json_t *address, const json_t *old)
{
	union top_cell *cells = add_row(table)->cells;
	json_int_t blocks = cli_int(address, "blocks_total");

	cells[0].text = cli_text(pool, "name");
	cells[1].text = cli_text(address, "address");
	cells[2].number = top_rate(top, address, old, "tx_bytes");
	cells[3].number = top_rate(top, address, old, "rx_bytes");
	cells[4].number = (double)cli_int(address, "mappings");
	cells[5].number =
		blocks == 0 ? 0 : 100 * (double)cli_int(address, "blocks_used") / (double)blocks;
	cells[6].number = (double)cli_int(address, "refused");
}

/* BLOCKS: how much of the address's port blocks is in use. */
void top_fill_egress(const struct top *top, struct top_table *table)
{
	static const struct top_column columns[] = {{"EGRESS", 10, TOP_TEXT},
		{"ADDRESS", 18, TOP_TEXT}, {"OUT", 11, TOP_BITS}, {"BACK", 11, TOP_BITS},
		{"MAPPINGS", 9, TOP_COUNT}, {"BLOCKS", 7, TOP_PERCENT}, {"REFUSED", 8, TOP_COUNT},
		{NULL, 0, 0}};
	const json_t *pools = json_object_get(top->now.egress, "pools"), *pool, *address;
	const json_t *before = json_object_get(top->before.egress, "pools");
	size_t i, k;

	begin(table, columns);
	json_array_foreach((json_t *)pools, i, pool)
	{
		const json_t *was = top_find(before, i, "name", cli_text(pool, "name"));

		json_array_foreach(json_object_get(pool, "addresses"), k, address)
		{
			add_address(top, table, pool, address,
				top_find(json_object_get(was, "addresses"), k, "address",
					cli_text(address, "address")));
		}
	}
}

void top_fill_drops(const struct top *top, struct top_table *table)
{
	static const struct top_column columns[] = {{"DROPS", 26, TOP_TEXT},
		{"PACKETS/s", 10, TOP_COUNT}, {"TOTAL", 12, TOP_COUNT}, {"MEANING", 29, TOP_TEXT},
		{NULL, 0, 0}};
	const json_t *list = json_object_get(top->now.drops, "drops"), *drop;
	const json_t *before = json_object_get(top->before.drops, "drops");
	size_t i;

	begin(table, columns);
	json_array_foreach((json_t *)list, i, drop)
	{
		const json_t *old = top_find(before, i, "name", cli_text(drop, "name"));
		union top_cell *cells;

		if (cli_int(drop, "packets") == 0)
			continue;
		cells = add_row(table)->cells;
		cells[0].text = cli_text(drop, "name");
		cells[1].number = top_rate(top, drop, old, "packets");
		cells[2].number = (double)cli_int(drop, "packets");
		cells[3].text = cli_text(drop, "text");
	}
}

static bool is_same_flow(const json_t *a, const json_t *b)
{
	static const char *const texts[] = {"protocol", "src", "dst", "from"};
	static const char *const numbers[] = {"sport", "dport"};

	for (size_t i = 0; i < 2; i++) {
		if (cli_int(a, numbers[i]) != cli_int(b, numbers[i]))
			return false;
	}
	for (size_t i = 0; i < 4; i++) {
		if (strcmp(cli_text(a, texts[i]), cli_text(b, texts[i])) != 0)
			return false;
	}
	return true;
}

static const json_t *find_flow(const json_t *list, size_t hint, const json_t *flow)
{
	const json_t *item = json_array_get(list, hint);
	size_t i;

	if (item != NULL && is_same_flow(item, flow))
		return item;
	json_array_foreach((json_t *)list, i, item)
	{
		if (is_same_flow(item, flow))
			return item;
	}
	return NULL;
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

/* The first TOP_FLOWS_MAX of the data plane's tables. */
void top_fill_flows(const struct top *top, struct top_table *table)
{
	static const struct top_column columns[] = {{"PROTO", 5, TOP_TEXT}, {"FROM", 11, TOP_TEXT},
		{"SOURCE", 18, TOP_TEXT}, {"DESTINATION", 19, TOP_TEXT}, {"OUT", 11, TOP_BITS},
		{"BACK", 11, TOP_BITS}, {NULL, 0, 0}};
	const json_t *list = json_object_get(top->now.flows, "flows"), *flow;
	const json_t *before = json_object_get(top->before.flows, "flows");
	size_t i;

	begin(table, columns);
	json_array_foreach((json_t *)list, i, flow)
	{
		const json_t *old = find_flow(before, i, flow);
		union top_cell *cells = add_row(table)->cells;

		cells[0].text = cli_text(flow, "protocol");
		cells[1].text = cli_text(flow, "from");
		cells[2].text = end_text(table->pool, flow, "src", "sport");
		cells[3].text = end_text(table->pool, flow, "dst", "dport");
		cells[4].number = top_rate(top, flow, old, "bytes");
		cells[5].number = top_rate(top, flow, old, "reply_bytes");
	}
}
