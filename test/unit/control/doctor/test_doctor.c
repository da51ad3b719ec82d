/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Each step with something wrong and with it mended: the machine in a tree of files made here, the
 * gateway in a configuration, and real conflicts (nftables, GRO, a missing device) in a network
 * namespace, for root.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/api/table.h"
#include "control/conf/conf.h"
#include "control/doctor/doctor.h"

#define KEY_A "HIgo9xNzJMWLKASShiTqIybxZ0U3wGLiUeJ1PKf8ykw="
#define KEY_B "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg="
#define KEY_C "TrMvSoP4jYQlY6RIzBgbssQqY3vxI2Pi+y71lOWWXX0="

static const char config[] =
	"version: 1\n"
	"dataplane: {idle: poll, workers: 1}\n"
	"ports:\n"
	"  wan: {device: '0000:3b:00.0', addresses: [198.51.100.2/24]}\n"
	"  inet: {device: 'net_af_packet0,iface=spd0', addresses: [203.0.113.2/24, "
	"'2001:db8::2/64'], gateways: [203.0.113.1]}\n"
	"wireguard: {addresses: [100.64.0.1/10, 'fd64::1/64']}\n"
	"groups: {staff: {}, guests: {}, routers: {}}\n"
	"peers:\n"
	"  anna: {public_key: " KEY_A ", addresses: [100.64.0.11, 'fd64::11'], groups: [staff]}\n"
	"  bob: {public_key: " KEY_B ", addresses: [100.64.0.12], groups: [guests]}\n"
	"  r1: {public_key: " KEY_C ", addresses: [100.64.0.21], groups: [routers]}\n"
	"routes:\n"
	"  office: {prefixes: [10.30.0.0/16], via: {peers: [r1]}, masquerade: false,\n"
	"           distribute_to: [staff]}\n"
	"exit_nodes: {internet: {offer_to: [staff, routers]}}\n"
	"egress:\n"
	"  pools: {office: {addresses: [203.0.113.5]}}\n"
	"  rules: [{from: {groups: [staff]}, use: office}]\n"
	"policies:\n"
	"  - {name: out, from: {groups: [staff]}, to: {exit_nodes: [internet]}, action: allow}\n"
	"  - {name: ssh, from: {groups: [staff]}, to: {routes: [office]}, protocol: tcp,\n"
	"     ports: [22], action: allow}\n"
	"policy: {routes_without_acl_groups: deny}\n";

static struct model *model;
static struct compiled *compiled;
static struct store *store;
static char root[] = "/tmp/sp-doctor-XXXXXX";

/* --- findings --- */

/* The n-th finding of a step, or NULL. */
static const json_t *find(const json_t *findings, const char *step, size_t n)
{
	const json_t *finding;
	size_t i;

	json_array_foreach((json_t *)findings, i, finding)
	{
		if (strcmp(json_string_value(json_object_get(finding, "step")), step) == 0 &&
			n-- == 0)
			return finding;
	}
	return NULL;
}

static const char *member(const json_t *finding, const char *key)
{
	const char *text = json_string_value(json_object_get(finding, key));

	return text == NULL ? "" : text;
}

static void expect_nth(const json_t *findings, const char *step, size_t n, const char *state,
	const char *text, const char *fix)
{
	const json_t *finding = find(findings, step, n);

	if (finding == NULL || strcmp(member(finding, "state"), state) != 0 ||
		strstr(member(finding, "text"), text) == NULL ||
		strstr(member(finding, "fix"), fix) == NULL ||
		(fix[0] == '\0' && member(finding, "fix")[0] != '\0'))
		fail_msg("%s: %s, %s -> %s; expected %s, %s -> %s", step, member(finding, "state"),
			member(finding, "text"), member(finding, "fix"), state, text, fix);
}

static void expect(const json_t *findings, const char *step, const char *state, const char *text,
	const char *fix)
{
	expect_nth(findings, step, 0, state, text, fix);
}

/* --- the machine --- */

static void put(const char *path, const char *content)
{
	char full[512];
	FILE *file;

	snprintf(full, sizeof(full), "%s%s", root, path);
	for (char *slash = strchr(full + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(full, 0700) < 0)
			assert_int_equal(errno, EEXIST);
		*slash = '/';
	}
	file = fopen(full, "we");
	assert_non_null(file);
	fputs(content, file);
	fclose(file);
}

