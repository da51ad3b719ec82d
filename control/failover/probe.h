/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Echo requests through the tunnels, by the kernel and the overlay's interface. Nobody waits for
 * an answer here: to a packet with content WireGuard answers within ten seconds even where the
 * system behind it does not, and the tunnel's counter shows it. Loop's thread.
 */
#pragma once

#include "common/base/addr.h"

struct prober;

/* One for a round: the socket is opened when the first peer of a family is asked, and closed at
 * the end. Never NULL. */
struct prober *probe_begin(const char *interface);

/* False: it could not be sent. */
bool probe_send(struct prober *prober, const struct addr *to);

void probe_end(struct prober **prober);
