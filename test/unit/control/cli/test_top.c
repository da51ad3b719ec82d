/* SPDX-License-Identifier: BSD-3-Clause */
/* Pages of `sallyport top`, of two samples that are written out here. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "control/cli/top.h"

enum { ROOM = 24 };

static struct cli cli;

static json_t *read_json(const char *text)
{
	char *quoted = strdup(text);
	json_t *json;

	/* In C a quote is two characters. */
	for (char *at = quoted; (at = strchr(at, '\'')) != NULL;)
		*at = '"';
	json = json_loads(quoted, 0, NULL);
	free(quoted);
	assert_non_null(json);
	return json;
}

/* Two seconds apart. The order of peers and pools is another one in the second. */
static void set_samples(struct top *top)
{
	*top = (struct top){.cli = &cli};
	top->before = (struct top_sample){
		.status = read_json("{'workers': [{'busy_cycles': 0, 'total_cycles': 1000}],"
				    "'nodes': [{'name': 'decrypt', 'packets': 10, 'calls': 1,"
				    "  'cycles': 1000}, {'name': 'idle'}],"
				    "'ports': [{'name': 'wan', 'rx_bytes': 0}]}"),
		.peers = read_json("{'peers': [{'name': 'anna', 'rx_bytes': 1000},"
				   "{'name': 'bob', 'rx_bytes': 9000}]}"),
		.drops = read_json("{'drops': [{'name': 'flow.policy', 'packets': 10}]}"),
		.egress = read_json("{'pools': [{'name': 'fra', 'addresses': ["
				    "{'address': '203.0.113.5', 'tx_bytes': 100}]}]}"),
		.flows = read_json("{'flows': [{'protocol': 'tcp', 'src': '10.0.0.1', 'sport': 1,"
				   "'dst': '2001:db8::1', 'dport': 443, 'bytes': 500}]}"),
		.time = 100,
	};
	top->now = (struct top_sample){
		.status = read_json(
			"{'version': '1', 'gateway': 'gw', 'state': 'ok', 'peers': {'total': 2},"
			"'workers': [{'worker': 0, 'cpu': 3, 'busy_cycles': 250,"
			"  'total_cycles': 2000}],"
			"'nodes': [{'name': 'decrypt', 'packets': 210, 'calls': 11,"
			"  'cycles': 61000}, {'name': 'idle'}],"
			"'ports': [{'name': 'wan', 'rx_bytes': 250000, 'link_up': true}]}"),
		.peers = read_json("{'peers': [{'name': 'bob', 'rx_bytes': 9000, 'flows': 7},"
				   "{'name': 'anna', 'state': 'live', 'rx_bytes': 251000},"
				   "{'name': 'new', 'rx_bytes': 77777777}]}"),
		.drops = read_json("{'drops': [{'name': 'flow.none', 'packets': 0},"
				   "{'name': 'flow.policy', 'packets': 30, 'text': 'no policy'}]}"),
		.egress = read_json("{'pools': [{'name': 'ams', 'addresses': []}, {'name': 'fra',"
				    "'addresses': [{'address': '203.0.113.5', 'tx_bytes': 1350,"
				    "'mappings': 4, 'blocks_used': 1, 'blocks_total': 4}]}]}"),
		.flows = read_json("{'flows': [{'protocol': 'udp', 'src': '10.0.0.2', 'sport': 9,"
				   "'dst': '192.0.2.9', 'dport': 53, 'bytes': 80},"
				   "{'protocol': 'tcp', 'src': '10.0.0.1', 'sport': 1,"
				   "'dst': '2001:db8::1', 'dport': 443, 'bytes': 1750}]}"),
		.time = 102,
	};
}

static void drop(struct top *top)
{
	top_forget(top);
	free(top->lines);
}

/* The line that begins so, or NULL. */
static const char *find_line(const struct top *top, const char *beginning)
{
	for (size_t i = 0; i < top->n_lines; i++) {
		if (strncmp(top->lines[i].text, beginning, strlen(beginning)) == 0)
			return top->lines[i].text;
	}
	return NULL;
}

static const char *compose(struct top *top, enum top_tab tab, const char *beginning)
{
	top->tab = tab;
	top_compose(top, ROOM);
	return find_line(top, beginning);
}

