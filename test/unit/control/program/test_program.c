/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The program against a link that is made here: the test decides when a data plane is there and
 * what it answers, and sees every transaction.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/api/counters.h"
#include "common/api/flow.h"
#include "common/api/policy.h"
#include "common/api/route.h"
#include "common/api/wireguard.h"
#include "common/base/log.h"
#include "control/conf/conf.h"
#include "control/program/program.h"

#define KEY_A "HIgo9xNzJMWLKASShiTqIybxZ0U3wGLiUeJ1PKf8ykw="
#define KEY_B "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg="

static const char one_peer[] =
	"version: 1\n"
	"wireguard: {addresses: [100.64.0.1/10]}\n"
	"groups: {staff: {}}\n"
	"peers:\n"
	"  anna: {public_key: " KEY_A ", addresses: [100.64.0.2], groups: [staff]}\n";
static const char another[] =
	"  bob: {public_key: " KEY_B ", addresses: [100.64.0.3], groups: [staff]}\n";

/* --- the link --- */

enum { MESSAGES_MAX = 256 };

struct link {
	struct link_options options;
	bool connected;
	bool older; /* than owners of figures */
	uint64_t instance, generation;
	bool pending;
	struct link_txn txn;
	struct key keys[8];
};

static struct link fake;

struct link *link_create(const struct link_options *options, int *error)
{
	memset(&fake, 0, sizeof(fake));
	fake.options = *options;
	return &fake;
}

void link_destroy(struct link **link)
{
	*link = NULL;
}

bool link_is_connected(const struct link *link)
{
	return link->connected;
}

uint64_t link_instance(const struct link *link)
{
	return link->instance;
}

uint64_t link_generation(const struct link *link)
{
	return link->generation;
}

uint64_t link_token(void)
{
	return 4711;
}

bool link_supports(const struct link *link, uint16_t type)
{
	return !link->older || type != API_COUNTED_SET;
}

int link_submit(struct link *link, const struct link_txn *txn)
{
	assert_true(link->connected);
	assert_false(link->pending);
	assert_true(txn->key_count <= 8);
	link->txn = *txn;
	if (txn->key_count > 0)
		memcpy(link->keys, txn->keys, txn->key_count * sizeof(*txn->keys));
	link->pending = true;
	return 0;
}

/* --- what the test does with it --- */

/* A transaction as it arrived. */
struct arrived {
	size_t n;
	_Alignas(8) uint8_t messages[MESSAGES_MAX][API_MESSAGE_MAX];
};

static struct arrived arrived;

static void connect_dataplane(uint64_t instance, uint64_t generation)
{
	fake.connected = true;
	fake.instance = instance;
	fake.generation = generation;
	fake.options.connected(instance, generation, fake.options.arg);
}

static void disconnect(void)
{
	struct api_reply reply = {.code = -ECONNRESET};

	fake.connected = false;
	if (fake.pending) {
		fake.pending = false;
		fake.txn.done(&reply, fake.txn.arg);
	}
	fake.options.disconnected("gone", fake.options.arg);
}

static void answer(int code)
{
	struct api_reply reply = {.code = code};
	const struct api_header *message;

	assert_true(fake.pending);
	arrived.n = 0;
	while ((message = fake.txn.next(fake.txn.arg)) != NULL) {
		assert_true(arrived.n < MESSAGES_MAX);
		memcpy(arrived.messages[arrived.n++], message, message->length);
	}
	assert_int_equal(arrived.n, fake.txn.count);
	fake.pending = false;
	if (code == 0)
		fake.generation = fake.txn.generation;
	fake.txn.done(&reply, fake.txn.arg);
}

static const void *find(uint16_t type)
{
	for (size_t i = 0; i < arrived.n; i++) {
		if (((struct api_header *)arrived.messages[i])->type == type)
			return arrived.messages[i];
	}
	return NULL;
}

static char dir[] = "/tmp/sp-program-XXXXXX";

