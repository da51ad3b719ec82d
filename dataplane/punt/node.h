/* SPDX-License-Identifier: BSD-3-Clause */
/* The graph's side of punt. Main thread, from the feature's init. */
#pragma once

struct worker;

void punt_node_init(void);
void punt_node_worker_init(const struct worker *worker);
