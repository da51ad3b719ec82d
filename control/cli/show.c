/* SPDX-License-Identifier: BSD-3-Clause */
/* Commands that show what the daemon knows. */
#include <stdlib.h>
#include <string.h>

#include "control/cli/cli.h"

enum { LIST_TEXT = 512 };

/* Where the peer is; of one that is configured by name also the name, and what is wrong with it. */
static void where_cell(struct cli_table *table, const json_t *peer)
{
	const char *name = json_string_value(json_object_get(peer, "endpoint_name"));
	const char *error = json_string_value(json_object_get(peer, "endpoint_error"));

	if (name == NULL)
		cli_table_cell(table, "%s", cli_text(peer, "endpoint"));
	else
		cli_table_cell(table, "%s (%s%s%s)", cli_text(peer, "endpoint"), name,
			error != NULL ? ": " : "", error != NULL ? error : "");
}

/* The common beginning: the answer, or, with -j, all that is to be done. */
static json_t *get(struct cli *cli, const char *path, int *code)
{
	json_t *json = cli_get(cli, path, code);

	if (json == NULL)
		return NULL;
	*code = CLI_OK;
	if (!cli->json)
		return json;
	cli_print_json(json);
	json_decref(json);
	return NULL;
}

/* "fra*": selected; "-, fra*": selected, and not offered any more. */
static void exit_cell(struct cli_table *table, const json_t *peer)
{
	const char *in_use = json_string_value(json_object_get(peer, "exit_node"));
	const char *selected = json_string_value(json_object_get(peer, "exit_node_selected"));

	if (selected == NULL)
		cli_table_cell(table, "%s", in_use == NULL ? "-" : in_use);
	else
		cli_table_cell(table, "%s%s*", in_use == NULL ? "-, " : "", selected);
}

static void print_peers(struct cli *cli, const json_t *json)
{
	static const char *const headers[] = {"NAME", "STATE", "ADDRESSES", "ENDPOINT",
		">HANDSHAKE", ">RX", ">TX", "EXIT NODE", NULL};
	struct cli_table *table = cli_table_create(headers);
	char text[LIST_TEXT], age[16], rx[CLI_UNITS_TEXT], tx[CLI_UNITS_TEXT];
	const json_t *peer;
	size_t i;

	json_array_foreach(json_object_get(json, "peers"), i, peer)
	{
		cli_table_cell(table, "%s", cli_text(peer, "name"));
		cli_table_cell(table, "%s", cli_text(peer, "state"));
		cli_table_cell(table, "%s", cli_list(peer, "addresses", text, sizeof(text)));
		where_cell(table, peer);
		cli_table_cell(table, "%s", cli_age(cli_int(peer, "last_handshake"), age));
		cli_table_cell(table, "%s", cli_bytes(cli_int(peer, "rx_bytes"), rx));
		cli_table_cell(table, "%s", cli_bytes(cli_int(peer, "tx_bytes"), tx));
		exit_cell(table, peer);
	}
	cli_table_print(cli, &table);
}

int cli_run_peers(struct cli *cli)
{
	int code;
	json_t *json = get(cli, "/api/peers", &code);

	if (json == NULL)
		return code;
	print_peers(cli, json);
	json_decref(json);
	return CLI_OK;
}

static void traffic_cells(struct cli_table *table, const json_t *object)
{
	char out[CLI_UNITS_TEXT], back[CLI_UNITS_TEXT];

	cli_table_cell(table, "%lld", (long long)cli_int(object, "flows"));
	cli_table_cell(table, "%s", cli_bytes(cli_int(object, "bytes"), out));
	cli_table_cell(table, "%s", cli_bytes(cli_int(object, "reply_bytes"), back));
}

/* "10.201.0.0/24=192.168.1.0/24": as it is seen, and what it is behind the peer. */
static void prefix_cell(struct cli_table *table, const json_t *route)
{
	const json_t *prefixes = json_object_get(route, "prefixes");
	const json_t *map = json_object_get(route, "map");
	char text[LIST_TEXT];
	size_t used = 0;

	text[0] = '\0';
	for (size_t i = 0; i < json_array_size(prefixes) && used < sizeof(text); i++) {
		const char *real = json_string_value(json_array_get(map, i));

		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s%s%s",
			i == 0 ? "" : ", ", json_string_value(json_array_get(prefixes, i)),
			real == NULL ? "" : "=", real == NULL ? "" : real);
	}
	cli_table_cell(table, "%s", text);
}

