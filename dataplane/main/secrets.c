/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/main/secrets.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/ring/secret.h"

struct slot {
	struct secret_box *box;
	bool marked;
};

struct secrets {
	uint64_t keys; /* in all boxes */
	unsigned count;
	unsigned max;
	struct slot slots[];
};

static int find(const struct secrets *secrets, uint64_t token)
{
	for (unsigned i = 0; i < secrets->count; i++) {
		if (secret_token(secrets->slots[i].box) == token)
			return (int)i;
	}
	return -1;
}

static void drop(struct secrets *secrets, unsigned i)
{
	secrets->keys -= secret_count(secrets->slots[i].box);
	secret_drop(&secrets->slots[i].box);
	secrets->slots[i] = secrets->slots[--secrets->count];
}

struct secrets *secrets_create(unsigned max)
{
	struct secrets *secrets = calloc(1, sizeof(*secrets) + max * sizeof(struct slot));

	if (secrets != NULL)
		secrets->max = max;
	return secrets;
}

void secrets_destroy(struct secrets **secrets)
{
	if (*secrets == NULL)
		return;
	secrets_drop_all(*secrets);
	free(*secrets);
	*secrets = NULL;
}

int secrets_add(struct secrets *secrets, uint64_t token, int fd)
{
	struct secret_box *box;
	int rc = token == 0                       ? -EINVAL
		 : find(secrets, token) >= 0      ? -EEXIST
		 : secrets->count == secrets->max ? -ENOSPC
						  : 0;

	if (rc != 0) {
		close(fd);
		return rc;
	}
	box = secret_open(fd, token, &rc);
	if (box == NULL)
		return rc;
	if (secret_count(box) > SECRET_KEYS_MAX - secrets->keys) {
		secret_drop(&box);
		return -ENOSPC;
	}
	secrets->keys += secret_count(box);
	secrets->slots[secrets->count++] = (struct slot){.box = box};
	return 0;
}

bool secrets_present(const struct secrets *secrets, uint64_t token, uint32_t index)
{
	int i = find(secrets, token);

	return i >= 0 && secret_present(secrets->slots[i].box, index);
}

int secrets_take(struct secrets *secrets, uint64_t token, uint32_t index, uint8_t out[KEY_SIZE])
{
	int rc, i = find(secrets, token);

	if (i < 0) {
		memset(out, 0, KEY_SIZE);
		return -ENOENT;
	}
	rc = secret_take(secrets->slots[i].box, index, out);
	if (secret_is_empty(secrets->slots[i].box))
		drop(secrets, (unsigned)i);
	return rc;
}

void secrets_mark(struct secrets *secrets)
{
	for (unsigned i = 0; i < secrets->count; i++)
		secrets->slots[i].marked = true;
}

void secrets_drop_marked(struct secrets *secrets)
{
	for (unsigned i = secrets->count; i-- > 0;) {
		if (secrets->slots[i].marked)
			drop(secrets, i);
	}
}

void secrets_drop_all(struct secrets *secrets)
{
	secrets_mark(secrets);
	secrets_drop_marked(secrets);
}