static void put_driver(const char *driver)
{
	char link[256], target[128];

	put("/sys/bus/pci/devices/0000:3b:00.0/numa_node", "1\n");
	snprintf(link, sizeof(link), "%s/sys/bus/pci/devices/0000:3b:00.0/driver", root);
	unlink(link);
	snprintf(target, sizeof(target), "../../../../bus/pci/drivers/%s", driver);
	assert_int_equal(symlink(target, link), 0);
}

static json_t *machine(const json_t *ruleset)
{
	return doctor_machine(&(struct doctor_machine){
		.root = root, .model = model, .ruleset = ruleset, .running = true});
}

static void test_bare_machine(void **state)
{
	json_t *found = machine(NULL);

	expect(found, "hugepages", "fail", "0 MiB", "nr_hugepages");
	expect(found, "iommu", "fail", "vfio-pci", "intel_iommu=on");
	expect(found, "drivers", "fail", "no PCI device 0000:3b:00.0", "lspci");
	expect(found, "cores", "skip", "unknown", "");
	expect(found, "limits", "skip", "no data plane", "");
	expect(found, "devices", "fail", "there is no device spd0", "ip -br link");
	expect(found, "listen_port", "skip", "does not apply", "");
	assert_true(doctor_has(found, DOCTOR_FAIL));
	json_decref(found);
}

static void test_machine_step_by_step(void **state)
{
	json_t *found;

	put("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", "128\n");
	put("/sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages", "1\n");
	put("/sys/class/iommu/dmar0", "");
	put_driver("i40e");
	put("/sys/devices/system/cpu/online", "0-3,8\n");
	put("/sys/devices/system/cpu/isolated", "\n");
	put("/proc/sys/net/ipv4/ip_forward", "1\n");
	put("/proc/sys/net/ipv6/conf/all/forwarding", "0\n");
	put("/proc/sys/net/ipv4/conf/all/rp_filter", "0\n");
	put("/proc/sys/net/ipv4/conf/sp-inet/rp_filter", "1\n");
	put("/proc/meminfo", "MemTotal: 8000 kB\nMemAvailable:    4194304 kB\n");
	put("/proc/77/comm", "sallyport-datap\n");
	put("/proc/77/limits",
		"Limit Soft Hard Units\nMax open files            512     1024 files\n");
	found = machine(NULL);
	expect(found, "hugepages", "ok", "1280 MiB", "");
	expect(found, "iommu", "ok", "1 found", "");
	expect(found, "drivers", "fail", "is i40e's",
		"sallyport bind 0000:3b:00.0 --driver vfio-pci --confirm 60s");
	expect(found, "cores", "warn", "5 online, none isolated", "isolcpus");
	expect(found, "memory", "ok", "4096 MiB", "");
	expect(found, "limits", "fail", "512 files", "LimitNOFILE");
	expect(found, "forwarding", "warn", "(IPv4)", "sysctl -w net.ipv4.ip_forward=0");
	expect(found, "rp_filter", "warn", "strict", "rp_filter=2");
	json_decref(found);

	put_driver("vfio-pci");
	put("/sys/devices/system/cpu/isolated", "2-3\n");
	put("/proc/sys/net/ipv4/ip_forward", "0\n");
	put("/proc/sys/net/ipv4/conf/all/rp_filter", "2\n");
	put("/proc/77/limits",
		"Limit Soft Hard Units\nMax open files            4096     4096 files\n");
	found = machine(NULL);
	expect(found, "drivers", "ok", "vfio-pci's, memory node 1", "");
	expect(found, "cores", "ok", "5 online, isolated: 2-3", "");
	expect(found, "limits", "ok", "4096", "");
	expect(found, "forwarding", "ok", "off", "");
	expect(found, "rp_filter", "ok", "loose", "");
	json_decref(found);
}

/* What each tool leaves in the rules, as nft lists it. */
#define CHAIN(table, name, more)                                                                   \
	"{'chain':{'family':'inet','table':'" table "','name':'" name "'" more "}}"
#define RULE(table, chain, expr)                                                                   \
	"{'rule':{'family':'inet','table':'" table "','chain':'" chain                             \
	"','handle':9,'expr':[" expr "]}}"
#define DPORT(right)                                                                               \
	"{'match':{'op':'==','left':{'payload':{'protocol':'udp','field':'dport'}},'right':" right \
	"}}"
#define INPUT(policy) ",'type':'filter','hook':'input','prio':0,'policy':'" policy "'"

