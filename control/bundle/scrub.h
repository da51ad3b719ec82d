/* SPDX-License-Identifier: BSD-3-Clause */
/* Takes keys, addresses and names out of texts: the same word each time for the same thing. */
#pragma once

#include "control/bundle/bundle.h"

struct scrub;

struct scrub *scrub_create(enum bundle_anonymity anonymity);
void scrub_destroy(struct scrub **scrub);
void scrub_hide(struct scrub *scrub, const char *kind, const char *name, bool personal);

/* malloc; NULL = out of memory. */
char *scrub_text(struct scrub *scrub, const char *text) __attribute__((warn_unused_result));

/* Without comments and descriptions, unless all is named; what is left is not scrubbed yet. */
char *scrub_remarks(struct scrub *scrub, const char *yaml) __attribute__((warn_unused_result));

/* A new reference; keys of objects stay. */
json_t *scrub_json(struct scrub *scrub, const json_t *json) __attribute__((warn_unused_result));