struct fixture {
	struct event_base *base;
	struct store *store;
	struct program *program;
	struct program_result last;
	unsigned results;
};

static char note_text[320]; /* the result's own is gone by then */

static void note_result(const struct program_result *result, void *arg)
{
	struct fixture *f = arg;

	snprintf(note_text, sizeof(note_text), "%s", result->text);
	f->last = *result;
	f->results++;
}

static void open_program(struct fixture *f)
{
	struct program_options options = {.socket_path = "x", .state_dir = dir, .mirrored = true};
	char path[64];
	int error;

	memset(f, 0, sizeof(*f));
	snprintf(path, sizeof(path), "%s/state.db", dir);
	f->base = event_base_new();
	f->store = store_open(path, &error);
	assert_non_null(f->store);
	options.base = f->base;
	options.store = f->store;
	f->program = program_create(&options, &error);
	assert_non_null(f->program);
}

static void close_program(struct fixture *f)
{
	fake.connected = false;
	program_destroy(&f->program);
	store_close(&f->store);
	event_base_free(f->base);
}

static void apply(struct fixture *f, const char *first, const char *second)
{
	struct diag *diag;
	struct model *model;
	char *text;

	assert_true(asprintf(&text, "%s%s", first, second) > 0);
	model = conf_parse("test.yaml", text, strlen(text), dir, &diag);
	assert_non_null(model);
	diag_destroy(&diag);
	free(text);
	program_apply(f->program, model, note_result, f);
}

static void begin_fresh(struct fixture *f)
{
	char path[80];

	snprintf(path, sizeof(path), "%s/state.db", dir);
	unlink(path);
	open_program(f);
	apply(f, one_peer, "");
	assert_int_equal(f->last.error, -EINPROGRESS);
	connect_dataplane(1, 0);
	assert_int_equal(fake.txn.mode, API_TXN_FULL);
	answer(0);
	assert_int_equal(fake.generation, 1);
}

static void test_full_then_increment(void **state)
{
	const struct api_wg_interface_set *interface;
	const struct api_peer_set *peer;
	struct fixture f;
	struct key key;

	begin_fresh(&f);
	interface = find(API_WG_INTERFACE_SET);
	assert_non_null(interface);
	assert_int_equal(interface->private_key.token, 4711);
	assert_int_equal(fake.txn.key_count, 1);
	assert_int_equal(conf_key_file_read(dir, "gateway.key", true, &key), 0);
	assert_true(key_equal(&key, &fake.keys[interface->private_key.index]));

	apply(&f, one_peer, "");
	assert_int_equal(f.last.error, 0);
	assert_false(f.last.changed);
	assert_false(fake.pending);

	apply(&f, one_peer, another);
	assert_int_equal(fake.txn.mode, API_TXN_INCREMENT);
	assert_int_equal(fake.txn.base, 1);
	assert_int_equal(fake.txn.key_count, 0);
	answer(0);
	assert_true(f.last.changed);
	assert_int_equal(f.last.generation, 2);
	peer = find(API_PEER_SET);
	assert_int_equal(peer->peer, 2);
	assert_int_equal(arrived.n, 3); /* the peer, its route, its owner */
	close_program(&f);
}

/* Whose figures are under an id: said to a data plane that knows of it, and left out for another,
 * which must not refuse the rest. */
static void test_owners_of_figures(void **state)
{
	static const char rule[] =
		"policies:\n"
		"  - {name: x, from: any, to: {groups: [staff]}, action: allow}\n";

	for (unsigned older = 0; older < 2; older++) {
		const struct api_counted_set *set;
		const struct api_policy_set *policy;
		struct fixture f;

		begin_fresh(&f);
		fake.older = older == 1;
		apply(&f, one_peer, rule);
		answer(0);
		policy = find(API_POLICY_SET);
		set = find(API_COUNTED_SET);
		assert_non_null(policy);
		assert_int_equal(set == NULL, older);
		assert_int_equal(f.last.sets, arrived.n);
		if (set != NULL) {
			assert_int_equal(set->section, API_SECTION_RULES);
			assert_int_equal(set->id, policy->rule);
		}
		apply(&f, one_peer, "");
		answer(0);
		assert_int_equal(find(API_COUNTED_DEL) == NULL, older);
		assert_int_equal(f.last.deletions, arrived.n);
		close_program(&f);
	}
}

