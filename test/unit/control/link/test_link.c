/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The link in this process against the data plane's real session in a child, with toy features
 * (toy_process.h); and against data planes played by hand.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/ring/channel.h"
#include "control/link/link.h"
#include "test/unit/dataplane/main/toy.h"
#include "test/unit/dataplane/main/toy_process.h"

enum { PATIENCE_S = 60 };

static char directory[] = "/tmp/sallyport-link-XXXXXX";
static char path[64];
static struct event_base *base;
static pid_t dataplane;

static void start_dataplane(void)
{
	dataplane = toy_process_start(path);
	assert_true(dataplane > 0);
}

static void kill_dataplane(void)
{
	int status;

	if (dataplane <= 0)
		return;
	kill(dataplane, SIGKILL);
	waitpid(dataplane, &status, 0);
	dataplane = 0;
}

/* --- the controller, here --- */

struct controller {
	struct link *link;
	unsigned connected;
	unsigned disconnected;
	uint64_t instance;
	uint64_t generation;
	char reason[CHANNEL_TEXT_MAX];
	unsigned events;
	uint64_t lost;
	struct api_event_neigh last;
};

static void on_connected(uint64_t instance, uint64_t generation, void *arg)
{
	struct controller *c = arg;

	c->connected++;
	c->instance = instance;
	c->generation = generation;
}

static void on_disconnected(const char *reason, void *arg)
{
	struct controller *c = arg;

	c->disconnected++;
	snprintf(c->reason, sizeof(c->reason), "%s", reason);
}

static void on_event(const struct api_header *message, void *arg)
{
	struct controller *c = arg;

	assert_int_equal(message->type, API_EVENT_NEIGH);
	assert_int_equal(message->length, sizeof(c->last));
	memcpy(&c->last, message, sizeof(c->last));
	c->events++;
}

static void on_resync(uint64_t lost, void *arg)
{
	((struct controller *)arg)->lost += lost;
}

static void controller_open(struct controller *c)
{
	struct link_options options = {.base = base,
		.path = path,
		.arg = c,
		.connected = on_connected,
		.disconnected = on_disconnected,
		.event = on_event,
		.resync = on_resync};
	int error;

	memset(c, 0, sizeof(*c));
	c->link = link_create(&options, &error);
	assert_non_null(c->link);
}

/* Turns the loop until the condition holds; the alarm ends a test that hangs. */
#define WAIT_FOR(condition)                                                                        \
	do {                                                                                       \
		alarm(PATIENCE_S);                                                                 \
		while (!(condition))                                                               \
			assert_int_equal(event_base_loop(base, EVLOOP_ONCE), 0);                   \
		alarm(0);                                                                          \
	} while (0)

struct batch {
	unsigned count;
	unsigned next;
	bool bad_last; /* the last one is refused */
	uint32_t events;
	union {
		struct api_port_set port;
		struct api_policy_set rule;
		struct api_wg_interface_set interface;
	} message;
	uint64_t key_token; /* first an interface with key 1 of this token */
	unsigned done;
	struct api_reply reply;
};

static const void *next_message(void *arg)
{
	struct batch *batch = arg;
	unsigned i = batch->next++;

	if (i == batch->count)
		return NULL;
	if (i == 0 && batch->key_token != 0) {
		api_message_init(
			&batch->message, API_WG_INTERFACE_SET, sizeof(batch->message.interface));
		batch->message.interface.interface = 1;
		batch->message.interface.private_key =
			(struct api_secret){.token = batch->key_token, .index = 1};
	} else if (i == batch->count - 1) {
		batch->message.port = toy_port(1, batch->bad_last ? 1 : 1500);
	} else if (i == 0 && batch->events > 0) {
		batch->message.rule = toy_rule(TOY_EVENTS_RULE, batch->events);
	} else {
		batch->message.rule = toy_rule(i % TOY_EVENTS_RULE, i);
	}
	return &batch->message;
}

static void batch_done(const struct api_reply *reply, void *arg)
{
	struct batch *batch = arg;

	batch->done++;
	batch->reply = *reply;
}

static int submit(struct controller *c, struct batch *batch, uint64_t generation)
{
	static const struct key keys[2] = {{{1}}, {{2, 22, 222}}};
	struct link_txn txn = {.mode = API_TXN_FULL,
		.generation = generation,
		.count = batch->count,
		.next = next_message,
		.token = batch->key_token,
		.keys = batch->key_token == 0 ? NULL : keys,
		.key_count = 2,
		.done = batch_done,
		.arg = batch};

	return link_submit(c->link, &txn);
}