/* ", NAME (STATE)" behind what is there; false if there is no more room. */
static bool add_member(char text[LIST_TEXT], const char *name, const char *state)
{
	size_t used = strlen(text);
	int n = snprintf(text + used, LIST_TEXT - used, "%s%s%s%s%s", used == 0 ? "" : ", ", name,
		state == NULL ? "" : " (", state == NULL ? "" : state, state == NULL ? "" : ")");

	return n >= 0 && (size_t)n < LIST_TEXT - used;
}

/* "berlin1 (in use), berlin2 (down), phone (skipped)": where one can take over from another, how
 * each stands, and who does not count. */
static void via_cell(struct cli_table *table, const json_t *route)
{
	const json_t *members = json_object_get(route, "members"), *member;
	const json_t *skipped = json_object_get(route, "skipped");
	char text[LIST_TEXT] = "";
	size_t i;

	if (json_is_string(json_object_get(route, "via_port"))) {
		cli_table_cell(table, "%s", cli_text(route, "via_port"));
		return;
	}
	json_array_foreach(members, i, member)
	{
		const char *state = json_string_value(json_object_get(member, "state"));
		bool in_use = json_is_true(json_object_get(member, "in_use"));

		if (state != NULL && in_use && strcmp(state, "up") == 0)
			state = "in use";
		if (!add_member(text, cli_text(member, "peer"), state))
			break;
	}
	json_array_foreach(skipped, i, member)
	{
		if (!add_member(text, cli_text(member, "peer"), "skipped"))
			break;
	}
	cli_table_cell(table, "%s", text);
}

void cli_print_route_needs(const struct cli *cli, const json_t *routes)
{
	json_t *all = json_array();
	const json_t *route;
	size_t i;

	json_array_foreach((json_t *)routes, i, route)
		json_array_extend(all, json_object_get(route, "return_routes"));
	cli_print_returns(cli, all);
	json_decref(all);
	json_array_foreach((json_t *)routes, i, route)
	{
		if (json_is_true(json_object_get(route, "unanswered")))
			cli_print_line(cli, "  ",
				"Route %s has had no answer: does the network behind it have these "
				"routes?",
				cli_text(route, "name"));
	}
}

int cli_run_routes(struct cli *cli)
{
	static const char *const headers[] = {
		"NAME", "PREFIXES", "VIA", "ACCESS", ">PEERS", ">FLOWS", ">OUT", ">BACK", NULL};
	int code;
	json_t *json = get(cli, "/api/routes", &code), *route;
	struct cli_table *table;
	size_t i;

	if (json == NULL)
		return code;
	table = cli_table_create(headers);
	json_array_foreach(json_object_get(json, "routes"), i, route)
	{
		bool open = json_is_true(json_object_get(route, "unrestricted"));

		cli_table_cell(table, "%s", cli_text(route, "name"));
		prefix_cell(table, route);
		via_cell(table, route);
		cli_table_cell(table, "%s",
			!json_is_true(json_object_get(route, "enabled")) ? "disabled"
			: open                                           ? "OPEN"
									 : "policy");
		cli_table_cell(table, "%lld", (long long)cli_int(route, "peers"));
		traffic_cells(table, route);
	}
	cli_table_print(cli, &table);
	cli_print_route_needs(cli, json_object_get(json, "routes"));
	json_decref(json);
	return CLI_OK;
}

static void source_text(const json_t *from, char *text, size_t size)
{
	const char *key;
	json_t *value;
	char part[LIST_TEXT];
	size_t used = 0;

	snprintf(text, size, "any");
	json_object_foreach((json_t *)from, key, value)
	{
		int n;

		if (json_is_true(value))
			n = snprintf(text + used, size - used, "%s%s", used ? " " : "", key);
		else
			n = snprintf(text + used, size - used, "%s%s:%s", used ? " " : "", key,
				json_is_string(value) ? json_string_value(value)
						      : cli_list(from, key, part, sizeof(part)));
		if (n < 0 || (size_t)n >= size - used)
			return;
		used += (size_t)n;
	}
}

