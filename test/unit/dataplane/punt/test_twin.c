/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The punt thread against a real kernel: TAP twins and the overlay's TUN in a network namespace of
 * its own. The test plays worker 0 (fills its punt ring) and the core (records what is handed on).
 * Needs root and /dev/net/tun, is skipped without.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <pthread.h>
#include <rte_eal.h>
#include <rte_graph_worker.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/api/flow.h"
#include "common/base/addr.h"
#include "dataplane/graph/follow.h"
#include "dataplane/graph/handoff.h"
#include "dataplane/main/feature.h"
#include "dataplane/main/worker.h"
#include "dataplane/port/port.h"
#include "dataplane/punt/punt_priv.h"

enum { EXIT_SKIP = 77, DEADLINE_S = 30, PORT = 3, WORKERS = 3, SENDER = 2 };

/* The core, as far as punt sees it. */

static struct dp_config config = {.workers = WORKERS, .overlay_name = "ov0"};
static struct rte_mempool *pool;
static struct feature *feature;
static void (*port_up)(const struct port *port);
static void (*port_down)(const struct port *port);
static struct port port = {.id = PORT,
	.dpdk = RTE_MAX_ETHPORTS - 1,
	.mtu = 1400,
	.mac = {{0x02, 0xaa, 0, 0, 0, 1}},
	.name = "wan"};
static bool port_exists = true;

const struct dp_config *dp_config(void)
{
	return &config;
}

struct rte_mempool *packet_pool(void)
{
	return pool;
}

void feature_register(struct feature *f)
{
	feature = f;
}

int drop_register(struct drop_group *group)
{
	group->base = 100;
	return 0;
}

void graph_take_role(enum graph_role role, const char *node)
{
	assert_int_equal(role, GRAPH_PUNT);
}

void graph_edge(const char *node, enum graph_role role, uint16_t *edge)
{
	assert_int_equal(role, GRAPH_DROP);
}

void port_on_change(void (*up)(const struct port *port), void (*down)(const struct port *port))
{
	port_up = up;
	port_down = down;
}

const struct port *port_get(uint16_t id)
{
	return id == PORT && port_exists ? &port : NULL;
}

unsigned port_sender(const struct port *p)
{
	return SENDER;
}

RTE_DEFINE_PER_LCORE(struct worker *, worker);

uint32_t tap_points;

void follow_end(struct rte_mbuf *const *mbufs, unsigned n, enum api_trace_end end, uint16_t detail)
{
}

uint64_t clock_ms(void)
{
	return 1;
}

void reader_register(unsigned reader)
{
}

void reader_quiescent(unsigned reader)
{
}

void reader_offline(unsigned reader)
{
}

void reader_online(unsigned reader)
{
}

/* What the tests send: IP without options, ICMP or UDP. */
uint16_t packet_parse(struct rte_mbuf *mbuf)
{
	struct packet *packet = packet_of(mbuf);
	const uint8_t *data = rte_pktmbuf_mtod(mbuf, const uint8_t *);

	packet->family = data[0] >> 4;
	packet->l4 = packet->family == ADDR_V4 ? 20 : 40;
	packet->proto = packet->family == ADDR_V4 ? data[9] : data[6];
	packet->icmp_type = data[packet->l4];
	return 0;
}

/* What was handed on, in order. */

struct record {
	unsigned worker;
	enum graph_role role;
	struct packet packet;
	uint8_t frame[2048]; /* with the layer-2 header */
	unsigned length;
};

static struct record records[64];
static unsigned record_count;
static unsigned taken;
static pthread_mutex_t records_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t records_more = PTHREAD_COND_INITIALIZER;

unsigned handoff_send(unsigned producer, unsigned worker, enum graph_role next,
	struct rte_mbuf **mbufs, unsigned n)
{
	pthread_mutex_lock(&records_lock);
	for (unsigned i = 0; i < n; i++) {
		struct record *record = &records[record_count % RTE_DIM(records)];

		record->worker = worker;
		record->role = next;
		record->packet = *packet_of(mbufs[i]);
		if (record->packet.l2_len > 0)
			rte_pktmbuf_prepend(mbufs[i], record->packet.l2_len);
		record->length = rte_pktmbuf_data_len(mbufs[i]);
		memcpy(record->frame, rte_pktmbuf_mtod(mbufs[i], void *), record->length);
		record_count++;
		rte_pktmbuf_free(mbufs[i]);
	}
	pthread_cond_signal(&records_more);
	pthread_mutex_unlock(&records_lock);
	return n;
}

