/* SPDX-License-Identifier: BSD-3-Clause */
#include "test/unit/dataplane/main/toy.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "dataplane/main/handler.h"
#include "dataplane/main/session.h"
#include "dataplane/main/txn.h"

struct toy toy;

static bool mentioned[API_PORT_MAX];

__attribute__((format(printf, 1, 2))) static void note(const char *format, ...)
{
	size_t used = strlen(toy.log);
	va_list args;

	if (!toy.logging)
		return;
	va_start(args, format);
	vsnprintf(toy.log + used, sizeof(toy.log) - used, format, args);
	va_end(args);
}

static const char *pass_name(enum handler_pass pass)
{
	return pass == HANDLER_SHADOW ? "shadow" : "catch-up";
}

static void applied(void)
{
	toy.now_ns += toy.apply_cost_ns;
	toy.applied++;
}

/* --- ports --- */

static int validate_port(const void *msg, uint32_t *detail)
{
	const struct api_port_set *set = msg;

	*detail = offsetof(struct api_port_set, port);
	if (set->port == 0 || set->port >= API_PORT_MAX)
		return API_E_VALUE;
	*detail = offsetof(struct api_port_set, mtu);
	return set->mtu < 1280 ? API_E_VALUE : API_OK;
}

static void apply_port(const void *msg, unsigned copy, enum handler_pass pass)
{
	const struct api_port_set *set = msg;
	struct toy_port *port = &toy.ports[copy][set->port];

	note("port%u.%u ", set->port, copy);
	applied();
	mentioned[set->port] = true;
	if (port->present && port->mtu == set->mtu)
		return; /* unchanged: not touched */
	if (pass == HANDLER_SHADOW && toy.live[set->port] == 0)
		toy.live[set->port] = ++toy.created;
	else if (pass == HANDLER_SHADOW)
		toy.changed++;
	*port = (struct toy_port){.present = true, .mtu = set->mtu};
}

static void remove_port(unsigned id, unsigned copy, enum handler_pass pass)
{
	if (!toy.ports[copy][id].present)
		return;
	toy.ports[copy][id] = (struct toy_port){0};
	if (pass == HANDLER_CATCH_UP) {
		toy.live[id] = 0;
		toy.destroyed++;
	}
}

static void apply_port_del(const void *msg, unsigned copy, enum handler_pass pass)
{
	const struct api_port_del *del = msg;

	note("port-%u.%u ", del->port, copy);
	applied();
	remove_port(del->port, copy, pass);
}

static int prepare_ports(const struct txn *txn, uint64_t *index, uint32_t *detail, char text[96])
{
	struct txn_cursor cursor = {0};
	bool seen[API_PORT_MAX] = {false};
	const struct api_header *header;

	note("prepare-port ");
	if (toy.prepare_again > 0) {
		toy.prepare_again--;
		return -EAGAIN;
	}
	while ((header = txn_next_like(txn, &cursor, API_PORT_SET)) != NULL) {
		const struct api_port_set *set = (const void *)header;

		if (header->type != API_PORT_SET)
			continue;
		if (seen[set->port]) {
			*index = cursor.index;
			*detail = offsetof(struct api_port_set, port);
			snprintf(text, 96, "port %u twice", set->port);
			return API_E_CONFLICT;
		}
		seen[set->port] = true;
	}
	return 0;
}

static void begin_ports(unsigned copy, enum handler_pass pass, bool full)
{
	note("begin-port.%u.%s%s ", copy, pass_name(pass), full ? ".full" : "");
	memset(mentioned, 0, sizeof(mentioned));
}

static void end_ports(unsigned copy, enum handler_pass pass, bool full)
{
	note("end-port ");
	for (unsigned id = 1; full && id < API_PORT_MAX; id++) {
		if (!mentioned[id])
			remove_port(id, copy, pass);
	}
}

static void abort_ports(void)
{
	note("abort-port ");
}

static int validate_port_del(const void *msg, uint32_t *detail)
{
	*detail = offsetof(struct api_port_del, port);
	return ((const struct api_port_del *)msg)->port < API_PORT_MAX ? API_OK : API_E_VALUE;
}

/* --- rules --- */

/* Set and del name the rule at the same place. */
static int validate_rule(const void *msg, uint32_t *detail)
{
	*detail = offsetof(struct api_policy_set, rule);
	return ((const struct api_policy_set *)msg)->rule < TOY_RULES ? API_OK : API_E_VALUE;
}

static void apply_rule(const void *msg, unsigned copy, enum handler_pass pass)
{
	const struct api_policy_set *set = msg;

	note("rule%u.%u ", set->rule, copy);
	applied();
	toy.rules[copy][set->rule] = set->priority;
}

static void apply_rule_del(const void *msg, unsigned copy, enum handler_pass pass)
{
	const struct api_policy_del *del = msg;

	note("rule-%u.%u ", del->rule, copy);
	applied();
	toy.rules[copy][del->rule] = 0;
}

static int prepare_rules(const struct txn *txn, uint64_t *index, uint32_t *detail, char text[96])
{
	note("prepare-rule ");
	*index = 7;
	return toy.prepare_fails;
}

