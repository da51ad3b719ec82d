/* SPDX-License-Identifier: BSD-3-Clause */
#include "common/ring/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/ring/counters.h"

enum {
	PAGE_BYTES = 4096,
	BACKLOG = 8,
	SEALS_RINGS = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL,
	SEALS_COUNTERS = SEALS_RINGS | F_SEAL_FUTURE_WRITE,
};

static size_t round_up(size_t bytes, size_t to)
{
	return (bytes + to - 1) & ~(to - 1);
}

static size_t hello_length(unsigned count)
{
	return offsetof(struct channel_hello, sizes) + count * sizeof(struct channel_size);
}

static int fill_address(struct sockaddr_un *address, const char *path)
{
	*address = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof(address->sun_path))
		return -ENAMETOOLONG;
	strcpy(address->sun_path, path);
	return 0;
}

static int send_packet(int socket, const void *packet, size_t length, const int *fds, unsigned n)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(CHANNEL_FDS * sizeof(int))];
	} control = {0};
	struct iovec iov = {.iov_base = (void *)(uintptr_t)packet, .iov_len = length};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

	if (n > 0) {
		msg.msg_control = &control;
		msg.msg_controllen = CMSG_SPACE(n * sizeof(int));
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(n * sizeof(int));
		memcpy(CMSG_DATA(&control.header), fds, n * sizeof(int));
	}
	if (sendmsg(socket, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		return -errno;
	return 0;
}

int channel_listen(const char *path, uid_t uid)
{
	struct sockaddr_un address;
	struct stat st;
	int fd, rc = fill_address(&address, path);

	if (rc != 0)
		return rc;
	if (lstat(path, &st) == 0) {
		if (!S_ISSOCK(st.st_mode))
			return -EEXIST;
		/* A data plane that lives must not lose its controller to a second one. */
		fd = channel_connect(path);
		if (fd >= 0)
			close(fd);
		if (fd >= 0 || fd == -EAGAIN)
			return -EADDRINUSE;
		if (unlink(path) != 0)
			return -errno;
	}
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	/* Before the socket listens nobody can connect, so the mode is right in time. */
	if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) != 0)
		goto err_close;
	if (chmod(path, S_IRUSR | S_IWUSR) != 0)
		goto err_unlink;
	if (uid != geteuid() && chown(path, uid, (gid_t)-1) != 0)
		goto err_unlink;
	if (listen(fd, BACKLOG) != 0)
		goto err_unlink;
	return fd;
err_unlink:
	rc = -errno;
	unlink(path);
	errno = -rc;
err_close:
	rc = -errno;
	close(fd);
	return rc;
}

int channel_accept(int listener, uid_t uid)
{
	struct ucred peer = {0};
	socklen_t length = sizeof(peer);
	int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd < 0)
		return errno == EAGAIN || errno == ECONNABORTED || errno == EINTR ? -EAGAIN
										  : -errno;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 &&
		(peer.uid == uid || peer.uid == geteuid() || peer.uid == 0))
		return fd;
	channel_refuse(fd, "user %u may not control this data plane", peer.uid);
	close(fd);
	return -EPERM;
}

void channel_refuse(int socket, const char *format, ...)
{
	struct channel_refused refused = {
		.packet = {.magic = CHANNEL_MAGIC, .major = API_MAJOR, .kind = CHANNEL_REFUSED}};
	va_list args;

	va_start(args, format);
	vsnprintf(refused.text, sizeof(refused.text), format, args);
	va_end(args);
	/* If it does not arrive, the close will say it. */
	(void)send_packet(socket, &refused, sizeof(refused), NULL, 0);
}

int channel_connect(const char *path)
{
	struct sockaddr_un address;
	int fd, rc = fill_address(&address, path);

	if (rc != 0)
		return rc;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0) {
		rc = -errno;
		close(fd);
		return rc;
	}
	return fd;
}

