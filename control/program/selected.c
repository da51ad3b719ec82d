/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which exit node a peer selected, of several that are offered to it: from one configuration to
 * the next, and over restarts. It belongs to the peer's key and goes when the peer or the exit
 * node goes; not when the offer ends, since the peer would then leave by another address.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "control/program/program_priv.h"

LOG_TYPE(selected);

struct choice {
	UT_hash_handle hh;
	struct key key;
	const char *exit_node;
};

struct choices {
	struct pool *pool;
	struct choice *by_key;
};

static void add(struct choices *choices, const struct key *key, const char *exit_node)
{
	struct choice *choice = pool_alloc(choices->pool, sizeof(*choice));

	choice->key = *key;
	choice->exit_node = pool_strdup(choices->pool, exit_node);
	HASH_ADD(hh, choices->by_key, key, sizeof(choice->key), choice);
}

static void load(const struct store_selection *stored, void *arg)
{
	struct key key;

	if (key_parse(stored->public_key, &key) < 0)
		log_warn(selected, "a selection of %s in the store is unreadable: left out",
			stored->exit_node);
	else
		add(arg, &key, stored->exit_node);
}

static void apply(const struct choice *choice, struct model *next, const struct model_peer *peer)
{
	const struct model_exit_node *exit_node =
		(const void *)model_find(next, MODEL_EXIT_NODE, choice->exit_node);

	if (exit_node == NULL)
		log_info(selected, "peer %s: exit node %s is gone, and with it the selection",
			peer->object.name, choice->exit_node);
	model_extend_select(next, peer->object.index, exit_node);
}

void selected_carry(struct store *store, const struct model *current, struct model *next)
{
	struct choices choices = {.pool = pool_create()};

	for (size_t i = 0; current != NULL && i < current->tables[MODEL_PEER].n; i++) {
		const struct model_peer *peer = model_peer_at(current, i);

		if (peer->selected != NULL)
			add(&choices, &peer->public_key, peer->selected->object.name);
	}
	if (current == NULL && store_selections_each(store, load, &choices) < 0)
		log_warn(selected, "selections of exit nodes cannot be read");
	for (size_t i = 0; choices.by_key != NULL && i < next->tables[MODEL_PEER].n; i++) {
		const struct model_peer *peer = model_peer_at(next, i);
		struct choice *choice;

		HASH_FIND(hh, choices.by_key, &peer->public_key, sizeof(peer->public_key), choice);
		if (choice != NULL)
			apply(choice, next, peer);
	}
	HASH_CLEAR(hh, choices.by_key);
	pool_destroy(&choices.pool);
}

void selected_save(struct store *store, const struct model *model)
{
	struct pool *pool = pool_create();
	struct store_selection *selections = NULL;
	char key[KEY_TEXT_MAX];
	size_t n = 0;

	for (size_t i = 0; i < model->tables[MODEL_PEER].n; i++) {
		const struct model_peer *peer = model_peer_at(model, i);

		if (peer->selected == NULL)
			continue;
		selections = pool_grow(pool, selections, n, sizeof(*selections));
		selections[n++] = (struct store_selection){
			.public_key = pool_strdup(pool, key_format(&peer->public_key, key)),
			.exit_node = peer->selected->object.name,
		};
	}
	if (store_selections_set(store, selections, n) < 0)
		log_error(selected, "selections of exit nodes are not kept over a restart");
	pool_destroy(&pool);
}

/* Group names with commas; "no group" if there is none. */
static const char *list_groups(const struct model_refs *groups, char *text, size_t size)
{
	size_t used = 0;

	snprintf(text, size, "no group");
	for (size_t i = 0; i < groups->n && used < size; i++)
		used += (size_t)snprintf(
			text + used, size - used, "%s%s", i == 0 ? "" : ", ", groups->names[i]);
	return text;
}

int selected_refuse(const struct compiled *current, const struct model_peer *peer,
	const struct model_exit_node *exit_node, char *text, size_t size)
{
	const struct compile_set *set = current->set_of_peer[peer->object.index];
	const char *who = peer->object.name, *what = exit_node->object.name;
	char theirs[96], offered[96];

	if (set == NULL) {
		snprintf(text, size, "peer '%s' is disabled", who);
		return -EACCES;
	}
	switch (compile_offer(current->model, set, exit_node)) {
	case COMPILE_OFFERED:
		return 0;
	case COMPILE_OFFER_DISABLED:
		snprintf(text, size, "exit node '%s' is disabled", what);
		break;
	case COMPILE_OFFER_NO_GROUP:
		snprintf(text, size,
			"exit node '%s' is not offered to peer '%s': it is offered to %s, and the "
			"peer is in %s",
			what, who, list_groups(&exit_node->offer_to, offered, sizeof(offered)),
			list_groups(&peer->groups, theirs, sizeof(theirs)));
		break;
	case COMPILE_OFFER_NO_POLICY:
		snprintf(text, size,
			"exit node '%s' is offered to peer '%s', but no policy allows it: one from "
			"%s to: {exit_nodes: [%s]} is missing",
			what, who, list_groups(&peer->groups, theirs, sizeof(theirs)), what);
		break;
	}
	return -EACCES;
}

int selected_change(const struct compiled *current, struct model *next,
	const struct selection *selection, char *text, size_t size)
{
	const struct model_peer *peer =
		(const void *)model_find(current->model, MODEL_PEER, selection->peer);
	const struct model_peer *changed =
		(const void *)model_find(next, MODEL_PEER, selection->peer);
	const struct model_exit_node *exit_node = NULL;
	int rc;

	if (peer == NULL || changed == NULL) {
		snprintf(text, size, "there is no peer '%s'", selection->peer);
		return -ENOENT;
	}
	if (selection->exit_node[0] != '\0') {
		exit_node = (const void *)model_find(
			current->model, MODEL_EXIT_NODE, selection->exit_node);
		if (exit_node == NULL) {
			snprintf(text, size, "there is no exit node '%s'", selection->exit_node);
			return -ENOENT;
		}
		rc = selected_refuse(current, peer, exit_node, text, size);
		if (rc < 0)
			return rc;
		exit_node = (const void *)model_find(next, MODEL_EXIT_NODE, selection->exit_node);
	}
	model_extend_select(next, changed->object.index, exit_node);
	return 0;
}
