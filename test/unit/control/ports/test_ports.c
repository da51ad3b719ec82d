/* SPDX-License-Identifier: BSD-3-Clause */
/* What firewalls must let through, and rules that nft takes. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "control/conf/conf.h"
#include "control/ports/ports.h"

static const char config[] =
	"version: 1\n"
	"ports:\n"
	"  wan: {device: net_null0, addresses: [198.51.100.2/24, '2001:db8:1::2/64'],\n"
	"        gateways: [198.51.100.1]}\n"
	"  lan: {device: net_null1, addresses: [10.20.0.1/24]}\n"
	"wireguard: {addresses: [100.64.0.1/10], listen_port: 4500}\n"
	"groups: {staff: {}}\n"
	"peers:\n"
	"  site: {public_key: HIgo9xNzJMWLKASShiTqIybxZ0U3wGLiUeJ1PKf8ykw=,\n"
	"         addresses: [100.64.0.9], endpoint: '192.0.2.7:51820'}\n"
	"routes:\n"
	"  lan: {prefixes: [10.20.0.0/24], via: {port: lan}, distribute_to: [staff],\n"
	"        acl_groups: [staff]}\n"
	"forwards: {web: {address: 198.51.100.5, protocol: tcp, ports: 8080-8089,\n"
	"           to: {peer: site, ports: 80-89}, from: any}}\n"
	"egress: {pools: {office: {addresses: [198.51.100.5, '2001:db8:1::5']}}}\n";

static struct model *model;

static size_t count(const json_t *rows, const char *direction, const char *protocol,
	const char *address, const char *remote, json_int_t port)
{
	const json_t *row;
	size_t n = 0, i;

	json_array_foreach((json_t *)rows, i, row)
	{
		const json_t *number = json_object_get(row, "port");

		n += strcmp(json_string_value(json_object_get(row, "direction")), direction) == 0 &&
		     strcmp(json_string_value(json_object_get(row, "protocol")), protocol) == 0 &&
		     strcmp(json_string_value(json_object_get(row, "address")), address) == 0 &&
		     strcmp(json_string_value(json_object_get(row, "remote")), remote) == 0 &&
		     (json_is_integer(number) ? json_integer_value(number) == port : port == 0);
	}
	return n;
}

static void test_rows(void **state)
{
	json_t *rows = ports_rows(model);

	assert_int_equal(count(rows, "in", "udp", "198.51.100.2", "any", 4500), 1);
	assert_int_equal(count(rows, "in", "udp", "2001:db8:1::2", "any", 4500), 1);
	assert_int_equal(count(rows, "out", "udp", "198.51.100.2", "192.0.2.7", 51820), 1);
	assert_int_equal(count(rows, "out", "udp", "2001:db8:1::2", "192.0.2.7", 51820), 0);
	assert_int_equal(count(rows, "out", "tcp", "198.51.100.5", "any", 0), 1);
	assert_int_equal(count(rows, "out", "icmpv6", "2001:db8:1::5", "any", 0), 1);
	assert_int_equal(count(rows, "in", "tcp", "198.51.100.5", "any", 0), 1); /* the forward */
	/* A port that only a route leads to is no way in for tunnels. */
	assert_int_equal(count(rows, "in", "udp", "10.20.0.1", "any", 4500), 0);
	json_decref(rows);
}

/* `nft -c` wants to look at the kernel, and so root. */
static void test_nft(void **state)
{
	json_t *rows = ports_rows(model);
	FILE *nft;

	if (system("nft list tables >/dev/null 2>&1") != 0)
		skip();
	nft = popen("nft -c -f -", "we");
	assert_non_null(nft);
	ports_write_nft(nft, rows);
	assert_int_equal(pclose(nft), 0);
	nft = popen("nft -c -f - 2>/dev/null", "we");
	fputs("table inet x { chain y { udp dport nonsense accept\n} }\n", nft);
	assert_int_not_equal(pclose(nft), 0);
	json_decref(rows);
}

static int set_up(void **state)
{
	struct diag *diag;

	model = conf_parse("test.yaml", config, strlen(config), NULL, &diag);
	if (model == NULL)
		diag_print(diag, stderr, false);
	diag_destroy(&diag);
	return model == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
	model_destroy(&model);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_nft),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