void channel_hello_init(struct channel_hello *hello)
{
	memset(hello, 0, sizeof(*hello));
	hello->packet = (struct channel_packet){
		.magic = CHANNEL_MAGIC, .major = API_MAJOR, .kind = CHANNEL_HELLO};
	hello->minor = API_MINOR;
	hello->count = (uint16_t)api_message_count;
	for (unsigned i = 0; i < api_message_count; i++) {
		hello->sizes[i].type = api_messages[i].type;
		hello->sizes[i].size = api_messages[i].size;
	}
}

int channel_send_hello(int socket, const struct channel_hello *hello)
{
	return send_packet(socket, hello, hello_length(hello->count), NULL, 0);
}

int channel_send_secret(int socket, uint64_t token, int fd)
{
	struct channel_secret secret = {
		.packet = {.magic = CHANNEL_MAGIC, .major = API_MAJOR, .kind = CHANNEL_SECRET},
		.token = token};

	return send_packet(socket, &secret, sizeof(secret), &fd, 1);
}

/* Takes what descriptors came; more than fit were discarded by the kernel (MSG_CTRUNC). */
static void take_fds(struct msghdr *msg, struct channel_received *received)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c != NULL; c = CMSG_NXTHDR(msg, c)) {
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
			if (received->fd_count < CHANNEL_FDS)
				received->fds[received->fd_count++] = fd;
			else
				close(fd);
		}
	}
}

static bool shape_is_valid(const struct channel_received *received)
{
	size_t length = received->length;

	if (length < sizeof(struct channel_packet) || received->packet.magic != CHANNEL_MAGIC)
		return false;
	switch (received->packet.kind) {
	case CHANNEL_HELLO:
		/* Another major may say more or less; what it is gets refused by number. */
		if (received->packet.major != API_MAJOR)
			return true;
		return length >= hello_length(0) && received->hello.count <= CHANNEL_SIZES_MAX &&
		       length >= hello_length(received->hello.count);
	case CHANNEL_REFUSED:
		return length >= sizeof(struct channel_refused);
	case CHANNEL_SECRET:
		return length >= sizeof(struct channel_secret) && received->fd_count == 1;
	default:
		return false;
	}
}

int channel_receive(int socket, struct channel_received *received)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(CHANNEL_FDS * sizeof(int))];
	} control;
	struct iovec iov = {.iov_base = &received->packet, .iov_len = sizeof(received->hello)};
	struct msghdr msg = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control)};
	ssize_t n = recvmsg(socket, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	/* A reset is told before the packets that preceded it: the reason of a refusal. */
	if (n < 0 && errno == ECONNRESET)
		n = recvmsg(socket, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	received->fd_count = 0;
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? -EAGAIN
		       : errno == ECONNRESET             ? -ENOTCONN
							 : -errno;
	take_fds(&msg, received);
	received->length = (size_t)n;
	if (n == 0 && received->fd_count == 0)
		return -ENOTCONN;
	if (n == 1 && received->fd_count == 0) {
		received->kind = CHANNEL_BELL;
		return 0;
	}
	if ((msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0 || !shape_is_valid(received)) {
		channel_received_close(received);
		return -EPROTO;
	}
	received->kind = received->packet.kind;
	if (received->kind == CHANNEL_REFUSED)
		received->refused.text[CHANNEL_TEXT_MAX - 1] = '\0';
	return 0;
}

void channel_received_close(struct channel_received *received)
{
	while (received->fd_count > 0)
		close(received->fds[--received->fd_count]);
}

uint16_t channel_peer_size(const struct channel *channel, const struct api_message *message)
{
	return channel->peer_sizes[message - api_messages];
}

/* Keeps what the other side said about the messages that we know. */
static int learn_sizes(struct channel *channel, const struct channel_hello *hello)
{
	channel->peer_sizes = calloc(api_message_count, sizeof(*channel->peer_sizes));
	if (channel->peer_sizes == NULL)
		return -ENOMEM;
	for (unsigned i = 0; i < hello->count; i++) {
		const struct channel_size *said = &hello->sizes[i];
		const struct api_message *message = api_message_find(said->type);

		if (said->size < sizeof(struct api_header) || said->size > API_MESSAGE_MAX ||
			said->size % API_ALIGN != 0)
			return -EPROTO;
		if (message != NULL)
			channel->peer_sizes[message - api_messages] = said->size;
	}
	channel->peer_minor = hello->minor;
	return 0;
}

static void channel_init(struct channel *channel)
{
	*channel = (struct channel){
		.socket = -1, .eventfd = -1, .rings = MAP_FAILED, .counters = MAP_FAILED};
}

/* A memfd of that size, mapped for writing, then sealed. Descriptor or -errno. */
static int make_memory(const char *name, size_t bytes, int seals, void **map)
{
	int rc, fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)bytes) != 0)
		goto err_close;
	*map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (*map == MAP_FAILED)
		goto err_close;
	if (fcntl(fd, F_ADD_SEALS, seals) != 0)
		goto err_close; /* the mapping goes with the channel */
	return fd;
