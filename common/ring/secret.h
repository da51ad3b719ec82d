/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Keys cross the process boundary in a memfd that is read once, never in a ring.
 *
 * Both "nobody may change it any more" and "the reader wipes it" must hold, but F_SEAL_WRITE also
 * forbids the wiping (and cannot be set while a writable mapping exists). So the sealing is split:
 *
 * 1. The sender fills the memfd with write(2), keeps no mapping, and seals SHRINK and GROW only.
 * 2. The receiver checks kind, seals and size, maps it writable, and then seals FUTURE_WRITE and
 *    SEAL: from here on no write(2), no fallocate(2) and no new writable mapping is possible for
 *    anybody, while the receiver's own mapping still is.
 * 3. Each key is copied out once and wiped in place at that moment; the rest is wiped when the
 *    box is dropped; then the mapping and the last descriptor go.
 *
 * A sender that kept a writable mapping can only spoil keys that it chose itself: a key is copied
 * before it is used, and the size cannot change, so no access can fault.
 *
 * One thread per box. The mapping is locked and kept out of core dumps.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/key.h"

enum {
	SECRET_KEYS_MAX = 1 << 21, /* keys in one memfd: a private and a preshared key per peer */
};

struct secret_box; /* the receiver's end of one memfd */

/* Sender: a memfd with n keys, ready to be sent; the caller closes it. Descriptor or -errno. */
int secret_seal(const struct key *keys, uint32_t n) __attribute__((warn_unused_result));

/*
 * Receiver: takes the descriptor over, also on failure. NULL and *error: -EPERM (wrong kind or
 * seals), -EMSGSIZE (not 1..SECRET_KEYS_MAX keys), -ENOMEM ...
 */
struct secret_box *secret_open(int fd, uint64_t token, int *error)
	__attribute__((warn_unused_result));

uint64_t secret_token(const struct secret_box *box);

/* Keys in it, used ones included. */
uint32_t secret_count(const struct secret_box *box);

/* True while the key at index can be taken. */
bool secret_present(const struct secret_box *box, uint32_t index);

/* Copies the key out and wipes it in the box. 0, or -ENOENT: no such index, or already taken. */
int secret_take(struct secret_box *box, uint32_t index, uint8_t out[KEY_SIZE])
	__attribute__((warn_unused_result));

/* True once every key was taken. */
bool secret_is_empty(const struct secret_box *box);

/* Wipes what is left, unmaps, closes, frees; sets *box to NULL. */
void secret_drop(struct secret_box **box);
