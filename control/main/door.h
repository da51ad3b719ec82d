/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The TCP listener for monitoring (`management.metrics`): opened, moved and closed as the
 * configuration in force says, whichever way that came about. Loop's thread.
 */
#pragma once

struct api;
struct door;
struct event_base;

/* NULL and *error. That the address cannot be had is logged, and tried again. */
struct door *door_create(struct event_base *base, struct api *api, int *error)
	__attribute__((warn_unused_result));
void door_destroy(struct door **door);