static void test_refusal_is_taken_back(void **state)
{
	struct fixture f;

	begin_fresh(&f);
	apply(&f, one_peer, another);
	answer(API_E_LIMIT);
	assert_int_equal(f.last.error, -EPROTO);
	assert_int_equal(program_compiled(f.program)->model->tables[MODEL_PEER].n, 1);
	/* What the data plane has now is not known: everything is said again. */
	apply(&f, one_peer, "");
	assert_int_equal(fake.txn.mode, API_TXN_FULL);
	answer(0);
	assert_int_equal(f.last.error, 0);
	close_program(&f);
}

static void test_resume(void **state)
{
	struct fixture f;

	begin_fresh(&f);
	disconnect();
	connect_dataplane(1, 1);
	assert_false(fake.pending);
	close_program(&f);

	open_program(&f); /* another process on the same store */
	apply(&f, one_peer, "");
	connect_dataplane(1, 1);
	assert_false(fake.pending);
	apply(&f, one_peer, another);
	assert_int_equal(fake.txn.mode, API_TXN_INCREMENT);
	answer(0);
	close_program(&f);

	open_program(&f); /* with another configuration than was committed */
	apply(&f, one_peer, "");
	connect_dataplane(1, 2);
	assert_true(fake.pending);
	assert_int_equal(fake.txn.mode, API_TXN_FULL);
	answer(0);
	disconnect();
	connect_dataplane(2, 0); /* another data plane */
	assert_int_equal(fake.txn.mode, API_TXN_FULL);
	answer(0);
	close_program(&f);
}

static const char two_routers[] =
	"version: 1\n"
	"wireguard: {addresses: [100.64.0.1/10]}\n"
	"groups: {staff: {}}\n"
	"peers:\n"
	"  anna: {public_key: " KEY_A ", addresses: [100.64.0.2], groups: [staff]}\n"
	"  bob: {public_key: " KEY_B ", addresses: [100.64.0.3], groups: [staff]}\n"
	"routes:\n"
	"  office: {prefixes: [10.30.0.0/16], via: {peers: [anna, bob]}, distribute_to: [staff]}\n"
	"policies: [{name: all, from: any, to: {groups: [staff]}, action: allow}]\n";

static uint32_t office_peer(const struct fixture *f)
{
	const struct desired *list = program_desired(f->program);

	for (size_t i = 0; i < list->n; i++) {
		const struct api_route_set *route = (const void *)list->messages[i];

		if (route->header.type == API_ROUTE_SET && route->prefix.length == 16 &&
			route->next == API_NEXT_PEER)
			return route->peer;
	}
	return 0;
}

/* Another routing peer takes over as an increment, and a restart changes nothing. */
static void test_failover(void **state)
{
	struct fixture f;
	struct key anna;

	assert_int_equal(key_parse(KEY_A, &anna), 0);
	begin_fresh(&f);
	apply(&f, two_routers, "");
	answer(0);
	assert_int_equal(office_peer(&f), 1);
	program_set_down(f.program, &anna, 1);
	assert_int_equal(fake.txn.mode, API_TXN_INCREMENT);
	assert_int_equal(fake.txn.count, 1); /* the route */
	answer(0);
	assert_int_equal(office_peer(&f), 2);
	program_set_down(f.program, &anna, 1);
	assert_false(fake.pending);
	close_program(&f);

	open_program(&f);
	apply(&f, two_routers, "");
	connect_dataplane(1, 3);
	assert_false(fake.pending);
	assert_int_equal(office_peer(&f), 2);
	program_set_down(f.program, NULL, 0);
	answer(0);
	assert_int_equal(office_peer(&f), 1);
	close_program(&f);
}

