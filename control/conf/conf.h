/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The configuration file: strict YAML, read whole, checked whole, or refused with everything that
 * is wrong with it. Nothing here changes a running gateway. One thread at a time.
 */
#pragma once

#include <jansson.h>
#include <stddef.h>

#include "common/base/key.h"
#include "common/base/pool.h"
#include "control/diag/diag.h"
#include "control/model/model.h"

/*
 * Text to a checked model, NULL if there is any error. *diag is always set and owned by the
 * caller, with the warnings too. `file` is what findings call the text. Relative names of key
 * files are taken from `state_dir`; NULL = key files are not looked at.
 */
struct model *conf_parse(
	const char *file, const char *text, size_t size, const char *state_dir, struct diag **diag);

/* As conf_parse(), from a file and the conf.d/ and peers.d/ beside it. */
struct model *conf_load(const char *file, const char *state_dir, struct diag **diag);

#define CONF_FRAGMENTS_DIR "conf.d"
#define CONF_PEERS_DIR     "peers.d"

/* One file of a configuration. */
struct conf_file {
	const char *name; /* from the main file's folder on: "conf.d/10-office.yaml" */
	const char *path; /* as findings call it */
	const char *text; /* NUL-terminated after `size` bytes */
	size_t size;
};

/* All of them, the main one first; lies in its pool. */
struct conf_files {
	struct pool *pool;
	const char *main_file;
	const char *folder; /* "" = the working directory */
	struct conf_file *items;
	size_t n;
};

/* No file yet. Never NULL. */
struct conf_files *conf_files_create(const char *main_file);

/* Copies name and text. */
void conf_files_add(struct conf_files *files, const char *name, const char *text, size_t size);

/* Reads them; NULL if one cannot be read. *diag is always set, and owned by the caller. */
struct conf_files *conf_files_read(const char *main_file, struct diag **diag);
void conf_files_destroy(struct conf_files **files);

const struct conf_file *conf_files_find(const struct conf_files *files, const char *name);

/*
 * Files to a checked model, NULL if there is any error. Findings go to diag, which is that of
 * conf_files_read(), or made with the first file. *json (may be NULL) is set to what the files say
 * together, a new reference, or NULL: for comparisons.
 */
struct model *conf_files_parse(
	const struct conf_files *files, const char *state_dir, struct diag *diag, json_t **json);

/*
 * Where each value comes from: a list of {path, value, origin}, origin being "FILE:LINE" or
 * "default", in the order of the schema; a value that is worked out is "automatic". NULL if a file
 * is no YAML (findings in diag). Values need not be right. A new reference.
 */
json_t *conf_origins(const struct conf_files *files, struct diag *diag)
	__attribute__((warn_unused_result));

/* Writes or removes one of the files on disk, whole or not at all; folders are made. 0 or -errno.
 */
int conf_file_write(const struct conf_files *files, const char *name, const char *text, size_t size)
	__attribute__((warn_unused_result));
int conf_file_remove(const struct conf_files *files, const char *name)
	__attribute__((warn_unused_result));

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

/* True for 1 to max letters, digits, '-', '_', the first a letter or digit. */
bool conf_is_name(const char *text, size_t max);

/* The JSON Schema (2020-12) of the file, made of the tables that read it; for editors. A new
 * reference. */
json_t *conf_schema(void);
