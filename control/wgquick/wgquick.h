/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A wg-quick file of a server (wg0.conf) as a configuration: its interface, peers, routes behind
 * peers, and one policy that lets them reach one another, as the file did. Scripts are not taken
 * over but listed. Keys go into `secrets`, never into the text. One thread.
 */
#pragma once

#include <stdio.h>

#include "common/base/key.h"
#include "common/base/pool.h"
#include "control/diag/diag.h"
#include "control/model/model.h"

/* A key of the file, and the name of the file in the state directory that is to hold it. */
struct wgquick_secret {
	const char *file;
	struct key key;
};

struct wgquick {
	struct pool *pool;
	struct model_wireguard wireguard;
	struct model_ifaddrs addresses;
	struct model_peer **peers; /* addresses and also_from (networks behind them) */
	size_t n_peers;
	const char **notes; /* lines that were not taken over, "14: PostUp = ..." */
	size_t n_notes;
	struct wgquick_secret *secrets; /* wiped by wgquick_destroy() */
	size_t n_secrets;
};

/* Stars in place of secret values, so that findings can show their lines. */
void wgquick_redact(char *text, size_t size);

/* NULL if there is any error; findings are in diag, which was made for the same text. */
struct wgquick *wgquick_parse(const char *text, size_t size, struct diag *diag)
	__attribute__((warn_unused_result));

/* The YAML file, to be completed by ports. */
void wgquick_write_yaml(FILE *out, const struct wgquick *file, const char *name);

void wgquick_destroy(struct wgquick **file);
