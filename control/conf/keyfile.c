/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/conf/conf_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_BYTES_MAX = 256 }; /* a key, a newline, and what an editor may add */

#define FILE_REF       "${file:"
#define CREDENTIAL_REF "${credential:"

/* The text between the colon and the closing brace; 0 if it is no reference of this kind. */
static size_t ref_length(const char *text, const char *kind)
{
	size_t length = strlen(text), before = strlen(kind);

	if (length < before + 2 || strncmp(text, kind, before) != 0 || text[length - 1] != '}' ||
		strchr(text + before, '}') != text + length - 1)
		return 0;
	return length - before - 1;
}

bool conf_is_secret_ref(const char *text)
{
	const char *name = text + strlen(CREDENTIAL_REF);

	if (ref_length(text, FILE_REF) > 0)
		return text[strlen(FILE_REF)] == '/';
	return ref_length(text, CREDENTIAL_REF) > 0 && strchr(name, '/') == NULL && name[0] != '.';
}

int conf_key_file_path(const char *state_dir, const char *name, char path[PATH_MAX])
{
	size_t file = ref_length(name, FILE_REF), credential = ref_length(name, CREDENTIAL_REF);
	const char *folder = getenv("CREDENTIALS_DIRECTORY");
	int n;

	if (file > 0) {
		n = snprintf(path, PATH_MAX, "%.*s", (int)file, name + strlen(FILE_REF));
	} else if (credential > 0) {
		/* systemd.exec(5), LoadCredential= */
		if (folder == NULL)
			return -ENOKEY;
		n = snprintf(path, PATH_MAX, "%s/%.*s", folder, (int)credential,
			name + strlen(CREDENTIAL_REF));
	} else if (name[0] == '/') {
		n = snprintf(path, PATH_MAX, "%s", name);
	} else {
		n = snprintf(path, PATH_MAX, "%s/%s", state_dir, name);
	}
	return n < 0 || n >= PATH_MAX ? -ENAMETOOLONG : 0;
}

bool conf_key_file_exists(const char *state_dir, const char *name)
{
	char path[PATH_MAX];

	return conf_key_file_path(state_dir, name, path) == 0 && access(path, F_OK) == 0;
}

static int check_file(int fd, bool secret)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	/* The group may read: a service's own group is a common arrangement; the world may not. */
	if (secret && (st.st_mode & (S_IRWXO | S_IWGRP)) != 0)
		return -EACCES;
	return 0;
}

int conf_key_file_read(const char *state_dir, const char *name, bool secret, struct key *key)
{
	char path[PATH_MAX], text[FILE_BYTES_MAX + 1];
	ssize_t n;
	int fd, rc;

	rc = conf_key_file_path(state_dir, name, path);
	if (rc < 0)
		return rc;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	rc = check_file(fd, secret);
	if (rc < 0)
		goto out;
	n = read(fd, text, FILE_BYTES_MAX);
	if (n < 0) {
		rc = -errno;
		goto out;
	}
	text[n] = '\0';
	text[strcspn(text, "\r\n")] = '\0';
	rc = key_parse(text, key);
out:
	sodium_memzero(text, sizeof(text));
	close(fd);
	return rc;
}

/* Written beside and renamed, so that a crash leaves no half of a key. */
static int write_key(const char *path, const struct key *key)
{
	char temporary[PATH_MAX + 8], text[KEY_TEXT_MAX];
	int fd, rc = 0;

	if (snprintf(temporary, sizeof(temporary), "%s.new", path) >= (int)sizeof(temporary))
		return -ENAMETOOLONG;
	fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	key_format(key, text);
	text[KEY_TEXT_MAX - 1] = '\n';
	if (fchmod(fd, 0600) < 0 || write(fd, text, sizeof(text)) != (ssize_t)sizeof(text) ||
		fsync(fd) < 0)
		rc = errno == 0 ? -EIO : -errno;
	close(fd);
	if (rc == 0 && rename(temporary, path) < 0)
		rc = -errno;
	if (rc < 0)
		unlink(temporary);
	sodium_memzero(text, sizeof(text));
	return rc;
}

int conf_key_file_obtain(const char *state_dir, const char *name, struct key *key)
{
	char path[PATH_MAX];
	int rc;

	rc = conf_key_file_read(state_dir, name, true, key);
	/* What a reference names is somebody else's to make. */
	if (rc != -ENOENT || conf_is_secret_ref(name))
		return rc;
	rc = conf_key_file_path(state_dir, name, path);
	if (rc < 0)
		return rc;
	key_generate(key);
	rc = write_key(path, key);
	if (rc < 0)
		key_wipe(key);
	return rc;
}

int conf_key_file_write(const char *state_dir, const char *name, const struct key *key)
{
	char path[PATH_MAX];
	int rc = conf_is_secret_ref(name) ? -EROFS : conf_key_file_path(state_dir, name, path);

	return rc < 0 ? rc : write_key(path, key);
}
