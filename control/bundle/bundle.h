/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A tar.gz for whoever helps: texts and JSON, from all of which keys are taken out, and on request
 * addresses and names, each replaced by the same word wherever it stands. One thread.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

enum bundle_anonymity {
	BUNDLE_NAMED,   /* only keys are taken out */
	BUNDLE_DEFAULT, /* public addresses and names of peers and hosts, too; comments */
	BUNDLE_STRICT,  /* all addresses and names */
};

struct bundle;

/* A new file, for the owner only; one that exists is refused. NULL and *error. */
struct bundle *bundle_create(const char *path, enum bundle_anonymity anonymity, int *error)
	__attribute__((warn_unused_result));

/* A name that is to be replaced from here on: by `kind`-1, -2 ... Only where the level says so:
 * `personal` at BUNDLE_DEFAULT, too. */
void bundle_hide(struct bundle *bundle, const char *kind, const char *name, bool personal);

/* Adds a file after taking out what must not be in it. Of JSON, only values are touched. 0 or
 * -errno. */
int bundle_add_text(struct bundle *bundle, const char *name, const char *text)
	__attribute__((warn_unused_result));
int bundle_add_json(struct bundle *bundle, const char *name, const json_t *json)
	__attribute__((warn_unused_result));

/* A configuration: comments and descriptions go as well, unless all is named. */
int bundle_add_yaml(struct bundle *bundle, const char *name, const char *text)
	__attribute__((warn_unused_result));

/* Kernel, processor, memory, hugepages, modules and network cards below a root ("" = this
 * machine). */
int bundle_add_system(struct bundle *bundle, const char *root) __attribute__((warn_unused_result));

/* Completes the file: 0 or -errno. Sets *bundle to NULL in any case. */
int bundle_finish(struct bundle **bundle) __attribute__((warn_unused_result));
