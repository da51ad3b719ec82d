/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Mapped prefixes of routes: what is behind a peer is known by one name. Two peers may have the
 * same behind them, that is what maps are for; one peer may not.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/base/nptv6.h"
#include "control/model/model_priv.h"

#define WHOLE SIZE_MAX

struct checker {
	const struct model *model;
	const struct model_reporter *reporter;
	bool ok;
};

/* About one prefix of the map, or about all of it. */
static __attribute__((format(printf, 4, 5))) void report(
	struct checker *c, const struct model_route *route, size_t k, const char *format, ...)
{
	const char *name = route->object.name;
	struct pool *pool = c->model->pool;
	char message[256];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(message, sizeof(message), format, arguments);
	va_end(arguments);
	c->reporter->report(c->reporter->context, DIAG_BAD_MAP,
		k == WHOLE ? pool_printf(pool, "routes.%s.map", name)
			   : pool_printf(pool, "routes.%s.map[%zu]", name, k),
		pool_strdup(pool, message), NULL, NULL);
	c->ok = false;
}

/* What one peer has behind it, by its real or its seen addresses. */
static void check_beside(
	struct checker *c, const struct model_route *route, const struct model_route *other)
{
	char text[PREFIX_TEXT_MAX];

	for (size_t k = 0; k < route->map.n; k++) {
		const struct prefix *real = &route->map.items[k];

		for (size_t j = 0; j < other->prefixes.n; j++) {
			const struct prefix *seen = &other->prefixes.items[j];
			bool same = j < other->map.n && prefix_equal(real, &other->map.items[j]) &&
				    prefix_equal(&route->prefixes.items[k], seen);
			bool twice =
				j < other->map.n && prefix_overlaps(real, &other->map.items[j]);

			/* the same map for another group is no other map */
			if (same || (!twice && !prefix_overlaps(real, seen)))
				continue;
			report(c, route, k,
				twice ? "%s is mapped by route '%s' too, through the same peer"
				      : "%s overlaps the prefixes of route '%s', through the same "
					"peer",
				prefix_format(real, text), other->object.name);
			return;
		}
	}
}

static bool shares_peer(const struct model_route *a, const struct model_route *b)
{
	for (size_t i = 0; i < a->via_peers.n; i++) {
		for (size_t k = 0; k < b->via_peers.n; k++) {
			if (strcmp(a->via_peers.names[i], b->via_peers.names[k]) == 0)
				return true;
		}
	}
	return false;
}

static void check_map(struct checker *c, const struct model_route *route)
{
	const struct model *m = c->model;

	if (route->nptv6 && route->map.n == 0)
		report(c, route, WHOLE, "nptv6 needs the prefixes that are translated");
	if (route->map.n == 0 || !route->enabled)
		return;
	if (route->via_port.n > 0 || route->map.n != route->prefixes.n) {
		report(c, route, WHOLE,
			route->via_port.n > 0 ? "only what is behind peers can be mapped"
					      : "one prefix is needed for each of 'prefixes'");
		return;
	}
	for (size_t k = 0; k < route->map.n; k++) {
		const struct prefix *seen = &route->prefixes.items[k];
		const struct prefix *real = &route->map.items[k];
		char text[PREFIX_TEXT_MAX], other[PREFIX_TEXT_MAX];

		if (real->family != seen->family || real->length != seen->length)
			report(c, route, k, "%s is not as long as %s", prefix_format(real, text),
				prefix_format(seen, other));
		else if (route->nptv6 &&
			 (seen->family != ADDR_V6 || seen->length > NPTV6_LENGTH_MAX))
			report(c, route, k, "nptv6 translates IPv6 prefixes of up to /%d, not %s",
				NPTV6_LENGTH_MAX, prefix_format(real, text));
	}
	for (size_t i = 0; i < m->tables[MODEL_ROUTE].n; i++) {
		if (model_route_at(m, i)->enabled && shares_peer(route, model_route_at(m, i)))
			check_beside(c, route, model_route_at(m, i));
	}
}

bool model_check_maps(const struct model *m, const struct model_reporter *reporter)
{
	struct checker c = {.model = m, .reporter = reporter, .ok = true};

	for (size_t i = 0; i < m->tables[MODEL_ROUTE].n; i++)
		check_map(&c, model_route_at(m, i));
	return c.ok;
}
