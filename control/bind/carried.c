/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a card's interfaces carry goes with them when the kernel's driver lets the card go. Whoever
 * gives the card back gives that back too: else a machine that lost its way in by a move would not
 * have it back with the card, unless something else configures interfaces as they appear.
 */
#include "control/bind/bind_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <time.h>

#include "control/host/host.h"

enum {
	INTERFACES_MAX = 8,
	APPEAR_MS = 10000, /* a driver may load firmware first */
	RENAME_MS = 3000,  /* udev's new name comes after the interface */
	STEP_MS = 50,
};

struct bind_carried {
	char address[BIND_ADDRESS_MAX];
	struct host_interface *states[INTERFACES_MAX];
	unsigned n;
};

struct bind_carried *bind_carried_remember(
	const struct bind_place *place, const struct bind_card *card)
{
	struct bind_carried *carried = calloc(1, sizeof(*carried));
	char names[BIND_TEXT_MAX], *rest = names, *name;

	/* A machine that is laid out by a test has no interfaces. */
	if (carried == NULL || place->root[0] != '\0')
		return carried;
	memcpy(carried->address, card->address, sizeof(carried->address));
	memcpy(names, card->interfaces, sizeof(names));
	while ((name = strsep(&rest, " ")) != NULL && carried->n < INTERFACES_MAX) {
		carried->states[carried->n] = host_interface_remember(name);
		carried->n += carried->states[carried->n] != NULL;
	}
	return carried;
}

static bool has_word(const char *words, const char *word)
{
	size_t length = strlen(word);

	for (const char *at = words; (at = strstr(at, word)) != NULL; at++) {
		if ((at == words || at[-1] == ' ') && (at[length] == ' ' || at[length] == '\0'))
			return true;
	}
	return false;
}

/* The interface by its old name; or, after a while, by the only one that the card has now. */
static bool find_interface(const struct bind_place *place, const struct bind_carried *carried,
	const char *name, struct bind_card *card)
{
	const struct timespec step = {.tv_nsec = STEP_MS * 1000000L};

	for (unsigned waited = 0; waited < APPEAR_MS; waited += STEP_MS) {
		if (bind_look(place, carried->address, card) < 0)
			return false;
		if (has_word(card->interfaces, name))
			return true;
		if (waited >= RENAME_MS && carried->n == 1 && card->interfaces[0] != '\0' &&
			strchr(card->interfaces, ' ') == NULL)
			return true;
		nanosleep(&step, NULL);
	}
	return false;
}

void bind_carried_restore(const struct bind_place *place, const struct bind_carried *carried)
{
	for (unsigned i = 0; carried != NULL && i < carried->n; i++) {
		const char *name = host_interface_name(carried->states[i]);
		struct bind_card card;
		int rc = -ENODEV;

		if (find_interface(place, carried, name, &card))
			rc = host_interface_restore(carried->states[i],
				has_word(card.interfaces, name) ? name : card.interfaces);
		if (rc < 0)
			syslog(LOG_ERR, "%s: what %s carried is not there again: %s",
				carried->address, name, strerror(-rc));
	}
}

void bind_carried_forget(struct bind_carried **carried)
{
	for (unsigned i = 0; *carried != NULL && i < (*carried)->n; i++)
		host_interface_forget(&(*carried)->states[i]);
	free(*carried);
	*carried = NULL;
}