static void test_rates(void **state)
{
	struct top top;

	set_samples(&top);
	assert_string_equal(compose(&top, TOP_CORES, "     0"),
		"     0    3    25%          0          0          0         0          0");
	assert_string_equal(compose(&top, TOP_CORES, "decrypt"),
		"decrypt                            100        20            300   100%");
	assert_string_equal(compose(&top, TOP_PEERS, "anna"),
		"anna                    live     1.0 Mbit/s      0 bit/s           0         0");
	assert_non_null(strstr(compose(&top, TOP_PEERS, "new"), " 0 bit/s")); /* no rate yet */
	assert_string_equal(compose(&top, TOP_EGRESS, "fra"),
		"fra        203.0.113.5         5.0 kbit/s     0 bit/s         4     25%        0");
	assert_string_equal(compose(&top, TOP_DROPS, "flow.policy"),
		"flow.policy                        10           30 no policy                    ");
	assert_null(compose(&top, TOP_DROPS, "flow.none"));
	assert_string_equal(compose(&top, TOP_FLOWS, "tcp"),
		"tcp   -           10.0.0.1:1         [2001:db8::1]:443    5.0 kbit/s     0 bit/s");
	drop(&top);
}

/* The overview has a bit of everything, and no page is wider than a small terminal. */
static void test_pages_fit(void **state)
{
	static const char *const parts[] = {"sallyport 1 gw  ok", "peers 2:", "WORKER", "PORT",
		"DROPS", "EGRESS", "PEER", "anna", "wan"};
	struct top top;

	set_samples(&top);
	for (enum top_tab tab = 0; tab < TOP_TABS; tab++) {
		compose(&top, tab, "");
		for (size_t i = 0; i < top.n_lines; i++)
			assert_true(strlen(top.lines[i].text) <= 80);
		for (size_t i = 0; tab == TOP_OVERVIEW && i < sizeof(parts) / sizeof(parts[0]); i++)
			assert_non_null(find_line(&top, parts[i]));
	}
	top.tab = TOP_OVERVIEW;
	top_compose(&top, 12); /* a line is left for one peer */
	assert_true(top.n_lines <= 12);
	assert_non_null(find_line(&top, "anna"));
	assert_null(find_line(&top, "bob"));
	drop(&top);
}

static void assert_order(struct top *top, const char *a, const char *b)
{
	top_compose(top, ROOM);
	assert_non_null(find_line(top, a));
	assert_non_null(find_line(top, b));
	assert_true(find_line(top, a) < find_line(top, b));
}

static void test_sort_and_filter(void **state)
{
	struct top top;

	set_samples(&top);
	top.tab = TOP_PEERS;
	assert_string_equal(top_sort_name(&top), "FROM");
	assert_order(&top, "anna", "bob");
	top.reversed = true;
	assert_order(&top, "bob", "anna");
	top.reversed = false;
	for (size_t i = 0; i < 3; i++)
		top_sort_next(&top);
	assert_string_equal(top_sort_name(&top), "FLOWS");
	assert_order(&top, "bob", "anna");
	assert_non_null(strstr(find_line(&top, "PEER"), "*FLOWS"));
	top_sort_next(&top); /* from the last one to the first one, the names */
	assert_string_equal(top_sort_name(&top), "PEER");
	assert_order(&top, "anna", "bob");
	strcpy(top.filter, "ANN");
	assert_non_null(compose(&top, TOP_PEERS, "anna"));
	assert_null(find_line(&top, "bob"));
	/* A filter is for the table that has the page, not for what stands above it. */
	assert_non_null(compose(&top, TOP_OVERVIEW, "wan"));
	assert_null(find_line(&top, "bob"));
	strcpy(top.filter, "2001:db8");
	assert_non_null(compose(&top, TOP_FLOWS, "tcp"));
	assert_null(find_line(&top, "udp"));
	drop(&top);
}

/* A daemon that has nothing to tell yet. */
static void test_nothing(void **state)
{
	struct top top = {.cli = &cli};

	for (enum top_tab tab = 0; tab < TOP_TABS; tab++) {
		compose(&top, tab, "");
		assert_true(top.n_lines > 0);
	}
	assert_non_null(find_line(&top, "(no flows"));
	drop(&top);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rates),
		cmocka_unit_test(test_pages_fit),
		cmocka_unit_test(test_sort_and_filter),
		cmocka_unit_test(test_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