int cli_run_egress(struct cli *cli)
{
	static const char *const headers[] = {
		"POOL", "ADDRESS", ">MAPPINGS", ">BLOCKS", ">REFUSED", ">OUT", ">BACK", NULL};
	static const char *const rule_headers[] = {">RULE", "FROM", "TO", "USE", NULL};
	int code;
	json_t *json = get(cli, "/api/egress", &code), *pool, *address, *rule;
	struct cli_table *table;
	char tx[CLI_UNITS_TEXT], rx[CLI_UNITS_TEXT], text[LIST_TEXT];
	size_t i, k;

	if (json == NULL)
		return code;
	table = cli_table_create(headers);
	json_array_foreach(json_object_get(json, "pools"), i, pool)
	{
		json_array_foreach(json_object_get(pool, "addresses"), k, address)
		{
			cli_table_cell(table, "%s", cli_text(pool, "name"));
			cli_table_cell(table, "%s", cli_text(address, "address"));
			cli_table_cell(table, "%lld", (long long)cli_int(address, "mappings"));
			cli_table_cell(table, "%lld/%lld",
				(long long)cli_int(address, "blocks_used"),
				(long long)cli_int(address, "blocks_total"));
			cli_table_cell(table, "%lld", (long long)cli_int(address, "refused"));
			cli_table_cell(table, "%s", cli_bytes(cli_int(address, "tx_bytes"), tx));
			cli_table_cell(table, "%s", cli_bytes(cli_int(address, "rx_bytes"), rx));
		}
	}
	cli_table_print(cli, &table);
	putchar('\n');
	table = cli_table_create(rule_headers);
	json_array_foreach(json_object_get(json, "rules"), i, rule)
	{
		cli_table_cell(table, "%zu", i + 1);
		source_text(json_object_get(rule, "from"), text, sizeof(text));
		cli_table_cell(table, "%s", text);
		cli_list(rule, "to", text, sizeof(text));
		cli_table_cell(table, "%s", strcmp(text, "-") == 0 ? "anywhere" : text);
		cli_table_cell(table, "%s", cli_text(rule, "use"));
	}
	cli_table_cell(table, "default");
	cli_table_cell(table, "any");
	cli_table_cell(table, "anywhere");
	cli_table_cell(table, "%s", cli_text(json, "default"));
	cli_table_print(cli, &table);
	json_decref(json);
	return CLI_OK;
}

/* 10.201.0.5=192.168.1.5:80 where the first is what stands for the second. */
static void endpoint_cell(struct cli_table *table, const json_t *flow, const char *address,
	const char *real, const char *port)
{
	const char *text = cli_text(flow, address);
	bool mapped = real != NULL && json_is_string(json_object_get(flow, real));
	bool brackets = cli_int(flow, port) != 0 && strchr(text, ':') != NULL;
	char number[24] = "";

	if (cli_int(flow, port) != 0)
		snprintf(number, sizeof(number), ":%lld", (long long)cli_int(flow, port));
	cli_table_cell(table, "%s%s%s%s%s%s", brackets ? "[" : "", text, mapped ? "=" : "",
		mapped ? cli_text(flow, real) : "", brackets ? "]" : "", number);
}

/* The first one is enough to act on; -j has them all. */
static void print_hint(const struct cli *cli, const json_t *flows)
{
	const json_t *flow;
	size_t i;

	json_array_foreach(flows, i, flow)
	{
		const char *hint = json_string_value(json_object_get(flow, "hint"));

		if (hint != NULL) {
			putchar('\n');
			cli_print_wrapped(cli, 0, "", hint);
			return;
		}
	}
}