/* The next record that `want` likes; the kernel's own chatter (MLD, router solicitations) is
 * passed over. */
static struct record await(bool (*want)(const struct record *record), const char *what)
{
	struct timespec deadline;
	struct record found;

	clock_gettime(CLOCK_REALTIME, &deadline);
	deadline.tv_sec += DEADLINE_S;
	pthread_mutex_lock(&records_lock);
	for (;;) {
		while (taken < record_count) {
			found = records[taken++ % RTE_DIM(records)];
			if (!want(&found))
				continue;
			pthread_mutex_unlock(&records_lock);
			return found;
		}
		if (pthread_cond_timedwait(&records_more, &records_lock, &deadline) != 0)
			break;
	}
	pthread_mutex_unlock(&records_lock);
	fail_msg("never came: %s", what);
	return found;
}

static uint16_t type_of(const struct record *record)
{
	return (uint16_t)(record->frame[12] << 8 | record->frame[13]);
}

static bool is_arp(const struct record *record)
{
	return record->packet.l2_len == 14 && type_of(record) == 0x0806;
}

static bool is_unicast_ip(const struct record *record)
{
	return record->role == GRAPH_FORWARD;
}

static bool is_drop(const struct record *record)
{
	return record->role == GRAPH_DROP;
}

static bool is_multicast_ip(const struct record *record)
{
	return record->packet.l2_len == 14 && type_of(record) == 0x0800 && record->frame[0] == 1;
}

static bool is_nd(const struct record *record)
{
	return type_of(record) == 0x86dd && record->frame[14 + 6] == 58 &&
	       record->frame[14 + 40] == 135;
}

/* Tools. */

static void run(const char *command)
{
	if (system(command) != 0)
		fail_msg("failed: %s", command);
}

/* As node "punt" leaves it: data at the frame. */
static void punt_frame(const void *frame, unsigned length, uint16_t port_in)
{
	struct rte_mbuf *mbuf = rte_pktmbuf_alloc(pool);

	assert_non_null(mbuf);
	memset(packet_of(mbuf), 0, sizeof(struct packet));
	packet_of(mbuf)->port_in = port_in;
	memcpy(rte_pktmbuf_append(mbuf, (uint16_t)length), frame, length);
	assert_int_equal(rte_ring_sp_enqueue(punt.rings[0], mbuf), 0);
	punt_ring_bell();
}

static uint16_t checksum(const uint8_t *data, unsigned length)
{
	uint32_t sum = 0;

	for (unsigned i = 0; i < length; i += 2)
		sum += (uint32_t)(data[i] << 8 | data[i + 1]);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

/* 28 bytes of an echo request between two addresses. */
static void make_echo(uint8_t *ip, const char *src, const char *dst)
{
	static const uint8_t head[28] = {0x45, 0, 0, 28, 0, 1, 0, 0, 64, 1};
	uint16_t sum;

	memcpy(ip, head, sizeof(head));
	inet_pton(AF_INET, src, ip + 12);
	inet_pton(AF_INET, dst, ip + 16);
	sum = checksum(ip, 20);
	ip[10] = (uint8_t)(sum >> 8);
	ip[11] = (uint8_t)sum;
	ip[20] = 8;
	sum = checksum(ip + 20, 8);
	ip[22] = (uint8_t)(sum >> 8);
	ip[23] = (uint8_t)sum;
}

static void send_udp(const char *to, int ttl)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(9)};
	int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	inet_pton(AF_INET, to, &address.sin_addr);
	setsockopt(sock, IPPROTO_IP, IP_MULTICAST_TTL, &ttl, sizeof(ttl));
	assert_int_equal(
		sendto(sock, "hello", 5, 0, (struct sockaddr *)&address, sizeof(address)), 5);
	close(sock);
}

