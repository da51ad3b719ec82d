/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The configuration protocol that all userspace implementations of WireGuard speak on
 * <directory>/<interface>.sock (wireguard.com/xplatform), so that `wg show`, `wg showconf`,
 * `wg set` and `wg syncconf` work on the running gateway.
 *
 * What `wg` changes takes the way of every configuration: model, compilation, transaction. It may
 * add, change and remove peers of its own; these are of origin api and survive restarts. What the
 * configuration file says, it may say again, but not change: that is answered with EPERM, and the
 * log says where to change it.
 *
 * All on the loop's thread.
 */
#pragma once

#include "control/program/program.h"

struct event_base;
struct uapi;

struct uapi_options {
	struct event_base *base;
	struct program *program;
	const char *dir; /* made if it is not there; mode 0700 */
	const char *interface;
	const char *state_dir; /* where preshared keys lie */
};

/* Listens; the socket has mode 0600, and only root and our own user are heard. Options are copied.
 * NULL and *error. */
struct uapi *uapi_create(const struct uapi_options *options, int *error)
	__attribute__((warn_unused_result));

/* After the program was destroyed (no answer is under way then). Closes all, removes the socket;
 * sets *uapi to NULL. */
void uapi_destroy(struct uapi **uapi);
