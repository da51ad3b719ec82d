/* SPDX-License-Identifier: BSD-3-Clause */
/* The graph nodes of this feature. */
#pragma once

/* Takes roles and asks for edges. Main thread, in init. */
void flow_node_init(void);
