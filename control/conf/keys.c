/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Keys of WireGuard and where they stand: a public one in the file, any in a file of its own, a
 * secret one by reference only. What is reported never repeats what may be the secret.
 */
#include "control/conf/conf_priv.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

CONF_READER(key)
{
	const char *text = conf_scalar(r, node, "a key");

	if (text != NULL && key_parse(text, out) < 0)
		conf_report(r, DIAG_BAD_KEY, node, NULL,
			"not a WireGuard key of 44 characters of base64");
}

/* What stands there is never shown: it may be the secret itself. */
CONF_READER(secret)
{
	const char *text = conf_scalar(r, node, "a reference to a secret");

	if (text == NULL)
		return;
	if (conf_is_secret_ref(text) && strlen(text) <= (size_t)field->max)
		*(const char **)out = pool_strdup(r->pool, text);
	else
		conf_report(r, DIAG_BAD_SECRET, node, NULL,
			"write ${file:/path} or ${credential:name}: a secret never stands in the "
			"file itself");
}

/* Whatever is said of it must not repeat it. */
static bool is_key_itself(const struct conf_node *node)
{
	struct key key;
	bool is_key = node->kind == CONF_SCALAR && key_parse(node->text, &key) == 0;

	key_wipe(&key);
	return is_key;
}

CONF_READER(key_file)
{
	if (is_key_itself(node))
		conf_report(r, DIAG_BAD_SECRET, node, NULL,
			"this is a key: write it into a file, and the name of the file here");
	else
		conf_read_text(r, node, field, out);
}

void conf_take_key_file(struct conf_reader *r, const struct conf_node *node, const char *key,
	bool secret, struct key *out)
{
	const struct conf_node *child = conf_tree_get(node, key);
	char path[PATH_MAX];
	int rc;

	if (child == NULL || child->kind != CONF_SCALAR || r->state_dir == NULL ||
		is_key_itself(child))
		return;
	/* Refused by its reader: what it says may be the secret. */
	if (strstr(key, "_file") == NULL && !conf_is_secret_ref(child->text))
		return;
	rc = conf_key_file_read(r->state_dir, child->text, secret, out);
	if (rc == -EACCES && secret && conf_key_file_path(r->state_dir, child->text, path) == 0 &&
		access(path, R_OK) == 0)
		conf_report(r, DIAG_KEY_FILE_MODE, child,
			pool_printf(r->pool, "type: chmod 0600 %s", path),
			"secret key file '%s' must be readable by its owner only", child->text);
	else if (rc == -ENOKEY)
		conf_report(r, DIAG_KEY_FILE, child, "systemd sets it for LoadCredential=",
			"'%s': CREDENTIALS_DIRECTORY is not set", child->text);
	else if (rc == -EINVAL)
		conf_report(
			r, DIAG_KEY_FILE, child, NULL, "'%s' does not hold one key", child->text);
	else if (rc < 0)
		conf_report(r, DIAG_KEY_FILE, child, NULL, "key file '%s': %s", child->text,
			strerror(-rc));
}

void conf_check_one_secret(
	struct conf_reader *r, const struct conf_node *node, const char *key, const char *key_file)
{
	const struct conf_node *second = conf_tree_get(node, key_file);

	if (second != NULL && conf_tree_get(node, key) != NULL)
		diag_add(r->diag, DIAG_ONE_OF, second->key_mark, conf_tree_path(r->pool, second),
			NULL, "only one of '%s' and '%s' can be given", key, key_file);
}
