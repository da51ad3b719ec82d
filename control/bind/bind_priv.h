/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <limits.h>

#include "control/bind/bind.h"

/* The path of a file below the root. */
void bind_path(const struct bind_place *place, char path[PATH_MAX], const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* The card back to the driver and override that it had. 0 or -errno. */
int bind_restore(const struct bind_place *place, const struct bind_card *was);

/* Seconds until the trial of this card ends; 0 = there is none. */
unsigned bind_trial_left(const struct bind_place *place, const char *address);

struct bind_carried;

/* What the card's interfaces carry now; NULL without memory. */
struct bind_carried *bind_carried_remember(
	const struct bind_place *place, const struct bind_card *card);

/* Waits, for seconds at most, for the interfaces of a card that is back, and gives it to them; what
 * fails is in the system's log. */
void bind_carried_restore(const struct bind_place *place, const struct bind_carried *carried);

void bind_carried_forget(struct bind_carried **carried);
