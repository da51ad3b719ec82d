/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The files of a configuration as bytes: the main one, and beside it conf.d/ and peers.d/, each
 * folder in the order of its names. What is checked, applied and kept in the history is this one
 * reading of them.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control/conf/conf_priv.h"

enum {
	FILE_BYTES_MAX = (256 << 20) + 1, /* one byte more than conf_tree_read() takes */
	NEW_MODE = 0600,
};

/* The whole file, in the pool. 0 or a negative errno; -EINVAL if it is not a regular file. */
static int read_text(struct pool *pool, const char *path, char **text, size_t *size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), rc = 0;
	struct stat st;
	size_t wanted;
	ssize_t n = 1;

	*size = 0;
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		rc = S_ISREG(st.st_mode) ? -errno : -EINVAL;
		goto out;
	}
	wanted = st.st_size > FILE_BYTES_MAX ? FILE_BYTES_MAX : (size_t)st.st_size;
	*text = pool_alloc(pool, wanted + 1);
	while (*size < wanted && n != 0) {
		n = read(fd, *text + *size, wanted - *size);
		if (n < 0 && errno != EINTR) {
			rc = -errno;
			goto out;
		}
		*size += n > 0 ? (size_t)n : 0;
	}
out:
	close(fd);
	return rc;
}

static void report(struct diag *diag, const char *path, int error)
{
	struct diag_mark nowhere = {.source = diag_add_source(diag, path, "", 0)};

	diag_add(diag, DIAG_CONFIG_FILE, nowhere, NULL, NULL, "cannot be read: %s",
		error == -EINVAL ? "not a regular file" : strerror(-error));
}

static const char *in_folder(struct conf_files *files, const char *name)
{
	return files->folder[0] == '\0' ? name
					: pool_printf(files->pool, "%s/%s", files->folder, name);
}

void conf_files_add(struct conf_files *files, const char *name, const char *text, size_t size)
{
	files->items = pool_grow(files->pool, files->items, files->n, sizeof(*files->items));
	files->items[files->n++] = (struct conf_file){
		.name = pool_strdup(files->pool, name),
		.path = in_folder(files, pool_strdup(files->pool, name)),
		.text = pool_strndup(files->pool, size == 0 ? "" : text, size),
		.size = size,
	};
}

static int add_read(struct conf_files *files, const char *name)
{
	char *text = NULL;
	size_t size;
	const char *path = in_folder(files, name);
	int rc = read_text(files->pool, path, &text, &size);

	if (rc < 0)
		return rc;
	files->items = pool_grow(files->pool, files->items, files->n, sizeof(*files->items));
	files->items[files->n++] = (struct conf_file){name, path, text, size};
	return 0;
}

static int is_fragment(const struct dirent *entry)
{
	size_t length = strlen(entry->d_name);

	return entry->d_name[0] != '.' && length > 5 &&
	       strcmp(entry->d_name + length - 5, ".yaml") == 0;
}

static void add_folder(struct conf_files *files, const char *folder, struct diag *diag)
{
	const char *path = in_folder(files, folder);
	struct dirent **entries;
	int n = scandir(path, &entries, is_fragment, alphasort), rc;

	if (n < 0) {
		if (errno != ENOENT)
			report(diag, path, -errno);
		return;
	}
	for (int i = 0; i < n; i++) {
		const char *name = pool_printf(files->pool, "%s/%s", folder, entries[i]->d_name);

		rc = add_read(files, name);
		if (rc < 0)
			report(diag, in_folder(files, name), rc);
		free(entries[i]);
	}
	free(entries);
}

struct conf_files *conf_files_create(const char *main_file)
{
	struct pool *pool = pool_create();
	struct conf_files *files = pool_alloc(pool, sizeof(*files));
	const char *slash = strrchr(main_file, '/');

	files->pool = pool;
	files->main_file = pool_strdup(pool, main_file);
	files->folder = slash == NULL ? ""
			: slash == main_file
				? "/."
				: pool_strndup(pool, main_file, (size_t)(slash - main_file));
	return files;
}

