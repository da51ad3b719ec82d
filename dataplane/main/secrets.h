/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The boxes of keys that the controller has sent and no transaction has used up. Main thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/key.h"

struct secrets;

/* At most `max` boxes, and SECRET_KEYS_MAX keys in all. NULL if out of memory. */
struct secrets *secrets_create(unsigned max) __attribute__((warn_unused_result));
void secrets_destroy(struct secrets **secrets);

/* Takes the descriptor over, also on failure. 0, -EINVAL (token 0), -EEXIST, -ENOSPC, or what
 * secret_open() says. */
int secrets_add(struct secrets *secrets, uint64_t token, int fd)
	__attribute__((warn_unused_result));

bool secrets_present(const struct secrets *secrets, uint64_t token, uint32_t index);

/* 0, or -ENOENT with `out` zeroed. A box goes when its last key is taken. */
int secrets_take(struct secrets *secrets, uint64_t token, uint32_t index, uint8_t out[KEY_SIZE])
	__attribute__((warn_unused_result));

/* Marks the boxes that are here now: the transaction that begins to be applied owns them. */
void secrets_mark(struct secrets *secrets);

/* Wipes and drops the marked ones, or all. */
void secrets_drop_marked(struct secrets *secrets);
void secrets_drop_all(struct secrets *secrets);
