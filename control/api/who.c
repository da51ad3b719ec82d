/* SPDX-License-Identifier: BSD-3-Clause */
/* Who had a port of an egress address at a time. */
#include "control/api/api_priv.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "control/ledger/ledger.h"

enum { ROWS_MAX = 64 };

static const char *proto_name(uint8_t proto)
{
	return proto == IPPROTO_TCP ? "tcp" : proto == IPPROTO_UDP ? "udp" : "icmp";
}

static void add_row(const struct ledger_row *row, void *arg)
{
	json_array_append_new(
		arg, json_pack("{s:s, s:s, s:i, s:i, s:b, s:I, s:o}", "who", row->who, "protocol",
			     proto_name(row->proto), "port_first", (int)row->port_first,
			     "port_last", (int)row->port_first + API_BLOCK_PORTS - 1, "shared",
			     (int)row->shared, "since_ms", (json_int_t)row->since_ms, "until_ms",
			     row->until_ms == 0 ? json_null()
						: json_integer((json_int_t)row->until_ms)));
}

/* -1: none of the words. */
static int read_proto(const char *word)
{
	if (word == NULL)
		return 0;
	if (strcmp(word, "tcp") == 0)
		return IPPROTO_TCP;
	if (strcmp(word, "udp") == 0)
		return IPPROTO_UDP;
	return strcmp(word, "icmp") == 0 ? IPPROTO_ICMP : -1;
}

void api_get_who(struct http_request *request, void *arg)
{
	struct api *api = arg;
	const char *where = http_query(request, "endpoint"), *at = http_query(request, "at_ms");
	int proto = read_proto(http_query(request, "proto"));
	uint64_t at_ms = (uint64_t)time(NULL) * 1000;
	struct endpoint endpoint;
	char *end = NULL;
	json_t *rows;

	if (at != NULL)
		at_ms = strtoull(at, &end, 10);
	if (where == NULL || endpoint_parse(where, &endpoint) < 0 || proto < 0 ||
		(end != NULL && (*end != '\0' || end == at || at_ms > INT64_MAX))) {
		http_reply_problem(request, 400,
			"endpoint is ADDRESS:PORT or [ADDRESS]:PORT, at_ms a Unix time in ms, "
			"proto tcp, udp or icmp",
			NULL);
		return;
	}
	rows = json_array();
	if (api->ledger == NULL || ledger_ask(api->ledger, &endpoint.addr, endpoint.port,
					   (uint8_t)proto, at_ms, ROWS_MAX, add_row, rows) < 0) {
		json_decref(rows);
		http_reply_problem(request, 503, "the log of port blocks cannot be read", NULL);
		return;
	}
	http_reply(request, 200,
		json_pack(
			"{s:i, s:I, s:o}", "schema", 1, "at_ms", (json_int_t)at_ms, "users", rows));
}