static void test_kernel(void **state)
{
	struct api_neigh_set neigh = {.port = 1, .mac = {2, 0, 0, 0, 0, 1}};
	struct api_neigh_del gone = {.port = 1};
	struct fixture f;

	begin_fresh(&f);
	assert_int_equal(addr_parse("198.51.100.1", &neigh.addr), 0);
	gone.addr = neigh.addr;
	program_kernel_set(f.program, API_NEIGH_SET, &neigh);
	assert_false(fake.pending);
	program_kernel_settled(f.program);
	/* A change under way of another: it goes in the next transaction. */
	neigh.mac[5] = 2;
	program_kernel_set(f.program, API_NEIGH_SET, &neigh);
	program_kernel_settled(f.program);
	answer(0);
	assert_int_equal(arrived.n, 1);
	assert_int_equal(((const struct api_neigh_set *)find(API_NEIGH_SET))->mac[5], 1);
	answer(0);
	assert_int_equal(((const struct api_neigh_set *)find(API_NEIGH_SET))->mac[5], 2);
	program_kernel_settled(f.program);
	assert_false(fake.pending);
	program_kernel_del(f.program, API_NEIGH_SET, &gone);
	program_kernel_settled(f.program);
	answer(0);
	assert_int_equal(arrived.n, 1);
	assert_non_null(find(API_NEIGH_DEL));
	close_program(&f);
}

static void test_configurations_wait_for_each_other(void **state)
{
	struct fixture f;

	begin_fresh(&f);
	f.results = 0;
	apply(&f, one_peer, another);
	apply(&f, one_peer, "");
	assert_int_equal(f.results, 0);
	answer(0);
	assert_int_equal(f.results, 1);
	answer(0);
	assert_int_equal(f.results, 2);
	assert_non_null(find(API_PEER_DEL));
	apply(&f, one_peer, another);
	disconnect();
	assert_int_equal(f.last.error, -EINPROGRESS);
	assert_int_equal(program_compiled(f.program)->model->tables[MODEL_PEER].n, 2);
	close_program(&f);
}

static const char exits[] =
	"exit_nodes: {fra: {offer_to: [staff]}, dub: {offer_to: [staff]}}\n"
	"policies: [{name: out, from: any, to: {exit_nodes: [fra, dub]}, action: allow}]\n";
static const char one_exit[] =
	"exit_nodes: {fra: {offer_to: [staff]}}\n"
	"policies: [{name: out, from: any, to: {exit_nodes: [fra]}, action: allow}]\n";

static const char *leaves_by(const struct fixture *f)
{
	return program_compiled(f->program)->set_of_peer[0]->exit_node->object.name;
}

static void choose(struct fixture *f, const char *peer, const char *exit_node)
{
	program_select(f->program, peer, exit_node, note_result, f);
}

static void test_a_selection_is_kept(void **state)
{
	struct fixture f;

	begin_fresh(&f);
	apply(&f, one_peer, exits);
	answer(0);
	assert_string_equal(leaves_by(&f), "fra");
	choose(&f, "anna", "dub");
	answer(0);
	assert_true(f.last.error == 0 && f.last.changed);
	assert_string_equal(leaves_by(&f), "dub");
	assert_non_null(find(API_PEER_SET));
	choose(&f, "anna", "dub");
	assert_true(f.last.error == 0 && !f.last.changed);

	/* Another configuration, another process: the peer's own file has not changed. */
	apply(&f, one_peer, exits);
	assert_string_equal(leaves_by(&f), "dub");
	close_program(&f);
	open_program(&f);
	apply(&f, one_peer, exits);
	assert_string_equal(leaves_by(&f), "dub");

	/* It goes with the exit node, and does not come back with it. */
	apply(&f, one_peer, one_exit);
	assert_string_equal(leaves_by(&f), "fra");
	apply(&f, one_peer, exits);
	assert_string_equal(leaves_by(&f), "fra");
	choose(&f, "anna", "dub");
	assert_string_equal(leaves_by(&f), "dub");
	choose(&f, "anna", NULL);
	assert_string_equal(leaves_by(&f), "fra");
	close_program(&f);
}

