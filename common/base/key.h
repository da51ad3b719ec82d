/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * 32-byte Curve25519 and preshared keys and their base64 text (44 characters, as `wg` prints
 * them). Secrets: callers wipe with key_wipe() at their one exit and never log them.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum {
	KEY_SIZE = 32,
	KEY_TEXT_MAX = 45, /* 44 characters and the terminator */
};

struct key {
	uint8_t bytes[KEY_SIZE];
};

/* 0, or -EINVAL for anything but 44 characters of canonical base64; *out is then untouched. */
int key_parse(const char *text, struct key *out) __attribute__((warn_unused_result));

const char *key_format(const struct key *key, char text[KEY_TEXT_MAX]);

/* In constant time. */
bool key_equal(const struct key *a, const struct key *b);
bool key_is_zero(const struct key *key);

/* A clamped private key from the system's randomness. */
void key_generate(struct key *private_key);

/* 0, or -EINVAL if the result would be the all-zero point. */
int key_public(const struct key *private_key, struct key *public_key)
	__attribute__((warn_unused_result));

void key_wipe(struct key *key);
