/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Configurations compiled, and a trivial model of the data plane to judge what they become: the
 * messages are searched linearly for the longest prefix that a set holds and for the first rule
 * that matches.
 */
#pragma once

#include "common/api/egress.h"
#include "common/api/policy.h"
#include "common/api/port.h"
#include "common/api/route.h"
#include "common/api/table.h"
#include "control/compile/compile.h"
#include "control/diag/diag.h"

#define KEY_A "HIgo9xNzJMWLKASShiTqIybxZ0U3wGLiUeJ1PKf8ykw="
#define KEY_B "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg="
#define KEY_C "TrMvSoP4jYQlY6RIzBgbssQqY3vxI2Pi+y71lOWWXX0="
#define KEY_D "gN65BkIKy1eCE9pP1wdc8ROUtkHLF2PfAqYdyYBz6EA="

extern const char fixture_base[], fixture_policies[];

struct fixture {
	struct model *model;
	struct compiled *compiled;
	struct diag *diag;
};

/* Keys of peers that are down in what is compiled next. */
extern struct key fixture_down[4];
extern size_t fixture_n_down;

/* Of two texts, one behind the other; a test fails here if there is something wrong with them. */
struct fixture compile_text(struct store *store, const char *first, const char *second);
void release(struct fixture *f);

/* In memory. */
struct store *open_store(void);

uint32_t index_of(const struct fixture *f, const char *peer);
uint32_t set_of(const struct fixture *f, const char *peer);
uint32_t id_of(const struct fixture *f, const char *peer);

struct addr address(const char *text);

/* The entry that carries traffic of this set to dst, as common/api/route.h says. */
const struct api_route_set *find_route(const struct fixture *f, uint32_t set, const char *dst_text);

/* The verdict, and the name of the rule that decided. */
bool judge(const struct fixture *f, uint32_t set, const char *dst_text, uint8_t proto,
	uint16_t port, uint16_t about, const char **name);