static json_t *rules(const char *items)
{
	char text[4096];
	json_t *json;

	snprintf(text, sizeof(text), "{'nftables':[%s]}", items);
	for (char *c = text; *c != '\0'; c++)
		*c = *c == '\'' ? '"' : *c;
	json = json_loads(text, 0, NULL);
	assert_non_null(json);
	return json;
}

static void test_firewalls(void **state)
{
	static const struct {
		const char *rules, *step, *state, *text, *fix;
	} cases[] = {
		{"", "listen_port", "ok", "no rule drops UDP 51820", ""},
		{CHAIN("f", "in", INPUT("accept")) "," RULE(
			 "f", "in", DPORT("51820") ",{'drop':null}"),
			"listen_port", "warn", "inet f in drops UDP 51820",
			"nft delete rule inet f in handle 9"},
		{CHAIN("f", "in", INPUT("accept")) "," RULE("f", "in",
			 DPORT("{'set':[53,{'range':[51000,52000]}]}") ",{'reject':null}"),
			"listen_port", "warn", "51820", "handle 9"},
		{CHAIN("f", "in", INPUT("accept")) "," RULE(
			 "f", "in", DPORT("51821") ",{'drop':null}"),
			"listen_port", "ok", "", ""},
		{CHAIN("f", "in", INPUT("accept")) "," RULE(
			 "f", "in", DPORT("51820") ",{'accept':null}"),
			"listen_port", "ok", "", ""},
		{CHAIN("f", "out", ",'hook':'output'") "," RULE(
			 "f", "out", DPORT("51820") ",{'drop':null}"),
			"listen_port", "ok", "", ""},
		{CHAIN("f", "in", INPUT("drop")), "neighbours", "fail", "inet f in drops answers",
			"nd-neighbor-advert"},
		{CHAIN("f", "in", INPUT("drop")) "," RULE("f", "in",
			 "{'match':{'op':'==','left':{'payload':{'protocol':'icmpv6',"
			 "'field':'type'}},'right':'nd-neighbor-advert'}},{'accept':null}"),
			"neighbours", "ok", "", ""},
		{CHAIN("f", "in", INPUT("accept")), "neighbours", "ok", "", ""},
		{"", "ufw", "skip", "", ""},
		{CHAIN("filter", "ufw-before-input", ""), "ufw", "warn", "the gateway itself",
			"ufw allow in on sp0 from 100.64.0.0/10"},
		{CHAIN("filter", "ufw-before-input", "") "," RULE("filter", "ufw-user-input",
			 "{'match':{'op':'==','left':{'meta':{'key':'iifname'}},'right':'sp0'}},"
			 "{'accept':null}"),
			"ufw", "ok", "sp0", ""},
		{"{'table':{'family':'inet','name':'firewalld'}}", "firewalld", "warn", "no zone",
			"--zone=trusted --add-interface=sp0"},
		{"{'table':{'family':'inet','name':'f2b-table'}}", "fail2ban", "warn", "ban",
			"ignoreip = 127.0.0.1/8 ::1 100.64.0.0/10"},
		{CHAIN("nat", "DOCKER", ""), "docker", "ok", "containers", ""},
		{"", "guard", "warn", "the kernel has spd0", "sallyport status"},
		{"{'chain':{'family':'netdev','table':'sallyport_guard','name':'on_spd0'}}",
			"guard", "ok", "kept off spd0", ""},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		json_t *ruleset = rules(cases[i].rules), *found = machine(ruleset);

		expect(found, cases[i].step, cases[i].state, cases[i].text, cases[i].fix);
		json_decref(found);
		json_decref(ruleset);
	}
	put("/sys/class/net/sp-inet/ifindex", "7\n");
	json_t *bare = rules(""), *unguarded = machine(bare);

	expect(unguarded, "guard", "fail", "guard of spd0 is gone", "sallyport apply");
	json_decref(unguarded);
	json_decref(bare);
	put("/etc/fail2ban/jail.local", "[DEFAULT]\nignoreip = ::1 100.64.0.0/10\n");
	json_t *ruleset = rules("{'table':{'family':'inet','name':'f2b-table'}}");
	json_t *found = machine(ruleset);

	expect(found, "fail2ban", "ok", "leaves 100.64.0.0/10 alone", "");
	json_decref(found);
	json_decref(ruleset);
}

/* --- the gateway --- */

static struct doctor_peer_figures figures[3];
static uint64_t refused;
static const char *port_problem;

static void get_figures(void *context, uint32_t index, struct doctor_peer_figures *out)
{
	*out = figures[index];
}

