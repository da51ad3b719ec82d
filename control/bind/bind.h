/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Network cards between the kernel's drivers and those by which DPDK takes them: who has which
 * card, what stands against moving one, the move, and the way back if nobody confirms in time.
 * Works on sysfs alone, without a daemon: a card is given to DPDK before the gateway runs.
 * Everything is below a root directory, so that a test can lay out a machine. One thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	BIND_ADDRESS_MAX = 16, /* "0000:3b:00.0" */
	BIND_NAME_MAX = 64,
	BIND_TEXT_MAX = 256,
};

struct bind_place {
	const char *root;    /* "" for the real /sys and /proc */
	const char *run_dir; /* where moves on trial are noted */
	const char *ssh;     /* SSH_CONNECTION, or NULL */
	/* Writes a text to a file of sysfs, 0 or -errno; NULL = just that. */
	int (*write)(const char *path, const char *text, void *context);
	void *context;
};

struct bind_card {
	char address[BIND_ADDRESS_MAX];
	char driver[BIND_NAME_MAX];     /* "" = none */
	char override[BIND_NAME_MAX];   /* what alone may have it, "" = what knows its ids */
	char interfaces[BIND_TEXT_MAX]; /* the kernel's, with spaces between them; "" = none */
	char ids[BIND_NAME_MAX];        /* "8086:1572" */
	bool is_network;
	unsigned seconds_left; /* of a trial, 0 = none */
};

/* "3b:00.0" becomes "0000:3b:00.0". False if it is no address of a PCI device. */
bool bind_parse_address(const char *text, char address[BIND_ADDRESS_MAX]);

/* The address in a port's device ("0000:3b:00.0,..."); false if it is not a PCI device. */
bool bind_device_address(const char *device, char address[BIND_ADDRESS_MAX]);

/* -ENOENT if there is no such device. */
int bind_look(const struct bind_place *place, const char *address, struct bind_card *card)
	__attribute__((warn_unused_result));

/* Calls `each` for every network card, in the order of addresses. 0 or -errno. */
int bind_each(const struct bind_place *place, void (*each)(const struct bind_card *card, void *arg),
	void *arg) __attribute__((warn_unused_result));

/* True, and in `text` what it is, if taking the card away would cut this machine off: it carries a
 * default route or an SSH session. */
bool bind_is_needed(
	const struct bind_place *place, const struct bind_card *card, char text[BIND_TEXT_MAX]);

/*
 * The card to that driver; driver_override is set for a driver of DPDK's, and cleared for another.
 * 0; -EALREADY, it is there; -ENODEV, the driver is not loaded; -EPERM, it cannot have it; -EIO,
 * the kernel did not do it, and the card is where it was. What to do next is in `text`.
 */
int bind_move(const struct bind_place *place, const struct bind_card *card, const char *driver,
	char text[BIND_TEXT_MAX]) __attribute__((warn_unused_result));

/*
 * From now on a process of its own moves the card back to the driver that it has now, unless
 * bind_confirm() comes within `seconds`, and gives its interfaces what they carry now: up, MTU,
 * addresses, routes. Called before the move. 0 or -errno; -EBUSY if the card is on trial already.
 */
int bind_trial(const struct bind_place *place, const struct bind_card *card, unsigned seconds)
	__attribute__((warn_unused_result));

/* Ends the trial of this card, or of all (NULL): what is keeps. How many there were, or -errno. */
int bind_confirm(const struct bind_place *place, const char *address)
	__attribute__((warn_unused_result));
