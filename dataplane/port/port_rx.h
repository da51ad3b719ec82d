/* SPDX-License-Identifier: BSD-3-Clause */
/* Node "port_rx"; see port_rx.c. */
#pragma once

/* The node and its edges; main thread, before the graphs are created. */
void port_rx_init(void);