static const char *get_port_problem(void *context, const struct model_port *port)
{
	return strcmp(port->object.name, "inet") == 0 ? port_problem : NULL;
}

static uint64_t get_refused(void *context, const struct addr *addr)
{
	return refused;
}

static json_t *gateway(const char *peer, const struct desired *list, const char *disconnected)
{
	return doctor_gateway(
		&(struct doctor_gateway){
			.compiled = compiled,
			.list = list == NULL ? &compiled->desired : list,
			.file = "test.yaml",
			.disconnected = disconnected,
			.generation = 7,
			.now_s = 10000,
			.figures = get_figures,
			.port_problem = get_port_problem,
			.refused = get_refused,
		},
		peer == NULL ? NULL : (const void *)model_find(model, MODEL_PEER, peer));
}

static void test_gateway(void **state)
{
	json_t *found = gateway(NULL, NULL, "no such socket");

	expect(found, "dataplane", "fail", "no such socket", "systemctl start");
	expect(found, "ports", "skip", "", "");
	json_decref(found);
	port_problem = "No such device";
	found = gateway(NULL, NULL, NULL);
	expect(found, "dataplane", "ok", "generation 7", "");
	expect_nth(found, "ports", 0, "ok", "wan", "");
	expect_nth(found, "ports", 1, "fail", "No such device", "journalctl");
	expect(found, "gateways", "fail", "203.0.113.1 on port inet does not answer ARP",
		"ip neigh show dev sp-inet");
	assert_null(find(found, "permission", 0));
	json_decref(found);
	port_problem = NULL;
}

static void test_peer_without_exit_node(void **state)
{
	json_t *found = gateway("bob", NULL, NULL);

	expect(found, "permission", "fail", "no exit node is offered to bob (groups: guests)",
		"peers.bob.groups: [one of: staff, routers]");
	expect(found, "connection", "fail", "never been a handshake", "peer export bob");
	expect(found, "arriving", "fail", "without a handshake", "connect");
	expect(found, "nat", "skip", "", "");
	json_decref(found);
	found = gateway("r1", NULL, NULL);
	expect(found, "permission", "ok", "exit node internet is offered", "");
	expect(found, "policy", "fail", "no policy links r1 to exit node internet",
		"from: { peers: [r1] }, to: { exit_nodes: [internet] }");
	json_decref(found);
}

static void test_peer_step_by_step(void **state)
{
	struct api_neigh_set neigh;
	const struct api_header *one = &neigh.header;
	struct pool *pool = pool_create();
	struct desired kernel, list;
	json_t *found;

	figures[0] = (struct doctor_peer_figures){
		.handshake_s = 9000, .wire_rx_bytes = 148, .endpoint = "198.51.100.9:40000"};
	refused = 3;
	found = gateway("anna", NULL, NULL);
	expect(found, "permission", "ok", "exit node internet is offered", "");
	expect(found, "access", "ok",
		"+- exit node internet, IPv4 -- policy:out -- leaves as 203.0.113.5", "");
	expect(found, "access", "ok", "+- route office, 10.30.0.0/16 -- policy:ssh -- allowed", "");
	expect_nth(found, "policy", 0, "ok", "policy:out", "");
	expect(found, "connection", "fail", "1000 s ago, from 198.51.100.9:40000", "wg-quick");
	expect_nth(found, "client_routes", 0, "ask", "Linux", "ip route get 0.0.0.0/1");
	expect_nth(found, "client_routes", 1, "ask", "utun", "route -n get 0.0.0.0/1");
	expect_nth(found, "client_routes", 2, "ask", "Windows", "route print");
	expect(found, "arriving", "fail", "148 bytes on the wire", "routes of the step before");
	expect(found, "targets", "fail", "203.0.113.1 on port inet", "ping");
	expect_nth(found, "targets", 2, "fail", "routing peer r1 is not connected", "connect");
	expect_nth(found, "nat", 0, "fail", "refused 3 flows", "another address");
	expect_nth(found, "nat", 1, "fail", "IPv6: no egress rule", "egress.rules");
	json_decref(found);

	/* All of it mended. */
	figures[0].handshake_s = 9900;
	figures[0].rx_packets = 12;
	figures[2].handshake_s = 9990;
	refused = 0;
	api_message_init(&neigh, API_NEIGH_SET, sizeof(neigh));
	assert_int_equal(addr_parse("203.0.113.1", &neigh.addr), 0);
	for (size_t i = 0; i < compiled->desired.n; i++) {
		const struct api_port_set *set = (const void *)compiled->desired.messages[i];

		if (set->header.type == API_PORT_SET && strcmp(set->name, "inet") == 0)
			neigh.port = set->port;
	}
	kernel = (struct desired){.messages = &one, .n = 1};
	list = desired_merge(pool, &kernel, &compiled->desired);
	found = gateway("anna", &list, NULL);
	expect(found, "gateways", "ok", "203.0.113.1 on port inet answers", "");
	expect(found, "connection", "ok", "100 s ago", "");
	expect(found, "arriving", "ok", "12 packets", "");
	expect(found, "targets", "ok", "203.0.113.1 on port inet answers", "");
	expect_nth(found, "targets", 2, "ok", "r1 is connected", "");
	expect(found, "nat", "ok", "leaves as 203.0.113.5", "");
	json_decref(found);
	pool_destroy(&pool);
}