static void test_a_selection_is_refused(void **state)
{
	static const struct {
		const char *peer, *exit_node;
		int error;
		const char *text;
	} cases[] = {
		{"berta", "fra", -ENOENT, "there is no peer 'berta'"},
		{"anna", "rom", -ENOENT, "there is no exit node 'rom'"},
		{"anna", "dub", -EACCES,
			"exit node 'dub' is not offered to peer 'anna': it is offered to ops, and "
			"the peer is in staff"},
		{"anna", "par", -EACCES,
			"exit node 'par' is offered to peer 'anna', but no policy allows it: one "
			"from staff to: {exit_nodes: [par]} is missing"},
	};
	struct fixture f;

	begin_fresh(&f);
	apply(&f,
		"version: 1\n"
		"wireguard: {addresses: [100.64.0.1/10]}\n"
		"groups: {staff: {}, ops: {}}\n"
		"peers: {anna: {public_key: " KEY_A ", addresses: [100.64.0.2], groups: [staff]}}\n"
		"exit_nodes: {dub: {offer_to: [ops]}, par: {offer_to: [staff]}}\n",
		"policies: [{name: out, from: any, to: {exit_nodes: [dub]}, action: allow}]\n");
	answer(0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		note_text[0] = '\0';
		choose(&f, cases[i].peer, cases[i].exit_node);
		assert_int_equal(f.last.error, cases[i].error);
		assert_string_equal(note_text, cases[i].text);
		assert_false(fake.pending);
	}
	close_program(&f);
}

static void test_marks(void **state)
{
	struct api_event_peer event = {
		.header = {.type = API_EVENT_PEER, .length = sizeof(event)},
		.peer = 1,
		.last_handshake_s = 77,
		.tai64n_received = {1, 2, 3},
		.tai64n_sent = {4, 5, 6},
	};
	const struct api_peer_set *peer;
	struct store_marks marks;
	struct fixture f;

	begin_fresh(&f);
	assert_int_equal(((const struct api_peer_set *)find(API_PEER_SET))->flags, 0);
	assert_int_equal(endpoint_parse("192.0.2.7:1234", &event.endpoint), 0);
	fake.options.event(&event.header, fake.options.arg);
	assert_true(program_peer_marks(f.program, 1, &marks));
	assert_int_equal(marks.last_handshake_s, 77);
	assert_false(program_peer_marks(f.program, 2, &marks));
	close_program(&f); /* writes them */

	open_program(&f);
	apply(&f, one_peer, "");
	connect_dataplane(9, 0);
	answer(0);
	peer = find(API_PEER_SET);
	assert_int_equal(peer->flags, API_PEER_INITIATE);
	assert_true(endpoint_equal(&peer->endpoint, &event.endpoint));
	assert_memory_equal(peer->tai64n_received, event.tai64n_received, API_TAI64N_SIZE);
	assert_memory_equal(peer->tai64n_sent, event.tai64n_sent, API_TAI64N_SIZE);
	close_program(&f);
}

static int set_up(void **state)
{
	log_set_level(NULL, LOG_LEVEL_ERROR);
	return mkdtemp(dir) == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
	static const char *const names[] = {
		"state.db", "state.db-wal", "state.db-shm", "gateway.key"};
	char path[80];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		unlink(path);
	}
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_full_then_increment),
		cmocka_unit_test(test_owners_of_figures),
		cmocka_unit_test(test_refusal_is_taken_back),
		cmocka_unit_test(test_resume),
		cmocka_unit_test(test_failover),
		cmocka_unit_test(test_kernel),
		cmocka_unit_test(test_configurations_wait_for_each_other),
		cmocka_unit_test(test_a_selection_is_kept),
		cmocka_unit_test(test_a_selection_is_refused),
		cmocka_unit_test(test_marks),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
