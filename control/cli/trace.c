/* SPDX-License-Identifier: BSD-3-Clause */
/* The way of each packet: a line about it, then one per node. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "control/cli/cli.h"

enum { LINE_BYTES_MAX = 65536 };

struct tracer {
	struct cli *cli;
	char *line; /* what there is of the next one */
	size_t n;
	unsigned long packets;
};

static void print_side(const char *address, json_int_t port)
{
	printf(strchr(address, ':') != NULL && port != 0 ? "[%s]" : "%s", address);
	if (port != 0)
		printf(":%" JSON_INTEGER_FORMAT, port);
}

/* What became of it: the last line. */
static void print_end(const json_t *way)
{
	static const struct {
		const char *end, *text, *detail; /* which member says more */
	} texts[] = {
		{"waits", "waits: no node has had it for three seconds", NULL},
		{"dropped", "dropped: ", "drop"},
		{"sent", "sent by port ", "port"},
		{"host", "given to the host, as from port ", "port"},
		{"handshake", "read as a handshake message", NULL},
		{"keepalive", "a keepalive: it ends here", NULL},
		{"joined", "a fragment, put together with the others", NULL},
	};
	const char *end = cli_text(way, "end");

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		const char *detail = texts[i].detail;

		if (strcmp(end, texts[i].end) == 0)
			printf("   %s%s\n", texts[i].text,
				detail == NULL ? "" : cli_text(way, detail));
	}
}

static void print_way(unsigned long number, const json_t *way)
{
	const json_t *stages = json_object_get(way, "stages"), *stage;
	json_int_t cycles = 0;
	size_t i;

	printf("%s%lu  ", number > 1 ? "\n" : "", number);
	print_side(cli_text(way, "src"), cli_int(way, "sport"));
	fputs(" > ", stdout);
	print_side(cli_text(way, "dst"), cli_int(way, "dport"));
	printf("  protocol %" JSON_INTEGER_FORMAT, cli_int(way, "proto"));
	if (json_is_string(json_object_get(way, "from")))
		printf("  from %s", cli_text(way, "from"));
	if (json_is_string(json_object_get(way, "to")))
		printf("  to %s", cli_text(way, "to"));
	printf("\n   %-16s %6s %6s %10s %10s\n", "NODE", "WORKER", "BURST", "CYCLES", "AFTER us");
	json_array_foreach((json_t *)stages, i, stage)
	{
		printf("   %-16s %6" JSON_INTEGER_FORMAT " %6" JSON_INTEGER_FORMAT
		       " %10" JSON_INTEGER_FORMAT " %10.1f\n",
			cli_text(stage, "node"), cli_int(stage, "worker"), cli_int(stage, "burst"),
			cli_int(stage, "cycles"), (double)cli_int(stage, "at_ns") / 1000);
		cycles += cli_int(stage, "cycles");
	}
	printf("   %-30s %10" JSON_INTEGER_FORMAT "\n", "total", cycles);
	print_end(way);
}

static void take_line(struct tracer *t)
{
	json_t *way = json_loads(t->line, 0, NULL);

	t->packets++;
	if (t->cli->json)
		puts(t->line);
	else if (way != NULL)
		print_way(t->packets, way);
	fflush(stdout);
	json_decref(way);
}

static bool take(const void *bytes, size_t size, void *arg)
{
	struct tracer *t = arg;
	const char *from = bytes;

	for (size_t i = 0; i < size; i++) {
		if (from[i] != '\n' && t->n + 1 < LINE_BYTES_MAX) {
			t->line[t->n++] = from[i];
			continue;
		}
		t->line[t->n] = '\0';
		t->n = 0;
		take_line(t);
	}
	return true;
}

int cli_run_trace(struct cli *cli)
{
	struct tracer t = {.cli = cli};
	unsigned long count;
	char path[256];
	int code;

	if (!cli_number("count", cli->count, 1000, 1, &count))
		return CLI_USAGE;
	if (cli->peer != NULL && !cli_is_name("peer", cli->peer))
		return CLI_USAGE;
	t.line = malloc(LINE_BYTES_MAX);
	if (t.line == NULL)
		return CLI_FAILED;
	snprintf(path, sizeof(path), "/api/trace?count=%lu%s%s", count,
		cli->peer == NULL ? "" : "&peer=", cli->peer == NULL ? "" : cli->peer);
	code = cli_stream(cli, "GET", path, "", take, &t);
	if (code == CLI_OK && t.packets < count) {
		fprintf(stderr, "%lu of %lu packets came\n", t.packets, count);
		code = CLI_FAILED;
	}
	free(t.line);
	return code;
}