static void begin_rules(unsigned copy, enum handler_pass pass, bool full)
{
	note("begin-rule ");
	if (full)
		memset(toy.rules[copy], 0, sizeof(toy.rules[copy]));
}

static void end_rules(unsigned copy, enum handler_pass pass, bool full)
{
	note("end-rule ");
}

/* --- interfaces and flows --- */

static int validate_interface(const void *msg, uint32_t *detail)
{
	const struct api_wg_interface_set *set = msg;

	*detail = offsetof(struct api_wg_interface_set, interface);
	if (set->interface >= API_WG_INTERFACE_MAX)
		return API_E_VALUE;
	*detail = offsetof(struct api_wg_interface_set, private_key);
	return session_secret_present(set->private_key.token, set->private_key.index)
		       ? API_OK
		       : API_E_SECRET;
}

static void apply_interface(const void *msg, unsigned copy, enum handler_pass pass)
{
	const struct api_wg_interface_set *set = msg;
	struct key *key = &toy.keys[set->interface];

	applied();
	/* One that is named twice in a transaction is found once. */
	if (pass == HANDLER_SHADOW &&
		session_secret(set->private_key.token, set->private_key.index, key->bytes) != 0)
		note("no-key%u ", set->interface);
}

static int open_flows(const void *msg, void **stream)
{
	const struct api_flow_dump *dump = msg;

	if (dump->peer == 999)
		return API_E_MISSING;
	toy.streamed = 0;
	toy.streams_open++;
	toy.entries = dump->max < toy.entries ? dump->max : toy.entries;
	*stream = &toy;
	return 0;
}

static int next_flow(void *stream, void *out)
{
	struct api_flow_entry *entry = out;

	if (toy.stream_paused)
		return 0;
	if (toy.streamed == toy.entries)
		return -ENODATA;
	api_message_init(entry, API_FLOW_ENTRY, sizeof(*entry));
	entry->route_id = toy.streamed++;
	return 1;
}

static void close_flows(void *stream)
{
	toy.streams_open--;
}

void toy_reset(void)
{
	static const struct handler ports[] = {
		{API_PORT_SET, "port.set", sizeof(struct api_port_set), validate_port, apply_port},
		{API_PORT_DEL, "port.del", sizeof(struct api_port_del), validate_port_del,
			apply_port_del},
	};
	static const struct handler rules[] = {
		{API_POLICY_SET, "policy.set", sizeof(struct api_policy_set), validate_rule,
			apply_rule},
		{API_POLICY_DEL, "policy.del", sizeof(struct api_policy_del), validate_rule,
			apply_rule_del},
	};
	static const struct handler interfaces[] = {
		{API_WG_INTERFACE_SET, "wg_interface.set", sizeof(struct api_wg_interface_set),
			validate_interface, apply_interface},
	};
	static const struct handler_group groups[] = {
		{"port", ports, 2, prepare_ports, begin_ports, end_ports, abort_ports},
		{"policy", rules, 2, prepare_rules, begin_rules, end_rules, NULL},
		{"wireguard", interfaces, 1, NULL, NULL, NULL, NULL},
	};
	static const struct handler_stream flows = {API_FLOW_DUMP, "flow.dump",
		sizeof(struct api_flow_dump), NULL, open_flows, next_flow, close_flows};

	memset(&toy, 0, sizeof(toy));
	toy.grace_over = true;
	handler_clear();
	for (unsigned i = 0; i < 3; i++)
		handler_register(&groups[i]);
	handler_register_stream(&flows);
}

uint64_t toy_clock(void *arg)
{
	return toy.now_ns;
}

void toy_flip(unsigned active, void *arg)
{
	note("flip%u ", active);
	toy.active = active;
	toy.flips++;
}

void toy_grace_start(void *arg)
{
	note("grace ");
}

bool toy_grace_done(void *arg)
{
	toy.grace_polls++;
	return toy.grace_over;
}

void toy_committed(uint64_t generation, void *arg)
{
	note("generation%u ", (unsigned)generation);
	toy.committed = generation;
}

struct api_port_set toy_port(uint16_t port, uint16_t mtu)
{
	struct api_port_set set;

	api_message_init(&set, API_PORT_SET, sizeof(set));
	set.port = port;
	set.mtu = mtu;
	return set;
}

struct api_port_del toy_port_del(uint16_t port)
{
	struct api_port_del del;

	api_message_init(&del, API_PORT_DEL, sizeof(del));
	del.port = port;
	return del;
}

struct api_policy_set toy_rule(uint32_t rule, uint32_t priority)
{
	struct api_policy_set set;

	api_message_init(&set, API_POLICY_SET, sizeof(set));
	set.rule = rule;
	set.priority = priority;
	return set;
}

struct api_txn_begin toy_begin(enum api_txn_mode mode, uint64_t base, uint64_t count)
{
	struct api_txn_begin begin;

	api_message_init(&begin, API_TXN_BEGIN, sizeof(begin));
	begin.mode = (uint8_t)mode;
	begin.base = base;
	begin.count = count;
	return begin;
}

struct api_txn_commit toy_commit(uint64_t generation)
{
	struct api_txn_commit commit;

	api_message_init(&commit, API_TXN_COMMIT, sizeof(commit));
	commit.generation = generation;
	return commit;
}
