/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Ports: set and deleted by the control process, polled and sent on by workers.
 *
 * A device is started in `prepare`, where it may still fail and be undone; SHADOW publishes the
 * port and the workers' new lists of queues; a deleted port is unpublished in SHADOW and closed in
 * CATCH_UP, when a grace period has passed and nobody polls it any more. A port's own fields do
 * not change while it is published, except its source set and its name.
 */
#include "dataplane/port/port.h"

#include <rte_ethdev.h>

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/api/counters.h"
#include "common/base/log.h"
#include "dataplane/graph/packet.h"
#include "dataplane/main/feature.h"
#include "dataplane/main/handler.h"
#include "dataplane/main/idle.h"
#include "dataplane/main/session.h"
#include "dataplane/main/txn.h"
#include "dataplane/port/device.h"
#include "dataplane/port/port_drops.h"
#include "dataplane/port/port_rx.h"
#include "dataplane/port/port_tx.h"
#include "dataplane/port/rx_queues.h"
#include "dataplane/route/route.h"

LOG_TYPE(port);

DROP_GROUP_DEFINE(port, PORT_DROPS);

enum {
	WATCHERS_MAX = 8,
	MTU_MIN = 1280, /* RFC 8200 section 5 */
	LINK_PERIOD_MS = 1000,
};

enum port_state {
	PORT_FREE,
	PORT_STAGED, /* started, not yet published */
	PORT_UP,
	PORT_DYING, /* unpublished, closed after the grace period */
};

struct port_object {
	struct port port;
	struct device device;
	struct api_port_set set; /* as it was last set */
	enum port_state state;
	bool mentioned; /* in the full transaction that is applied */
	bool link_up;   /* as last reported */
};

static struct port_object objects[API_PORT_MAX];
static const struct port *published[API_PORT_MAX]; /* main thread writes, any reader reads */
static bool changed; /* ports were published or unpublished in this pass */
static bool rejudge; /* a port's source set changed: flows from it may be others now */
static uint64_t link_checked_ms;
static uint64_t connection;

static struct {
	void (*up)(const struct port *port);
	void (*down)(const struct port *port);
} watchers[WATCHERS_MAX];
static unsigned watcher_count;

const struct port *port_get(uint16_t id)
{
	return id < API_PORT_MAX ? __atomic_load_n(&published[id], __ATOMIC_ACQUIRE) : NULL;
}

unsigned port_sender(const struct port *port)
{
	return port->tx_worker[0];
}

void port_on_change(void (*up)(const struct port *port), void (*down)(const struct port *port))
{
	assert(watcher_count < WATCHERS_MAX);
	watchers[watcher_count].up = up;
	watchers[watcher_count++].down = down;
}

static void tell(const struct port *port, bool up)
{
	for (unsigned i = 0; i < watcher_count; i++) {
		void (*call)(const struct port *) = up ? watchers[i].up : watchers[i].down;

		if (call != NULL)
			call(port);
	}
}

static bool send_event(struct port_object *object, bool up)
{
	struct api_event_port event = {
		.header = {.type = API_EVENT_PORT, .length = sizeof(event)},
		.port = object->port.id,
		.link_up = up,
	};

	memcpy(event.mac, object->port.mac.addr_bytes, sizeof(event.mac));
	return session_event(&event) == 0;
}

/* Queues go round the workers, ports with few queues starting at different ones. */
static void spread_queues(struct port *port)
{
	unsigned workers = dp_config()->workers;
	unsigned offset = (port->id - 1U) % workers;

	for (uint16_t q = 0; q < port->rx_queues; q++)
		port->rx_worker[q] = (uint8_t)((offset + q) % workers);
	for (unsigned w = 0; w < workers; w++) {
		unsigned queue = (w + workers - offset) % workers % port->tx_queues;

		port->tx_worker[w] = (uint8_t)((offset + queue) % workers);
		port->tx_queue[w] = (uint16_t)queue;
	}
}

static void watch(const struct port_object *object, bool on)
{
	const struct port *port = &object->port;

	if (dp_config()->idle != DP_IDLE_ADAPTIVE)
		return;
	for (uint16_t q = 0; q < port->rx_queues; q++) {
		unsigned worker = port->rx_worker[q];
		int rc = 0;

		if (object->device.fd_count == 0)
			on ? idle_add_blind(worker) : idle_remove_blind(worker);
		else if (on)
			rc = idle_add_fd(worker, object->device.fds[q]);
		else
			idle_remove_fd(worker, object->device.fds[q]);
		if (rc != 0)
			log_error(port, "%s: cannot wait for queue %u: %s", port->name, q,
				strerror(-rc));
	}
}