struct conf_files *conf_files_read(const char *main_file, struct diag **diag)
{
	struct conf_files *files = conf_files_create(main_file);
	const char *slash = strrchr(main_file, '/');
	struct diag_mark nowhere = {0};
	int rc = add_read(files, pool_strdup(files->pool, slash == NULL ? main_file : slash + 1));

	if (rc < 0) {
		*diag = diag_create(main_file, "", 0);
		diag_add(*diag, DIAG_CONFIG_FILE, nowhere, NULL, NULL, "cannot be read: %s",
			rc == -EINVAL ? "not a regular file" : strerror(-rc));
		conf_files_destroy(&files);
		return NULL;
	}
	files->items[0].path = files->main_file;
	*diag = diag_create(main_file, files->items[0].text, files->items[0].size);
	add_folder(files, CONF_FRAGMENTS_DIR, *diag);
	add_folder(files, CONF_PEERS_DIR, *diag);
	if (diag_errors(*diag) > 0)
		conf_files_destroy(&files);
	return files;
}

void conf_files_destroy(struct conf_files **files)
{
	struct pool *pool;

	if (*files == NULL)
		return;
	pool = (*files)->pool; /* they lie in it themselves */
	pool_destroy(&pool);
	*files = NULL;
}

const struct conf_file *conf_files_find(const struct conf_files *files, const char *name)
{
	for (size_t i = 0; i < files->n; i++) {
		if (strcmp(files->items[i].name, name) == 0)
			return &files->items[i];
	}
	return NULL;
}

static int write_all(int fd, const char *text, size_t size)
{
	while (size > 0) {
		ssize_t n = write(fd, text, size);

		if (n < 0 && errno != EINTR)
			return -errno;
		text += n > 0 ? n : 0;
		size -= n > 0 ? (size_t)n : 0;
	}
	return 0;
}

/* The entry of a renamed or removed file must survive a power cut as its bytes do. */
static void sync_folder_of(struct pool *pool, const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *folder =
		slash == NULL ? "." : pool_strndup(pool, path, (size_t)(slash - path) + 1);
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return;
	fsync(fd);
	close(fd);
}

static int write_text(struct pool *pool, const char *path, const char *text, size_t size)
{
	/* Not *.yaml: a reader must not take a half of it for a file of conf.d. */
	const char *temporary = pool_printf(pool, "%s.new", path);
	struct stat st;
	int fd, rc;

	fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, NEW_MODE);
	if (fd < 0)
		return -errno;
	/* Rights and owner are those of the file that it replaces. */
	rc = stat(path, &st) == 0 &&
			     (fchmod(fd, st.st_mode & 07777) < 0 ||
				     (fchown(fd, st.st_uid, st.st_gid) < 0 && geteuid() == 0))
		     ? -errno
		     : write_all(fd, text, size);
	if (rc == 0 && fsync(fd) < 0)
		rc = -errno;
	close(fd);
	if (rc == 0 && rename(temporary, path) < 0)
		rc = -errno;
	if (rc < 0)
		unlink(temporary);
	else
		sync_folder_of(pool, path);
	return rc;
}

int conf_file_write(const struct conf_files *files, const char *name, const char *text, size_t size)
{
	struct pool *pool = pool_create();
	const char *slash = strchr(name, '/');
	const char *path =
		files->folder[0] == '\0' ? name : pool_printf(pool, "%s/%s", files->folder, name);
	int rc = 0;

	if (slash != NULL) {
		const char *folder = pool_strndup(pool, path, (size_t)(strrchr(path, '/') - path));

		if (mkdir(folder, 0700) < 0 && errno != EEXIST)
			rc = -errno;
	}
	if (rc == 0)
		rc = write_text(pool, path, text, size);
	pool_destroy(&pool);
	return rc;
}

int conf_file_remove(const struct conf_files *files, const char *name)
{
	struct pool *pool = pool_create();
	const char *path =
		files->folder[0] == '\0' ? name : pool_printf(pool, "%s/%s", files->folder, name);
	int rc = unlink(path) < 0 ? -errno : 0;

	if (rc == 0)
		sync_folder_of(pool, path);
	pool_destroy(&pool);
	return rc;
}
