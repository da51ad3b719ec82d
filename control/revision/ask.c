/* SPDX-License-Identifier: BSD-3-Clause */
/* The kinds of changes: which files each one means, and when it is not for now. */
#include "control/revision/revision_priv.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static bool on_trial(struct change *change)
{
	if (change->revision->trial.version == 0)
		return false;
	revision_refuse(change, -EBUSY,
		"a change is on trial: `sallyport confirm` keeps it, `sallyport rollback` "
		"takes it back");
	return true;
}

void revision_apply(
	struct revision *r, const struct revision_request *request, revision_done *done, void *arg)
{
	struct change *change = revision_begin(r, request, done, arg);

	if (change == NULL || on_trial(change))
		return;
	change->files = revision_files(r, 0, &change->diag);
	revision_submit(change, "apply");
}

struct searching {
	uint64_t in_force, found;
};

static void find_before(const struct store_version *version, void *arg)
{
	struct searching *searching = arg;

	if (version->id < searching->in_force && version->id > searching->found)
		searching->found = version->id;
}

void revision_rollback(struct revision *r, uint64_t version, const struct revision_request *request,
	revision_done *done, void *arg)
{
	struct change *change = revision_begin(r, request, done, arg);
	struct searching searching = {.in_force = r->version};
	char what[48];

	if (change == NULL)
		return;
	if (version == 0 && r->trial.version != 0) {
		version = r->trial.version;
	} else if (version == 0) {
		if (store_versions_each(r->store, find_before, &searching) < 0 ||
			searching.found == 0) {
			revision_refuse(change, -ENOENT, "there is no version before");
			return;
		}
		version = searching.found;
	}
	change->files = revision_files(r, version, &change->diag);
	if (change->files == NULL) {
		revision_refuse(change, -ENOENT, "there is no such version");
		return;
	}
	change->write = true;
	change->ends_trial = true;
	snprintf(what, sizeof(what), "rollback to %llu", (unsigned long long)version);
	revision_submit(change, what);
}

/* Another change in the files would come into force beside the peer, unseen. */
static bool has_other_changes(struct change *change)
{
	char digest[STORE_TEXT_DIGEST_MAX];

	if (change->files == NULL) {
		revision_refuse(change, -EINVAL, "the configuration cannot be read");
		return true;
	}
	store_texts_digest(revision_texts(change->files), change->files->n, digest);
	if (strcmp(digest, change->revision->running_digest) == 0)
		return false;
	revision_refuse(change, -EBUSY,
		"the files have changes that are not in force: see `sallyport plan`, then apply "
		"or roll back");
	return true;
}

static struct change *begin_peer(
	struct revision *r, const struct revision_request *request, revision_done *done, void *arg)
{
	struct change *change = revision_begin(r, request, done, arg);

	if (change == NULL || on_trial(change))
		return NULL;
	change->files = revision_files(r, 0, &change->diag);
	return has_other_changes(change) ? NULL : change;
}

void revision_peer_add(struct revision *r, const char *name, const char *text,
	const struct revision_request *request, revision_done *done, void *arg)
{
	struct change *change = begin_peer(r, request, done, arg);
	char file[sizeof(CONF_PEERS_DIR) + MODEL_NAME_MAX + 8], what[MODEL_NAME_MAX + 16];

	if (change == NULL)
		return;
	snprintf(file, sizeof(file), CONF_PEERS_DIR "/%s.yaml", name);
	if (model_find(program_compiled(r->program)->model, MODEL_PEER, name) != NULL ||
		conf_files_find(change->files, file) != NULL) {
		revision_refuse(change, -EEXIST, "there is a peer of this name");
		return;
	}
	conf_files_add(change->files, file, text, strlen(text));
	change->write = true;
	snprintf(what, sizeof(what), "peer add %s", name);
	revision_submit(change, what);
}

void revision_peer_remove(struct revision *r, const char *name,
	const struct revision_request *request, revision_done *done, void *arg)
{
	struct change *change = begin_peer(r, request, done, arg);
	char file[sizeof(CONF_PEERS_DIR) + MODEL_NAME_MAX + 8], what[MODEL_NAME_MAX + 24];
	size_t at;

	if (change == NULL)
		return;
	snprintf(file, sizeof(file), CONF_PEERS_DIR "/%s.yaml", name);
	for (at = 0; at < change->files->n; at++) {
		if (strcmp(change->files->items[at].name, file) == 0)
			break;
	}
	if (at == change->files->n) {
		bool known =
			model_find(program_compiled(r->program)->model, MODEL_PEER, name) != NULL;

		revision_refuse(change, known ? -EEXIST : -ENOENT,
			known ? "this peer has no file in peers.d: remove it from the file that "
				"defines it, and apply"
			      : "there is no such peer");
		return;
	}
	memmove(&change->files->items[at], &change->files->items[at + 1],
		(change->files->n - at - 1) * sizeof(*change->files->items));
	change->files->n--;
	change->write = true;
	snprintf(what, sizeof(what), "peer remove %s", name);
	revision_submit(change, what);
}
