/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From a file to a checked model: read, tree (tree.c), values (sections.c, read.c), relations
 * (control/model). Each stage goes on after errors as far as its input can be trusted, and all
 * findings end in one report. The model exists for the caller only if there was no error at all.
 */
#include "control/conf/conf_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_BYTES_MAX = (256 << 20) + 1 };

/* An object is pointed at by its name, a value by itself. */
static struct diag_mark mark_of(const struct conf_node *node)
{
	if (node->key != NULL && node->kind != CONF_SCALAR)
		return node->key_mark;
	return node->mark;
}

/* Gives a finding of the model its place: the node at its path, or the nearest one above it. */
static void report_model(void *context, enum diag_code code, const char *path, const char *message,
	const char *hint, const char *see)
{
	struct conf_reader *r = context;
	const struct conf_node *node = conf_tree_find(r->root, path);

	if (see != NULL) {
		const struct conf_node *other = conf_tree_find(r->root, see);

		hint = pool_printf(r->pool, "%.*s (line %u)?", (int)strcspn(hint, "?"), hint,
			mark_of(other).line);
	}
	diag_add(r->diag, code, mark_of(node), path, hint, "%s", message);
}

struct model *conf_parse(
	const char *file, const char *text, size_t size, const char *state_dir, struct diag **diag)
{
	struct pool *pool = pool_create();
	struct model *model = model_create();
	struct conf_reader reader = {
		.pool = model->pool,
		.model = model,
		.diag = diag_create(file, text, size),
		.state_dir = state_dir,
	};
	struct model_reporter reporter = {.report = report_model, .context = &reader};

	*diag = reader.diag;
	reader.root = conf_tree_read(pool, text, size, reader.diag);
	if (reader.root != NULL) {
		conf_read_root(&reader, reader.root);
		/* Its own findings are counted by diag as well. */
		if (!model_check(model, &reporter) || diag_errors(reader.diag) > 0)
			model_destroy(&model);
	} else {
		model_destroy(&model);
	}
	conf_tree_release(reader.root);
	pool_destroy(&pool);
	return model;
}

/* The whole file, or NULL and *error. */
static char *read_file(const char *file, size_t *size, int *error)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC);
	struct stat st;
	char *text = NULL;
	ssize_t n = 0;

	*size = 0;
	if (fd < 0 || fstat(fd, &st) < 0)
		goto err;
	if (!S_ISREG(st.st_mode)) {
		errno = EINVAL;
		goto err;
	}
	if (st.st_size > FILE_BYTES_MAX)
		st.st_size = FILE_BYTES_MAX; /* one byte more than conf_tree_read() takes */
	text = malloc((size_t)st.st_size + 1);
	if (text == NULL)
		goto err;
	while (*size < (size_t)st.st_size) {
		n = read(fd, text + *size, (size_t)st.st_size - *size);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		*size += (size_t)n;
	}
	if (n < 0)
		goto err;
	close(fd);
	return text;
err:
	*error = -errno;
	free(text);
	if (fd >= 0)
		close(fd);
	return NULL;
}

struct model *conf_load(const char *file, const char *state_dir, struct diag **diag)
{
	struct diag_mark nowhere = {0};
	struct model *model;
	size_t size;
	char *text;
	int error;

	text = read_file(file, &size, &error);
	if (text == NULL) {
		*diag = diag_create(file, "", 0);
		diag_add(*diag, DIAG_CONFIG_FILE, nowhere, NULL, NULL, "cannot be read: %s",
			error == -EINVAL ? "not a regular file" : strerror(-error));
		return NULL;
	}
	model = conf_parse(file, text, size, state_dir, diag);
	free(text);
	return model;
}