/* Tests; they build on each other. */

static void test_twin(void **state)
{
	struct ifreq request = {.ifr_name = "sp-wan"};
	int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	port_up(&port);
	assert_int_equal(ioctl(sock, SIOCGIFHWADDR, &request), 0);
	assert_memory_equal(request.ifr_hwaddr.sa_data, port.mac.addr_bytes, 6);
	assert_int_equal(ioctl(sock, SIOCGIFMTU, &request), 0);
	assert_int_equal(request.ifr_mtu, 1400);
	assert_int_equal(ioctl(sock, SIOCGIFFLAGS, &request), 0);
	assert_int_equal(request.ifr_flags & IFF_UP, 0);
	strcpy(request.ifr_name, "ov0");
	assert_int_equal(ioctl(sock, SIOCGIFFLAGS, &request), 0);
	close(sock);
	run("ip link set sp-wan up && ip addr add 192.0.2.1/24 dev sp-wan");
	run("ip addr add 2001:db8::1/64 dev sp-wan nodad");
	run("ip link set ov0 up && ip addr add 100.64.0.1/10 dev ov0");
}

static const uint8_t router[6] = {0x02, 0xbb, 0, 0, 0, 9};

static void test_arp(void **state)
{
	uint8_t reply[42] = {0};
	struct record record;

	send_udp("192.0.2.9", 1);
	record = await(is_arp, "an ARP request");
	assert_int_equal(record.role, GRAPH_SEND);
	assert_int_equal(record.worker, SENDER);
	assert_int_equal(record.packet.port_out, PORT);
	assert_int_equal(record.packet.ingress, API_IDENT_HOST | PORT);
	assert_int_equal(record.packet.flags, PACKET_FROM_HOST | PACKET_KEEP_L2);
	assert_int_equal(record.length, 42);
	/* answer it: the waiting datagram comes out, unicast */
	memcpy(reply, record.frame + 6, 6);
	memcpy(reply + 6, router, 6);
	memcpy(reply + 12, record.frame + 12, 9);
	reply[21] = 2;
	memcpy(reply + 22, router, 6);
	memcpy(reply + 28, record.frame + 38, 4);
	memcpy(reply + 32, record.frame + 22, 10);
	punt_frame(reply, sizeof(reply), PORT);
	record = await(is_unicast_ip, "the datagram");
	assert_int_equal(record.packet.ingress, API_IDENT_HOST | PORT);
	assert_int_equal(record.packet.flags, PACKET_FROM_HOST | PACKET_KEEP_L2);
	assert_int_equal(record.packet.l2_len, 14);
	assert_int_equal(record.packet.port_in, 0);
	assert_int_equal(record.packet.port_out, PORT);
	assert_in_range(record.worker, 0, WORKERS - 1);
	assert_memory_equal(record.frame, router, 6);
	assert_memory_equal(record.frame + record.length - 5, "hello", 5);
}

static void test_echo(void **state)
{
	uint8_t frame[14 + 28];
	struct record record;

	memcpy(frame, port.mac.addr_bytes, 6);
	memcpy(frame + 6, router, 6);
	frame[12] = 0x08;
	frame[13] = 0x00;
	make_echo(frame + 14, "192.0.2.9", "192.0.2.1");
	for (int i = 0; i < 100; i++) {
		/* the thread is asleep, or about to: no doorbell may get lost */
		punt_frame(frame, sizeof(frame), PORT);
		record = await(is_unicast_ip, "an echo reply");
		assert_int_equal(record.frame[14 + 20], 0);
	}
}

static void test_overlay(void **state)
{
	uint8_t ip[28];
	struct record record;

	make_echo(ip, "100.64.0.7", "100.64.0.1");
	punt_frame(ip, sizeof(ip), 0);
	record = await(is_unicast_ip, "an echo reply on the overlay");
	assert_int_equal(record.packet.ingress, API_IDENT_HOST);
	assert_int_equal(record.packet.flags, PACKET_FROM_HOST);
	assert_int_equal(record.packet.l2_len, 0);
	assert_int_equal(record.worker, 0);
	assert_int_equal(record.length, 28);
	assert_int_equal(record.frame[20], 0);
}