int cli_run_flows(struct cli *cli)
{
	static const char *const headers[] = {
		"PROTO", "FROM", "SOURCE", "DESTINATION", "AS", ">OUT", ">BACK", "RULE", NULL};
	char path[256], out[CLI_UNITS_TEXT], back[CLI_UNITS_TEXT];
	struct cli_table *table;
	json_t *json, *flow;
	size_t i;
	int code;

	if (cli->peer != NULL &&
		strspn(cli->peer, "0123456789abcdefghijklmnopqrstuvwxyz_-"
				  "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != strlen(cli->peer)) {
		fputs("sallyport: not a name of a peer\n", stderr);
		return CLI_USAGE;
	}
	snprintf(path, sizeof(path), "/api/flows?max=%d%s%s",
		cli->max == NULL ? 1000 : atoi(cli->max),
		cli->peer == NULL ? "" : "&peer=", cli->peer == NULL ? "" : cli->peer);
	json = get(cli, path, &code);
	if (json == NULL)
		return code;
	table = cli_table_create(headers);
	json_array_foreach(json_object_get(json, "flows"), i, flow)
	{
		cli_table_cell(table, "%s", cli_text(flow, "protocol"));
		cli_table_cell(table, "%s", cli_text(flow, "from"));
		endpoint_cell(table, flow, "src", "src_real", "sport");
		endpoint_cell(table, flow, "dst", "dst_real", "dport");
		endpoint_cell(table, flow, "nat", NULL, "nat_port");
		cli_table_cell(table, "%s", cli_bytes(cli_int(flow, "bytes"), out));
		cli_table_cell(table, "%s", cli_bytes(cli_int(flow, "reply_bytes"), back));
		cli_table_cell(table, "%s", cli_text(flow, "rule"));
	}
	cli_table_print(cli, &table);
	print_hint(cli, json_object_get(json, "flows"));
	json_decref(json);
	return CLI_OK;
}

int cli_run_drops(struct cli *cli)
{
	static const char *const headers[] = {"REASON", ">PACKETS", "MEANING", NULL};
	int code;
	json_t *json = get(cli, "/api/drops", &code), *drop;
	struct cli_table *table;
	size_t i;

	if (json == NULL)
		return code;
	table = cli_table_create(headers);
	json_array_foreach(json_object_get(json, "drops"), i, drop)
	{
		if (cli_int(drop, "packets") == 0 && !(cli->given & CLI_ALL))
			continue;
		cli_table_cell(table, "%s", cli_text(drop, "name"));
		cli_table_cell(table, "%lld", (long long)cli_int(drop, "packets"));
		cli_table_cell(table, "%s", cli_text(drop, "text"));
	}
	cli_table_print(cli, &table);
	json_decref(json);
	return CLI_OK;
}

int cli_run_policy(struct cli *cli)
{
	static const char *const headers[] = {
		"NAME", "ACTION", "FROM", "TO", "PROTOCOL", ">FLOWS", ">OUT", ">BACK", NULL};
	int code;
	json_t *json = get(cli, "/api/policies", &code), *policy;
	struct cli_table *table;
	char text[LIST_TEXT], ports[LIST_TEXT];
	size_t i;

	if (json == NULL)
		return code;
	table = cli_table_create(headers);
	json_array_foreach(json_object_get(json, "policies"), i, policy)
	{
		bool enabled = json_is_true(json_object_get(policy, "enabled"));

		cli_table_cell(table, "%s", cli_text(policy, "name"));
		cli_table_cell(table, "%s", enabled ? cli_text(policy, "action") : "disabled");
		source_text(json_object_get(policy, "from"), text, sizeof(text));
		cli_table_cell(table, "%s", text);
		source_text(json_object_get(policy, "to"), text, sizeof(text));
		cli_table_cell(table, "%s", text);
		cli_list(policy, "ports", ports, sizeof(ports));
		if (strcmp(ports, "-") == 0)
			cli_table_cell(table, "%s", cli_text(policy, "protocol"));
		else
			cli_table_cell(table, "%s/%s", cli_text(policy, "protocol"), ports);
		traffic_cells(table, policy);
	}
	cli_table_print(cli, &table);
	printf("\nRoutes without ACL groups: %s. Whatever no policy allows is denied.\n",
		cli_text(json, "routes_without_acl_groups"));
	json_decref(json);
	return CLI_OK;
}