static void commit(struct controller *c, struct batch *batch, uint64_t generation)
{
	assert_int_equal(submit(c, batch, generation), 0);
	WAIT_FOR(batch->done == 1);
}

static struct api_count_port row(const struct controller *c, unsigned index)
{
	struct api_count_port port;

	assert_int_equal(
		link_counters_read(c->link, API_SECTION_PORTS, index, 1, &port, sizeof(port)), 0);
	return port;
}

static int set_up(void **state)
{
	if (mkdtemp(strcpy(directory, "/tmp/sallyport-link-XXXXXX")) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/s", directory);
	log_set_level("link", LOG_LEVEL_ERROR);
	base = event_base_new();
	return base == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
	alarm(0);
	kill_dataplane();
	event_base_free(base);
	unlink(path);
	return rmdir(directory);
}

static void a_large_transaction_passes_a_small_ring(void **state)
{
	struct batch batch = {.count = 20000};
	struct api_counters header;
	struct controller c;

	start_dataplane();
	controller_open(&c);
	assert_int_equal(submit(&c, &batch, 1), -ENOTCONN);
	WAIT_FOR(c.connected == 1);
	assert_int_equal(c.generation, 0);
	assert_int_not_equal(c.instance, 0);
	assert_int_equal(link_instance(c.link), c.instance);
	batch.next = 0;
	commit(&c, &batch, 5);
	assert_int_equal(batch.reply.code, API_OK);
	assert_int_equal(link_generation(c.link), 5);
	assert_int_equal(row(&c, TOY_ROW_CREATED).rx_packets, 1);
	assert_int_equal(row(&c, TOY_ROW_RULES).rx_packets, 2 * batch.count);
	assert_int_equal(link_counters_header(c.link, &header), 0);
	assert_int_equal(header.generation, 5);
	assert_int_equal(link_counters_used(c.link, API_SECTION_PORTS), 4);
	assert_true(link_supports(c.link, API_PEER_SET));
	assert_false(link_supports(c.link, 0x7777));
	link_destroy(&c.link);
	assert_null(c.link);
}

static void refusals_reach_their_owner(void **state)
{
	struct batch bad = {.count = 10, .bad_last = true}, good = {.count = 1};
	struct controller c;

	start_dataplane();
	controller_open(&c);
	WAIT_FOR(c.connected == 1);
	/* Both at once: the second goes when the first is answered. */
	assert_int_equal(submit(&c, &bad, 1), 0);
	assert_int_equal(submit(&c, &good, 2), 0);
	assert_int_equal(submit(&c, &good, 0), -EINVAL);
	WAIT_FOR(good.done == 1);
	assert_int_equal(bad.done, 1);
	assert_int_equal(bad.reply.code, API_E_VALUE);
	assert_int_equal(bad.reply.index, 9);
	assert_int_equal(good.reply.code, API_OK);
	assert_int_equal(link_generation(c.link), 2);
	assert_int_equal(row(&c, TOY_ROW_RULES).rx_packets, 2);
	link_destroy(&c.link);
}

static void keys_arrive_before_their_transaction(void **state)
{
	static const struct key expected = {{2, 22, 222}};
	struct batch batch = {.count = 2}, again = {.count = 2};
	struct api_count_port port;
	struct controller c;

	start_dataplane();
	controller_open(&c);
	WAIT_FOR(c.connected == 1);
	batch.key_token = link_token();
	assert_int_not_equal(batch.key_token, 0);
	commit(&c, &batch, 1);
	assert_int_equal(batch.reply.code, API_OK);
	port = row(&c, TOY_ROW_KEY);
	assert_memory_equal(&port, &expected, sizeof(expected));
	/* Two in the queue, each with its own. */
	memset(&batch, 0, sizeof(batch));
	batch.count = again.count = 2;
	batch.key_token = link_token();
	again.key_token = link_token();
	assert_int_equal(submit(&c, &batch, 2), 0);
	commit(&c, &again, 3);
	assert_int_equal(batch.reply.code, API_OK);
	assert_int_equal(again.reply.code, API_OK);
	link_destroy(&c.link);
}

static void either_process_may_die(void **state)
{
	struct batch batch = {.count = 1}, large = {.count = 200000}, next = {.count = 1};
	struct controller c;
	uint64_t instance;

	/* The controller is there first. */
	controller_open(&c);
	WAIT_FOR(c.disconnected == 1);
	start_dataplane();
	WAIT_FOR(c.connected == 1);
	commit(&c, &batch, 3);
	instance = c.instance;
	link_destroy(&c.link);

	/* It comes back and finds what it knows. */
	controller_open(&c);
	WAIT_FOR(c.connected == 1);
	assert_int_equal(c.instance, instance);
	assert_int_equal(c.generation, 3);

	/* The data plane dies with a transaction on its way and one in the queue. */
	assert_int_equal(submit(&c, &large, 4), 0);
	assert_int_equal(submit(&c, &next, 5), 0);
	WAIT_FOR(large.next > 1000);
	kill_dataplane();
	WAIT_FOR(c.disconnected == 1);
	assert_int_equal(large.done, 1);
	assert_int_equal(large.reply.code, -ECONNRESET);
	assert_int_equal(next.done, 1);
	assert_int_equal(next.reply.code, -ECONNRESET);
	assert_false(link_is_connected(c.link));
	assert_int_equal(link_instance(c.link), 0);
	start_dataplane();
	WAIT_FOR(c.connected == 2);
	assert_int_not_equal(c.instance, instance);
	assert_int_equal(c.generation, 0);
	memset(&batch, 0, sizeof(batch));
	batch.count = 1;
	commit(&c, &batch, 1);
	assert_int_equal(batch.reply.code, API_OK);
	link_destroy(&c.link);
}

static void a_second_controller_waits(void **state)
{
	struct controller first, second;

	start_dataplane();
	controller_open(&first);
	WAIT_FOR(first.connected == 1);
	controller_open(&second);
	WAIT_FOR(second.disconnected == 1);
	assert_string_equal(second.reason, "another controller is connected");
	link_destroy(&first.link);
	WAIT_FOR(second.connected == 1);
	assert_int_equal(second.disconnected, 1); /* told once, not at each attempt */
	link_destroy(&second.link);
}

static void events_or_their_loss_arrive(void **state)
{
	static const uint32_t rows[] = {1, 100, 5000};
	struct controller c;

	start_dataplane();
	controller_open(&c);
	WAIT_FOR(c.connected == 1);
	for (uint64_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct batch batch = {.count = 2, .events = rows[i]};

		c.events = 0;
		c.lost = 0;
		commit(&c, &batch, i + 1);
		WAIT_FOR(c.events + c.lost == rows[i]);
		/* What fits the ring of 16 KiB is not lost. */
		assert_int_equal(c.lost > 0, rows[i] == 5000);
		assert_true(c.events >= 1);
	}
	link_destroy(&c.link);
}

struct dumped {
	unsigned entries;
	unsigned done;
	int code;
	struct link *link; /* forgets itself after the first entry */
};

static void on_entry(const struct api_header *entry, void *arg)
{
	struct dumped *dumped = arg;

	assert_int_equal(entry->type, API_FLOW_ENTRY);
	assert_int_equal(
		((const struct api_flow_entry *)(const void *)entry)->route_id, dumped->entries);
	dumped->entries++;
	if (dumped->link != NULL)
		link_forget(dumped->link, dumped);
}

static void on_dumped(const struct api_reply *reply, void *arg)
{
	struct dumped *dumped = arg;

	dumped->done++;
	dumped->code = reply->code;
}

static void dumps_queue_beside_transactions(void **state)
{
	struct dumped dumps[4] = {{0}};
	struct batch batch = {.count = 5000};
	struct controller c;

	start_dataplane();
	controller_open(&c);
	WAIT_FOR(c.connected == 1);
	dumps[2].link = c.link;
	for (unsigned i = 0; i < 4; i++) {
		struct api_flow_dump dump;
		struct link_question question = {
			.message = &dump, .entry = on_entry, .done = on_dumped, .arg = &dumps[i]};

		api_message_init(&dump, API_FLOW_DUMP, sizeof(dump));
		dump.max = i == 3 ? 10 : 10000;
		dump.peer = i == 1 ? 999 : 0; /* the toy knows no such peer */
		assert_int_equal(link_ask(c.link, &question), 0);
	}
	assert_int_equal(submit(&c, &batch, 1), 0);
	WAIT_FOR(dumps[3].done == 1 && batch.done == 1);
	assert_int_equal(dumps[0].entries, 10000);
	assert_int_equal(dumps[0].done, 1);
	assert_int_equal(dumps[0].code, API_OK);
	assert_int_equal(dumps[1].code, API_E_MISSING);
	assert_int_equal(dumps[1].entries, 0);
	assert_int_equal(dumps[2].entries, 1);
	assert_int_equal(dumps[2].done, 0);
	assert_int_equal(dumps[3].entries, 10);
	assert_int_equal(batch.reply.code, API_OK);
	link_destroy(&c.link);
}

static void a_forgotten_transaction_is_aborted(void **state)
{
	struct batch gone = {.count = 200000}, queued = {.count = 1}, next = {.count = 1};
	struct controller c;

	start_dataplane();
	controller_open(&c);
	WAIT_FOR(c.connected == 1);
	assert_int_equal(submit(&c, &gone, 1), 0);
	assert_int_equal(submit(&c, &queued, 2), 0);
	assert_int_equal(submit(&c, &next, 3), 0);
	WAIT_FOR(gone.next > 1000);
	assert_true(gone.next < gone.count);
	link_forget(c.link, &gone);
	link_forget(c.link, &queued);
	WAIT_FOR(next.done == 1);
	assert_int_equal(next.reply.code, API_OK);
	assert_int_equal(gone.done, 0);
	assert_int_equal(queued.done, 0);
	assert_int_equal(link_generation(c.link), 3);
	assert_int_equal(row(&c, TOY_ROW_RULES).rx_packets, 2); /* next's, both passes */
	link_destroy(&c.link);
}

/* --- other data planes, by hand --- */

static void tick(evutil_socket_t fd, short what, void *arg)
{
}

/* Accepts the link's next attempt and returns the socket with its hello read. */
static int accept_link(int listener, struct channel_received *hello)
{
	struct event *ticker = event_new(base, -1, EV_PERSIST, tick, NULL);
	const struct timeval period = {.tv_usec = 1000};
	int fd;

	event_add(ticker, &period);
	WAIT_FOR((fd = channel_accept(listener, geteuid())) >= 0);
	WAIT_FOR(channel_receive(fd, hello) == 0);
	event_free(ticker);
	return fd;
}

static void a_hostile_data_plane_is_left(void **state)
{
	static const struct channel_offer offer = {.request_bytes = 4096, .reply_bytes = 4096};
	int listener = channel_listen(path, geteuid());
	struct channel_received hello;
	struct channel channel;
	struct controller c;

	controller_open(&c);
	for (unsigned i = 0; i < 4; i++) {
		int fd = accept_link(listener, &hello);

		assert_int_equal(channel_serve(&channel, fd, &hello, &offer, NULL, NULL), 0);
		WAIT_FOR(c.connected == i + 1);
		switch (i) {
		case 0:
			atomic_store(&channel.out.shared->tail, 1ULL << 50);
			break;
		case 1:
			((uint16_t *)(void *)channel.out.shared->data)[1] = 9;
			atomic_store(&channel.out.shared->tail, 64);
			break;
		case 2:
			atomic_store(&channel.in.shared->head, 1ULL << 40);
			break;
		default:
			memset(channel.counters, 0xff, channel.counters_bytes);
			assert_int_equal(link_counters_read(c.link, API_SECTION_PORTS, 0, 1, &i, 4),
				-ENOENT);
			atomic_store(&channel.out.shared->tail, 12);
		}
		ring_bell_ring(&channel.out.bell);
		if (i == 2) {
			struct batch batch = {.count = 100}; /* fills the ring */

			assert_int_equal(submit(&c, &batch, 1), 0);
			WAIT_FOR(batch.done == 1);
			assert_int_equal(batch.reply.code, -ECONNRESET);
		}
		WAIT_FOR(c.disconnected == i + 1);
		assert_string_equal(c.reason, "the data plane broke the rules of the rings");
		channel_close(&channel);
	}
	link_destroy(&c.link);
	close(listener);
}

static void another_major_is_told(void **state)
{
	int fd, listener = channel_listen(path, geteuid());
	struct channel_received hello;
	struct controller c;

	controller_open(&c);
	fd = accept_link(listener, &hello);
	channel_refuse(fd, "the data plane speaks API 2, the controller API 1");
	close(fd);
	WAIT_FOR(c.disconnected == 1);
	assert_string_equal(c.reason, "the data plane speaks API 2, the controller API 1");
	fd = accept_link(listener, &hello);
	hello.hello.packet.major = 2;
	assert_int_equal(channel_send_hello(fd, &hello.hello), 0);
	WAIT_FOR(c.disconnected == 2);
	assert_string_equal(c.reason, "the data plane speaks API 2, this process API 1");
	close(fd);
	link_destroy(&c.link);
	close(listener);
}

static int sealed(size_t bytes)
{
	int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_int_equal(ftruncate(fd, (off_t)bytes), 0);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL), 0);
	return fd;
}