static void unpublish(struct port_object *object)
{
	struct port *port = &object->port;

	tell(port, false);
	__atomic_store_n(&published[port->id], NULL, __ATOMIC_RELEASE);
	object->state = PORT_DYING;
	changed = true;
	log_info(port, "%s: going", port->name);
}

static void publish(struct port_object *object)
{
	struct port *port = &object->port;

	__atomic_store_n(&published[port->id], port, __ATOMIC_RELEASE);
	object->state = PORT_UP;
	object->link_up = device_link_up(&object->device);
	changed = true;
	watch(object, true);
	log_info(port, "%s: %s, MTU %u, %u receive and %u send queues", port->name,
		object->set.device, port->mtu, port->rx_queues, port->tx_queues);
	tell(port, true);
	send_event(object, object->link_up);
}

static void close_port(struct port_object *object)
{
	if (object->state == PORT_DYING)
		watch(object, false);
	device_stop(&object->device);
	memset(object, 0, sizeof(*object));
}

/* Transactions. */

static bool is_text(const char *text, size_t size)
{
	size_t length = strnlen(text, size);

	return length > 0 && length < size;
}

static int validate_set(const void *msg, uint32_t *detail)
{
	const struct api_port_set *set = msg;

	*detail = offsetof(struct api_port_set, port);
	if (set->port == 0 || set->port >= API_PORT_MAX)
		return API_E_VALUE;
	*detail = offsetof(struct api_port_set, mtu);
	if (set->mtu < MTU_MIN || set->mtu > dp_config()->mtu_max)
		return API_E_VALUE;
	*detail = offsetof(struct api_port_set, rx_queues);
	if (set->rx_queues > DP_WORKERS_MAX || set->tx_queues > DP_WORKERS_MAX)
		return API_E_VALUE;
	*detail = offsetof(struct api_port_set, name);
	if (!is_text(set->name, sizeof(set->name)))
		return API_E_VALUE;
	*detail = offsetof(struct api_port_set, device);
	if (!is_text(set->device, sizeof(set->device)))
		return API_E_VALUE;
	return 0;
}

static int validate_del(const void *msg, uint32_t *detail)
{
	const struct api_port_del *del = msg;

	*detail = offsetof(struct api_port_del, port);
	return del->port == 0 || del->port >= API_PORT_MAX ? API_E_VALUE : 0;
}

/* True if a running port can become what is asked for without being closed. */
static bool is_compatible(const struct port_object *object, const struct api_port_set *set)
{
	return strcmp(object->set.device, set->device) == 0 && object->set.mtu == set->mtu &&
	       object->set.rx_queues == set->rx_queues && object->set.tx_queues == set->tx_queues;
}

static int stage(const struct api_port_set *set, uint32_t *detail, char text[96])
{
	struct port_object *object = &objects[set->port];
	int rc;

	if (object->state != PORT_FREE) {
		if (is_compatible(object, set))
			return 0;
		snprintf(text, 96, "port %s is running: delete it before it changes", set->name);
		return API_E_CONFLICT;
	}
	for (unsigned id = 1; id < API_PORT_MAX; id++) {
		if (objects[id].state == PORT_FREE ||
			strcmp(objects[id].set.device, set->device) != 0)
			continue;
		snprintf(text, 96, "ports %u and %u are one device", id, set->port);
		return API_E_CONFLICT;
	}
	rc = device_start(set, &object->device, &object->port, text);
	if (rc != 0) {
		*detail = (uint32_t)-rc;
		return API_E_DEVICE;
	}
	object->set = *set;
	object->state = PORT_STAGED;
	object->port.id = set->port;
	spread_queues(&object->port);
	return 0;
}

static void abort_staged(void)
{
	for (unsigned id = 1; id < API_PORT_MAX; id++) {
		if (objects[id].state == PORT_STAGED)
			close_port(&objects[id]);
	}
}

static int prepare(const struct txn *txn, uint64_t *index, uint32_t *detail, char text[96])
{
	struct txn_cursor cursor = {0};
	const struct api_header *header;

	while ((header = txn_next_like(txn, &cursor, API_PORT_SET)) != NULL) {
		int rc;

		if (header->type != API_PORT_SET)
			continue;
		rc = stage((const struct api_port_set *)header, detail, text);
		if (rc == 0)
			continue;
		*index = cursor.index;
		abort_staged();
		return rc;
	}
	return 0;
}

static void apply_set(const void *msg, unsigned copy, enum handler_pass pass)
{
	const struct api_port_set *set = msg;
	struct port_object *object = &objects[set->port];

	object->port.set_id[copy] = set->set_id;
	if (pass != HANDLER_SHADOW)
		return;
	object->mentioned = true;
	rejudge |= object->port.set_id[!copy] != set->set_id;
	object->set = *set;
	memcpy(object->port.name, set->name, sizeof(set->name));
	if (object->state != PORT_UP)
		publish(object);
}