err_close:
	rc = -errno;
	close(fd);
	return rc;
}

/* Where the second ring begins, and the whole. */
static size_t reply_offset(uint32_t request_bytes)
{
	return round_up(ring_bytes(request_bytes), RING_CACHE_LINE);
}

static size_t both_rings(uint32_t request_bytes, uint32_t reply_bytes)
{
	return round_up(reply_offset(request_bytes) + ring_bytes(reply_bytes), PAGE_BYTES);
}

static int make_channel(struct channel *channel, const struct channel_offer *offer, int fds[])
{
	channel->rings_bytes = both_rings(offer->request_bytes, offer->reply_bytes);
	fds[0] = make_memory("sallyport-rings", channel->rings_bytes, SEALS_RINGS, &channel->rings);
	if (fds[0] < 0)
		return fds[0];
	channel->counters_bytes = round_up(
		offer->counters_bytes == 0 ? PAGE_BYTES : offer->counters_bytes, PAGE_BYTES);
	fds[1] = make_memory(
		"sallyport-counters", channel->counters_bytes, SEALS_COUNTERS, &channel->counters);
	if (fds[1] < 0)
		return fds[1];
	channel->eventfd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (channel->eventfd < 0)
		return -errno;
	fds[2] = channel->eventfd;
	channel->instance = offer->instance;
	channel->generation = offer->generation;
	return 0;
}

static int send_offer(const struct channel *channel, const struct channel_offer *offer, int socket,
	const int fds[CHANNEL_FDS])
{
	struct channel_hello hello;

	channel_hello_init(&hello);
	hello.instance = offer->instance;
	hello.generation = offer->generation;
	hello.request_bytes = offer->request_bytes;
	hello.reply_bytes = offer->reply_bytes;
	hello.counters_bytes = channel->counters_bytes;
	return send_packet(socket, &hello, hello_length(hello.count), fds, CHANNEL_FDS);
}

int channel_serve(struct channel *channel, int socket, const struct channel_received *hello,
	const struct channel_offer *offer, void (*prepare)(void *counters, size_t bytes, void *arg),
	void *arg)
{
	struct ring_bell bell = {.fd = socket, .is_socket = true};
	int fds[CHANNEL_FDS] = {-1, -1, -1};
	int rc;

	channel_init(channel);
	if (hello->packet.major != API_MAJOR) {
		channel_refuse(socket, "the data plane speaks API %d, the controller API %u",
			API_MAJOR, hello->packet.major);
		return -EPROTONOSUPPORT;
	}
	rc = learn_sizes(channel, &hello->hello);
	if (rc == -EPROTO)
		channel_refuse(socket, "the controller announced an impossible message size");
	if (rc != 0)
		goto err_channel;
	rc = make_channel(channel, offer, fds);
	if (rc != 0)
		goto err_fds;
	if (prepare != NULL)
		prepare(channel->counters, channel->counters_bytes, arg);
	else
		counters_layout(channel->counters, NULL, 0);
	rc = send_offer(channel, offer, socket, fds);
	if (rc != 0)
		goto err_fds;
	ring_attach(&channel->in, channel->rings, offer->request_bytes, bell);
	ring_attach(&channel->out, (uint8_t *)channel->rings + reply_offset(offer->request_bytes),
		offer->reply_bytes, bell);
	channel->socket = socket;
err_fds:
	/* The other side has its own descriptors, we have the mappings. */
	for (unsigned i = 0; i < 2; i++) {
		if (fds[i] >= 0)
			close(fds[i]);
	}
err_channel:
	if (rc != 0)
		channel_close(channel);
	return rc;
}

