/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/bundle/bundle.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "control/bundle/scrub.h"

struct bundle {
	struct archive *archive;
	struct scrub *scrub;
	int fd;
};

/* archive_errno() is an errno, or 0 for what libarchive itself finds wrong. */
static int failure(struct archive *archive)
{
	int error = archive_errno(archive);

	return error > 0 ? -error : -EIO;
}

struct bundle *bundle_create(const char *path, enum bundle_anonymity anonymity, int *error)
{
	struct bundle *bundle = calloc(1, sizeof(*bundle));

	*error = -ENOMEM;
	if (bundle == NULL)
		return NULL;
	bundle->scrub = scrub_create(anonymity);
	bundle->fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (bundle->fd < 0) {
		*error = -errno;
		goto err_scrub;
	}
	bundle->archive = archive_write_new();
	if (bundle->archive == NULL)
		goto err_file;
	if (archive_write_add_filter_gzip(bundle->archive) != ARCHIVE_OK ||
		archive_write_set_format_pax_restricted(bundle->archive) != ARCHIVE_OK ||
		archive_write_open_fd(bundle->archive, bundle->fd) != ARCHIVE_OK) {
		*error = failure(bundle->archive);
		goto err_archive;
	}
	return bundle;
err_archive:
	archive_write_free(bundle->archive);
err_file:
	close(bundle->fd);
	unlink(path);
err_scrub:
	scrub_destroy(&bundle->scrub);
	free(bundle);
	return NULL;
}

void bundle_hide(struct bundle *bundle, const char *kind, const char *name, bool personal)
{
	scrub_hide(bundle->scrub, kind, name, personal);
}

/* As it is. */
static int add(struct bundle *bundle, const char *name, const char *text)
{
	struct archive_entry *entry = archive_entry_new();
	size_t size = strlen(text);
	char path[256];
	int rc = 0;

	if (entry == NULL)
		return -ENOMEM;
	snprintf(path, sizeof(path), "sallyport-bundle/%s", name);
	archive_entry_set_pathname(entry, path);
	archive_entry_set_filetype(entry, AE_IFREG);
	archive_entry_set_perm(entry, 0600);
	archive_entry_set_size(entry, (la_int64_t)size);
	archive_entry_set_mtime(entry, time(NULL), 0);
	if (archive_write_header(bundle->archive, entry) != ARCHIVE_OK ||
		archive_write_data(bundle->archive, text, size) != (la_ssize_t)size)
		rc = failure(bundle->archive);
	archive_entry_free(entry);
	return rc;
}

int bundle_add_text(struct bundle *bundle, const char *name, const char *text)
{
	char *clean = scrub_text(bundle->scrub, text);
	int rc = clean == NULL ? -ENOMEM : add(bundle, name, clean);

	free(clean);
	return rc;
}

int bundle_add_yaml(struct bundle *bundle, const char *name, const char *text)
{
	char *bare = scrub_remarks(bundle->scrub, text);
	int rc = bare == NULL ? -ENOMEM : bundle_add_text(bundle, name, bare);

	free(bare);
	return rc;
}

int bundle_add_json(struct bundle *bundle, const char *name, const json_t *json)
{
	json_t *clean = scrub_json(bundle->scrub, json);
	char *text = json_dumps(clean, JSON_INDENT(2));
	int rc = text == NULL ? -ENOMEM : add(bundle, name, text);

	free(text);
	json_decref(clean);
	return rc;
}

int bundle_finish(struct bundle **bundle)
{
	struct bundle *b = *bundle;
	int rc = archive_write_close(b->archive) == ARCHIVE_OK ? 0 : failure(b->archive);

	archive_write_free(b->archive);
	if (close(b->fd) < 0 && rc == 0)
		rc = -errno;
	scrub_destroy(&b->scrub);
	free(b);
	*bundle = NULL;
	return rc;
}
