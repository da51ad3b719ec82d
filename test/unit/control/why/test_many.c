/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Many of everything that the index puts in order: each peer has a rule of its own, so there are
 * more source sets than a byte can count, each with the exit node's routes; and some may use it,
 * some may reach one of their neighbours, some neither.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/conf/conf.h"
#include "control/why/why.h"

enum { PEERS = 700 };

static void write_peers(FILE *out)
{
	for (unsigned i = 0; i < PEERS; i++) {
		struct key key = {.bytes = {[0] = (uint8_t)i, [1] = (uint8_t)(i >> 8), [9] = 1}};
		char text[KEY_TEXT_MAX];

		fprintf(out, "  p%u: {addresses: [100.64.%u.%u], groups: [all], public_key: %s}\n",
			i, 1 + i / 250, 1 + i % 250, key_format(&key, text));
	}
}

static void write_policies(FILE *out)
{
	for (unsigned i = 0; i < PEERS; i++) {
		if (i % 3 == 0)
			fprintf(out,
				"  - {name: out%u, from: {peers: [p%u]}, to: {exit_nodes: [net]}, "
				"action: allow}\n",
				i, i);
		else
			fprintf(out,
				"  - {name: to%u, from: {peers: [p%u]}, to: {peers: [p%u]}, "
				"protocol: tcp, ports: [22], action: %s}\n",
				i, i, (i + 1) % PEERS, i % 3 == 1 ? "allow" : "deny");
	}
}

static char *make_text(size_t *size)
{
	char *text = NULL;
	FILE *out = open_memstream(&text, size);

	assert_non_null(out);
	fputs("version: 1\n"
	      "ports: {inet: {device: net_null0, addresses: [203.0.113.2/24], gateways: "
	      "[203.0.113.1]}}\n"
	      "wireguard: {addresses: [100.64.0.1/16]}\n"
	      "groups: {all: {}}\n"
	      "exit_nodes: {net: {offer_to: [all]}}\n"
	      "egress: {pools: {a: {addresses: [203.0.113.5]}}, default: a}\n"
	      "peers:\n",
		out);
	write_peers(out);
	fputs("policies:\n", out);
	write_policies(out);
	fclose(out);
	return text;
}

static enum why_verdict ask(const struct why_index *index, const struct compiled *compiled,
	unsigned from, const struct addr *to, uint16_t port)
{
	struct why_answer answer;
	struct why_query query = {
		.as = model_peer_at(compiled->model, from),
		.dst = *to,
		.protocol = MODEL_TCP,
		.port = port,
	};

	query.src = query.as->addresses.items[0];
	why_judge(index, &query, &answer);
	return answer.verdict;
}

static void test_each_set_has_its_own(void **state)
{
	struct compile_input input = {.underlay = true};
	struct compiled *compiled;
	struct why_index *index;
	struct addr internet;
	struct model *model;
	struct diag *diag;
	const char *what;
	size_t size;
	int error;
	char *text = make_text(&size);

	model = conf_parse("test.yaml", text, size, NULL, &diag);
	if (model == NULL)
		diag_print(diag, stderr, false);
	assert_non_null(model);
	input.model = model;
	input.store = store_open(NULL, &error);
	compiled = compile_model(&input, &error, &what);
	assert_non_null(compiled);
	assert_true(compiled->n_sets >= PEERS);
	index = why_index_create(compiled, &compiled->desired);
	assert_int_equal(addr_parse("192.0.2.9", &internet), 0);
	for (unsigned i = 0; i < PEERS; i++) {
		const struct addr *next =
			&model_peer_at(model, (i + 1) % PEERS)->addresses.items[0];
		const struct addr *other =
			&model_peer_at(model, (i + 2) % PEERS)->addresses.items[0];
		enum why_verdict out = ask(index, compiled, i, &internet, 443);

		if (i % 3 == 0)
			assert_int_equal(out, WHY_ALLOWED);
		else
			assert_int_not_equal(out, WHY_ALLOWED);
		assert_int_equal(
			ask(index, compiled, i, next, 22), i % 3 == 1 ? WHY_ALLOWED : WHY_POLICY);
		assert_int_equal(ask(index, compiled, i, next, 23), WHY_POLICY);
		assert_int_equal(ask(index, compiled, i, other, 22), WHY_POLICY);
	}
	why_index_destroy(&index);
	compile_destroy(&compiled);
	model_destroy(&model);
	diag_destroy(&diag);
	store_close(&input.store);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_set_has_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