static void apply_del(const void *msg, unsigned copy, enum handler_pass pass)
{
	const struct api_port_del *del = msg;
	struct port_object *object = &objects[del->port];

	if (pass == HANDLER_SHADOW && object->state == PORT_UP)
		unpublish(object);
}

static void begin(unsigned copy, enum handler_pass pass, bool full)
{
	if (pass != HANDLER_SHADOW)
		return;
	for (unsigned id = 1; id < API_PORT_MAX; id++)
		objects[id].mentioned = false;
}

static void end(unsigned copy, enum handler_pass pass, bool full)
{
	const struct port *ports[API_PORT_MAX] = {NULL};
	uint64_t interrupts = 0;

	if (pass == HANDLER_CATCH_UP) {
		for (unsigned id = 1; id < API_PORT_MAX; id++) {
			if (objects[id].state == PORT_DYING)
				close_port(&objects[id]);
		}
		rx_queues_reclaim();
		if (rejudge)
			judge_generation_bump();
		rejudge = false;
		return;
	}
	for (unsigned id = 1; id < API_PORT_MAX; id++) {
		if (full && objects[id].state == PORT_UP && !objects[id].mentioned)
			unpublish(&objects[id]);
		ports[id] = published[id];
		if (ports[id] != NULL && objects[id].device.interrupts)
			interrupts |= UINT64_C(1) << id;
	}
	if (changed && rx_queues_publish(ports, API_PORT_MAX, interrupts) != 0)
		log_error(port, "out of memory: the workers' queues stay as they were");
	changed = false;
}

static const struct handler handlers[] = {
	{API_PORT_SET, "port_set", sizeof(struct api_port_set), validate_set, apply_set},
	{API_PORT_DEL, "port_del", sizeof(struct api_port_del), validate_del, apply_del},
};

static const struct handler_group group = {
	.feature = "port",
	.handlers = handlers,
	.count = sizeof(handlers) / sizeof(handlers[0]),
	.prepare = prepare,
	.begin = begin,
	.end = end,
	.abort = abort_staged,
};

/* The feature. */

static int init(void)
{
	int rc = drop_register(&drop_group_packet);

	if (rc == 0)
		rc = drop_register(&drop_group_port);
	if (rc != 0)
		return rc;
	port_rx_init();
	port_tx_init();
	handler_register(&group);
	return 0;
}

/* Few drivers tell when the link changes, so it is asked for. */
static void housekeep(uint64_t now_ms)
{
	bool fresh = session_connection() != connection;

	if (!fresh && now_ms - link_checked_ms < LINK_PERIOD_MS)
		return;
	connection = session_connection();
	link_checked_ms = now_ms;
	for (unsigned id = 1; id < API_PORT_MAX; id++) {
		struct port_object *object = &objects[id];
		bool up;

		if (object->state != PORT_UP)
			continue;
		up = device_link_up(&object->device);
		if ((up != object->link_up || fresh) && send_event(object, up))
			object->link_up = up;
	}
}

static void stop(void)
{
	for (unsigned id = 1; id < API_PORT_MAX; id++) {
		if (objects[id].state == PORT_UP)
			unpublish(&objects[id]);
	}
	for (unsigned id = 1; id < API_PORT_MAX; id++) {
		if (objects[id].state != PORT_FREE)
			close_port(&objects[id]);
	}
	rx_queues_reclaim();
}

uint32_t port_fill(void *rows, uint32_t max)
{
	struct api_count_port *row = rows;
	uint32_t used = 0;

	for (uint32_t id = 0; id < API_PORT_MAX && id < max; id++) {
		struct rte_eth_stats stats = {0};

		memset(&row[id], 0, sizeof(row[id]));
		if (objects[id].state != PORT_UP)
			continue;
		used = id + 1;
		if (rte_eth_stats_get(objects[id].port.dpdk, &stats) != 0)
			continue;
		row[id].rx_packets = stats.ipackets;
		row[id].rx_bytes = stats.ibytes;
		row[id].rx_missed =
			stats.imissed + stats.rx_nombuf + device_missed(&objects[id].device);
		row[id].rx_errors = stats.ierrors;
		row[id].tx_packets = stats.opackets;
		row[id].tx_bytes = stats.obytes;
		row[id].tx_errors = stats.oerrors;
		row[id].link_up = objects[id].link_up;
	}
	return used;
}

static struct feature port_feature = {
	.name = "port",
	.init = init,
	.housekeep = housekeep,
	.stop = stop,
};
FEATURE_REGISTER(port_feature);
