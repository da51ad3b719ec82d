/* SPDX-License-Identifier: BSD-3-Clause */
/* Between the files of this folder. Main thread unless said otherwise. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/api/route.h"
#include "dataplane/main/handler.h"

struct prefix_table;

/* Each part: memory at init, then the handlers' work on one copy. */
int routes_init(uint32_t max_routes);
void routes_begin(unsigned copy);
int route_set_validate(const void *message, uint32_t *detail);
void route_set_apply(const void *message, unsigned copy, enum handler_pass pass);
int route_del_validate(const void *message, uint32_t *detail);
void route_del_apply(const void *message, unsigned copy, enum handler_pass pass);
uint32_t routes_room(unsigned table, bool full);

/* What addresses are looked for in. Workers. */
const struct prefix_table *routes_table(unsigned copy, unsigned table);
const struct prefix_table *allowed_table(unsigned copy);

int allowed_init(uint32_t max);
void allowed_begin(unsigned copy);
int allowed_validate(const void *message, uint32_t *detail);
void allowed_set_apply(const void *message, unsigned copy, enum handler_pass pass);
void allowed_del_apply(const void *message, unsigned copy, enum handler_pass pass);
uint32_t allowed_room(bool full);

enum { LOCAL_MAX = 4096, NEIGH_MAX = 16384 };

int local_init(void);
void local_begin(unsigned copy);
int local_set_validate(const void *message, uint32_t *detail);
int local_del_validate(const void *message, uint32_t *detail);
void local_set_apply(const void *message, unsigned copy, enum handler_pass pass);
void local_del_apply(const void *message, unsigned copy, enum handler_pass pass);
uint32_t local_room(bool full);

int neigh_init(void);
void neigh_begin(unsigned copy, enum handler_pass pass);
void neigh_sweep(void); /* after a full transaction's last pass: forgets what was not mentioned */
int neigh_set_validate(const void *message, uint32_t *detail);
int neigh_del_validate(const void *message, uint32_t *detail);
void neigh_set_apply(const void *message, unsigned copy, enum handler_pass pass);
void neigh_del_apply(const void *message, unsigned copy, enum handler_pass pass);
uint32_t neigh_room(void);
bool neigh_known(const struct api_neigh_set *set); /* has an id already */
void neigh_housekeep(uint64_t now_ms); /* tells the control process of wanted neighbours */