/* --- real conflicts --- */

static void shell(const char *command)
{
	if (system(command) != 0)
		fail_msg("failed: %s", command);
}

static json_t *real_machine(void)
{
	int error;
	json_t *ruleset = doctor_ruleset(&error), *found;

	assert_non_null(ruleset);
	found = doctor_machine(&(struct doctor_machine){
		.root = "", .model = model, .ruleset = ruleset, .running = true});
	json_decref(ruleset);
	return found;
}

static void test_real_conflicts(void **state)
{
	char fix[256];
	json_t *found;

	if (geteuid() != 0 || unshare(CLONE_NEWNET) < 0)
		skip();
	shell("ip link set lo up; ip link add spd0 type veth peer name spd1; ip link set spd1 up");
	shell("nft 'table inet strict { chain in { type filter hook input priority 0; policy drop; "
	      "ct state established accept; udp dport { 53, 51820 } drop; }; }'");
	shell("sysctl -qw net.ipv4.ip_forward=1");
	found = real_machine();
	expect(found, "devices", "fail", "spd0 is down", "ip link set spd0 up");
	expect(found, "listen_port", "warn", "inet strict in drops UDP 51820", "nft delete rule");
	expect(found, "neighbours", "fail", "inet strict in", "nft insert rule inet strict in");
	expect(found, "forwarding", "warn", "IPv4", "sysctl");
	expect(found, "offloads", "fail", "other end of spd0", "tso off");
	/* The fixes do what they say. */
	shell(member(find(found, "devices", 0), "fix"));
	shell(member(find(found, "listen_port", 0), "fix"));
	snprintf(fix, sizeof(fix), "%s", member(find(found, "neighbours", 0), "fix"));
	for (char *c = fix; *c != '\0'; c++)
		*c = *c == '\'' ? ' ' : *c;
	snprintf(fix, sizeof(fix), "nft '%.200s'",
		member(find(found, "neighbours", 0), "fix") + strlen("nft "));
	shell(fix);
	shell("sysctl -qw net.ipv4.ip_forward=0; ethtool -K spd0 gro on");
	json_decref(found);
	found = real_machine();
	expect(found, "devices", "ok", "spd0 is up", "");
	expect(found, "listen_port", "ok", "", "");
	expect(found, "neighbours", "ok", "", "");
	expect(found, "forwarding", "ok", "", "");
	expect(found, "offloads", "fail", "merges packets (GRO)", "ethtool -K spd0 gro off");
	json_decref(found);
}

static int set_up(void **state)
{
	struct compile_input input = {.underlay = true};
	const char *what;
	struct diag *diag;
	int error;

	if (mkdtemp(root) == NULL)
		return -1;
	model = conf_parse("test.yaml", config, strlen(config), NULL, &diag);
	if (model == NULL)
		diag_print(diag, stderr, false);
	diag_destroy(&diag);
	store = store_open(":memory:", &error);
	input.model = model;
	input.store = store;
	compiled = model == NULL ? NULL : compile_model(&input, &error, &what);
	return compiled == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
	char command[64];

	compile_destroy(&compiled);
	model_destroy(&model);
	store_close(&store);
	snprintf(command, sizeof(command), "rm -r %s", root);
	return system(command);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bare_machine),
		cmocka_unit_test(test_machine_step_by_step),
		cmocka_unit_test(test_firewalls),
		cmocka_unit_test(test_gateway),
		cmocka_unit_test(test_peer_without_exit_node),
		cmocka_unit_test(test_peer_step_by_step),
		cmocka_unit_test(test_real_conflicts),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
