/* SPDX-License-Identifier: BSD-3-Clause */
/* Node "port_tx"; see port_tx.c. */
#pragma once

/* Takes GRAPH_SEND; main thread, before the graphs are created. */
void port_tx_init(void);

/* Sends what the worker's loop has gathered. At the end of each loop. */
void port_tx_drain(unsigned worker);