static void test_multicast(void **state)
{
	struct record record;

	run("ip route add 239.1.1.1/32 dev sp-wan");
	send_udp("239.1.1.1", 1);
	record = await(is_multicast_ip, "multicast");
	assert_int_equal(record.role, GRAPH_SEND);
	assert_int_equal(record.packet.flags, PACKET_FROM_HOST | PACKET_KEEP_L2);
	run("ip route add 239.1.1.2/32 dev ov0");
	send_udp("239.1.1.2", 1);
	do
		record = await(is_drop, "refused multicast on the overlay");
	while (record.packet.family != ADDR_V4); /* the kernel's MLD reports are refused too */
	assert_int_equal(record.packet.drop, DROP(punt, FROM_HOST_OVERLAY));
}

static void test_nd(void **state)
{
	struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_port = htons(9)};
	int sock = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct record record;

	inet_pton(AF_INET6, "2001:db8::9", &address.sin6_addr);
	assert_int_equal(
		sendto(sock, "hello", 5, 0, (struct sockaddr *)&address, sizeof(address)), 5);
	close(sock);
	record = await(is_nd, "a neighbour solicitation");
	assert_int_equal(record.role, GRAPH_SEND);
	assert_int_equal(record.packet.port_out, PORT);
}

static void test_drops(void **state)
{
	uint8_t frame[60] = {0};
	struct record record;

	punt_frame(frame, sizeof(frame), PORT + 1);
	record = await(is_drop, "a packet of a port without twin");
	assert_int_equal(record.packet.drop, DROP(punt, NO_DEVICE));
	run("ip link set sp-wan down");
	punt_frame(frame, sizeof(frame), PORT);
	record = await(is_drop, "a packet that the kernel refuses");
	assert_int_equal(record.packet.drop, DROP(punt, WRITE));
}

static void test_down(void **state)
{
	port_down(&port);
	assert_int_equal(if_nametoindex("sp-wan"), 0);
	port_up(&port);
	assert_int_not_equal(if_nametoindex("sp-wan"), 0);
	/* nothing leaks; the thread may hold a buffer for a moment to read into */
	for (int i = 0; i < 10000 && rte_mempool_in_use_count(pool) != 0; i++)
		usleep(100);
	assert_int_equal(rte_mempool_in_use_count(pool), 0);
}

static int set_up(void **state)
{
	struct worker worker = {.id = 0};

	if (feature->init() < 0 || feature->worker_init(&worker) < 0)
		return -1;
	return feature->start();
}

static int tear_down(void **state)
{
	feature->stop();
	assert_int_equal(if_nametoindex("sp-wan"), 0);
	assert_int_equal(if_nametoindex("ov0"), 0);
	return 0;
}

int main(void)
{
	static char text[][16] = {"test", "--no-huge", "-m", "64", "--no-pci", "--no-telemetry",
		"--no-shconf", "--iova-mode=va", "-l", "0", "--log-level", "error"};
	char *arguments[RTE_DIM(text) + 1] = {NULL};
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_twin),
		cmocka_unit_test(test_arp),
		cmocka_unit_test(test_echo),
		cmocka_unit_test(test_overlay),
		cmocka_unit_test(test_multicast),
		cmocka_unit_test(test_nd),
		cmocka_unit_test(test_drops),
		cmocka_unit_test(test_down),
	};

	if (access("/dev/net/tun", R_OK | W_OK) < 0 || unshare(CLONE_NEWNET) < 0)
		return EXIT_SKIP;
	for (size_t i = 0; i < RTE_DIM(text); i++)
		arguments[i] = text[i];
	if (rte_eal_init((int)RTE_DIM(text), arguments) < 0)
		return EXIT_FAILURE;
	pool = rte_pktmbuf_pool_create(
		"packets", 255, 0, PACKET_PRIVATE_SIZE, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	if (pool == NULL)
		return EXIT_FAILURE;
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
