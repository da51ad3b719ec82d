/* SPDX-License-Identifier: BSD-3-Clause */
#include "common/ring/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	SEALS_SENT = F_SEAL_SHRINK | F_SEAL_GROW,
	SEALS_RECEIVED = F_SEAL_FUTURE_WRITE | F_SEAL_SEAL,
};

struct secret_box {
	uint64_t token;
	uint32_t count;
	uint32_t left;
	struct key *keys; /* the mapping */
	size_t bytes;
	int fd;
	uint8_t taken[]; /* one bit per key */
};

static int write_all(int fd, const void *data, size_t bytes)
{
	const uint8_t *from = data;

	while (bytes > 0) {
		ssize_t n = write(fd, from, bytes);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		from += n;
		bytes -= (size_t)n;
	}
	return 0;
}

int secret_seal(const struct key *keys, uint32_t n)
{
	int fd, rc;

	if (n == 0 || n > SECRET_KEYS_MAX)
		return -EMSGSIZE;
	fd = memfd_create("sallyport-keys", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -errno;
	rc = write_all(fd, keys, n * sizeof(*keys));
	if (rc != 0)
		goto err_close;
	if (fcntl(fd, F_ADD_SEALS, SEALS_SENT) != 0) {
		rc = -errno;
		goto err_close;
	}
	return fd;
err_close:
	close(fd);
	return rc;
}

/* Kind, seals and size; returns the number of keys or -errno. */
static int64_t check(int fd)
{
	struct stat st;
	int seals = fcntl(fd, F_GET_SEALS);

	if (seals != SEALS_SENT)
		return -EPERM;
	if (fstat(fd, &st) != 0)
		return -errno;
	if (st.st_size <= 0 || st.st_size % KEY_SIZE != 0 ||
		st.st_size / KEY_SIZE > SECRET_KEYS_MAX)
		return -EMSGSIZE;
	return st.st_size / KEY_SIZE;
}

struct secret_box *secret_open(int fd, uint64_t token, int *error)
{
	struct secret_box *box;
	int64_t count = check(fd);

	if (count < 0) {
		*error = (int)count;
		goto err_close;
	}
	box = calloc(1, sizeof(*box) + (size_t)(count + 7) / 8);
	if (box == NULL) {
		*error = -ENOMEM;
		goto err_close;
	}
	*box = (struct secret_box){.token = token,
		.count = (uint32_t)count,
		.left = (uint32_t)count,
		.bytes = (size_t)count * KEY_SIZE,
		.fd = fd};
	box->keys = mmap(NULL, box->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (box->keys == MAP_FAILED) {
		*error = -errno;
		goto err_free;
	}
	if (fcntl(fd, F_ADD_SEALS, SEALS_RECEIVED) != 0) {
		*error = -errno;
		goto err_unmap;
	}
	/* Best effort beyond what the process does for all of its memory. */
	(void)mlock(box->keys, box->bytes);
	(void)madvise(box->keys, box->bytes, MADV_DONTDUMP);
	return box;
err_unmap:
	munmap(box->keys, box->bytes);
err_free:
	free(box);
err_close:
	close(fd);
	return NULL;
}

uint64_t secret_token(const struct secret_box *box)
{
	return box->token;
}

uint32_t secret_count(const struct secret_box *box)
{
	return box->count;
}

bool secret_present(const struct secret_box *box, uint32_t index)
{
	return index < box->count && (box->taken[index / 8] & (1U << index % 8)) == 0;
}

int secret_take(struct secret_box *box, uint32_t index, uint8_t out[KEY_SIZE])
{
	if (!secret_present(box, index)) {
		sodium_memzero(out, KEY_SIZE);
		return -ENOENT;
	}
	memcpy(out, box->keys[index].bytes, KEY_SIZE);
	key_wipe(&box->keys[index]);
	box->taken[index / 8] |= (uint8_t)(1U << index % 8);
	box->left--;
	return 0;
}

bool secret_is_empty(const struct secret_box *box)
{
	return box->left == 0;
}

void secret_drop(struct secret_box **box)
{
	struct secret_box *b = *box;

	if (b == NULL)
		return;
	sodium_memzero(b->keys, b->bytes);
	munmap(b->keys, b->bytes);
	close(b->fd);
	free(b);
	*box = NULL;
}