/* Sends a hello with the three descriptors of a data plane whose rings have 4 KiB each. */
static void *offer_by_hand(int socket, struct channel_hello *hello)
{
	int fds[CHANNEL_FDS] = {sealed(12288), sealed(4096), eventfd(0, 0)};
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(fds))];
	} control = {.header = {.cmsg_level = SOL_SOCKET,
			     .cmsg_type = SCM_RIGHTS,
			     .cmsg_len = CMSG_LEN(sizeof(fds))}};
	struct iovec iov = {.iov_base = hello, .iov_len = sizeof(*hello)};
	struct msghdr msg = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control)};
	void *rings = mmap(NULL, 12288, PROT_READ | PROT_WRITE, MAP_SHARED, fds[0], 0);

	assert_true(rings != MAP_FAILED);
	hello->request_bytes = hello->reply_bytes = 4096;
	hello->counters_bytes = 4096;
	hello->instance = 1;
	memcpy(CMSG_DATA(&control.header), fds, sizeof(fds));
	assert_int_equal(sendmsg(socket, &msg, 0), sizeof(*hello));
	for (unsigned i = 0; i < CHANNEL_FDS; i++)
		close(fds[i]);
	return rings;
}

static void an_older_data_plane_works(void **state)
{
	int fd, listener = channel_listen(path, geteuid());
	struct channel_received received;
	struct channel_hello hello;
	struct api_event_neigh neigh;
	struct controller c;
	struct ring out;
	void *rings;

	controller_open(&c);
	fd = accept_link(listener, &received);
	channel_hello_init(&hello);
	for (unsigned i = 0; i < hello.count; i++) {
		if (hello.sizes[i].type == API_EVENT_NEIGH)
			hello.sizes[i].size = 24;
		if (hello.sizes[i].type == API_EGRESS_RULE_DEL)
			hello.sizes[i].type = 0x0abc; /* it knows another one instead */
	}
	rings = offer_by_hand(fd, &hello);
	WAIT_FOR(c.connected == 1);
	assert_false(link_supports(c.link, API_EGRESS_RULE_DEL));
	assert_true(link_supports(c.link, API_EGRESS_RULE_SET));
	ring_attach(&out, (uint8_t *)rings + ring_bytes(4096), 4096,
		(struct ring_bell){.fd = fd, .is_socket = true});
	api_message_init(&neigh, API_EVENT_NEIGH, sizeof(neigh));
	memset(&neigh.addr, 7, sizeof(neigh.addr));
	neigh.header.length = 24;
	neigh.port = 99; /* does not travel */
	assert_int_equal(ring_put(&out, &neigh), 0);
	neigh.header.type = 0x0abc; /* an event unknown here */
	assert_int_equal(ring_put(&out, &neigh), 0);
	ring_publish(&out);
	ring_bell_ring(&out.bell);
	WAIT_FOR(c.events == 1);
	assert_int_equal(c.last.addr.family, 7);
	assert_int_equal(c.last.port, 0); /* filled with zeros */
	assert_int_equal(c.disconnected, 0);
	munmap(rings, 12288);
	link_destroy(&c.link);
	close(fd);
	close(listener);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			a_large_transaction_passes_a_small_ring, set_up, tear_down),
		cmocka_unit_test_setup_teardown(refusals_reach_their_owner, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			keys_arrive_before_their_transaction, set_up, tear_down),
		cmocka_unit_test_setup_teardown(either_process_may_die, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_second_controller_waits, set_up, tear_down),
		cmocka_unit_test_setup_teardown(events_or_their_loss_arrive, set_up, tear_down),
		cmocka_unit_test_setup_teardown(dumps_queue_beside_transactions, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_forgotten_transaction_is_aborted, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_hostile_data_plane_is_left, set_up, tear_down),
		cmocka_unit_test_setup_teardown(another_major_is_told, set_up, tear_down),
		cmocka_unit_test_setup_teardown(an_older_data_plane_works, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
