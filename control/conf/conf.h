/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The configuration file: strict YAML, read whole, checked whole, or refused with everything that
 * is wrong with it. Nothing here changes a running gateway. One thread at a time.
 */
#pragma once

#include <jansson.h>
#include <stddef.h>

#include "common/base/key.h"
#include "control/diag/diag.h"
#include "control/model/model.h"

/*
 * Text to a checked model, NULL if there is any error. *diag is always set and owned by the
 * caller, with the warnings too. `file` is what findings call the text. Relative names of key
 * files are taken from `state_dir`; NULL = key files are not looked at.
 */
struct model *conf_parse(
	const char *file, const char *text, size_t size, const char *state_dir, struct diag **diag);

/* As conf_parse(), from a file. */
struct model *conf_load(const char *file, const char *state_dir, struct diag **diag);

/*
 * One key in base64 on the first line of a file. A secret one must not be readable by others.
 * 0; -ENOENT and other errors of open(2); -EACCES for a secret that others can read; -EINVAL if it
 * is not a key or not a regular file. The caller wipes *key.
 */
int conf_key_file_read(const char *state_dir, const char *name, bool secret, struct key *key)
	__attribute__((warn_unused_result));

/* Reads the gateway's private key, or makes one with mode 0600 if the file is absent. */
int conf_key_file_obtain(const char *state_dir, const char *name, struct key *key)
	__attribute__((warn_unused_result));

/* Writes a key with mode 0600, whole or not at all. 0 or a negative errno. */
int conf_key_file_write(const char *state_dir, const char *name, const struct key *key)
	__attribute__((warn_unused_result));

/* The JSON Schema (2020-12) of the file, made of the tables that read it; for editors. A new
 * reference. */
json_t *conf_schema(void);