/* Maps a received memfd if it has the size and the seals that it must have. */
static int map_memory(int fd, size_t bytes, int seals, int protection, void **map)
{
	struct stat st;
	int have = fcntl(fd, F_GET_SEALS);

	if (have < 0 || (have & seals) != seals || fstat(fd, &st) != 0 ||
		(uint64_t)st.st_size != bytes)
		return -EPROTO;
	*map = mmap(NULL, bytes, protection, MAP_SHARED, fd, 0);
	return *map == MAP_FAILED ? -errno : 0;
}

static int attach_memory(struct channel *channel, struct channel_received *received)
{
	const struct channel_hello *hello = &received->hello;
	int rc;

	if (received->fd_count != CHANNEL_FDS || !ring_capacity_is_valid(hello->request_bytes) ||
		!ring_capacity_is_valid(hello->reply_bytes) || hello->counters_bytes == 0 ||
		hello->counters_bytes > SIZE_MAX / 2)
		return -EPROTO;
	channel->rings_bytes = both_rings(hello->request_bytes, hello->reply_bytes);
	channel->counters_bytes = hello->counters_bytes;
	rc = map_memory(received->fds[0], channel->rings_bytes, SEALS_RINGS, PROT_READ | PROT_WRITE,
		&channel->rings);
	if (rc != 0)
		return rc;
	rc = map_memory(received->fds[1], channel->counters_bytes, SEALS_RINGS, PROT_READ,
		&channel->counters);
	if (rc != 0)
		return rc;
	channel->eventfd = received->fds[2];
	received->fd_count = 2;
	return 0;
}

int channel_attach(struct channel *channel, int socket, struct channel_received *received,
	char text[CHANNEL_TEXT_MAX])
{
	const struct channel_hello *hello = &received->hello;
	struct ring_bell bell;
	int rc;

	channel_init(channel);
	if (hello->packet.major != API_MAJOR) {
		snprintf(text, CHANNEL_TEXT_MAX,
			"the data plane speaks API %u, this process API %d", hello->packet.major,
			API_MAJOR);
		rc = -EPROTONOSUPPORT;
		goto out;
	}
	snprintf(text, CHANNEL_TEXT_MAX, "the data plane's hello does not make sense");
	rc = learn_sizes(channel, hello);
	if (rc != 0)
		goto out;
	rc = attach_memory(channel, received);
	if (rc != 0)
		goto out;
	bell = (struct ring_bell){.fd = channel->eventfd};
	ring_attach(&channel->out, channel->rings, hello->request_bytes, bell);
	ring_attach(&channel->in, (uint8_t *)channel->rings + reply_offset(hello->request_bytes),
		hello->reply_bytes, bell);
	channel->instance = hello->instance;
	channel->generation = hello->generation;
	channel->socket = socket;
out:
	channel_received_close(received);
	if (rc != 0)
		channel_close(channel);
	return rc;
}

void channel_close(struct channel *channel)
{
	if (channel->rings != MAP_FAILED)
		munmap(channel->rings, channel->rings_bytes);
	if (channel->counters != MAP_FAILED)
		munmap(channel->counters, channel->counters_bytes);
	if (channel->eventfd >= 0)
		close(channel->eventfd);
	if (channel->socket >= 0)
		close(channel->socket);
	free(channel->peer_sizes);
	channel->peer_sizes = NULL;
	channel_init(channel);
}
