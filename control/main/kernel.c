/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/main/kernel.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/api/egress.h"
#include "common/api/port.h"
#include "control/host/host.h"

struct kernel {
	struct host *host;
	struct program *program;
};

static void local_set(void *context, const struct api_local_set *local)
{
	struct kernel *k = context;

	if (k->program != NULL)
		program_kernel_set(k->program, API_LOCAL_SET, local);
}

static void local_del(void *context, const struct api_local_del *local)
{
	struct kernel *k = context;

	if (k->program != NULL)
		program_kernel_del(k->program, API_LOCAL_SET, local);
}

static void route_set(void *context, const struct api_route_set *route)
{
	struct kernel *k = context;

	if (k->program != NULL)
		program_kernel_set(k->program, API_ROUTE_SET, route);
}

static void route_del(void *context, const struct api_route_del *route)
{
	struct kernel *k = context;

	if (k->program != NULL)
		program_kernel_del(k->program, API_ROUTE_SET, route);
}

static void neigh_set(void *context, const struct api_neigh_set *neigh)
{
	struct kernel *k = context;

	if (k->program != NULL)
		program_kernel_set(k->program, API_NEIGH_SET, neigh);
}

static void neigh_del(void *context, const struct api_neigh_del *neigh)
{
	struct kernel *k = context;

	if (k->program != NULL)
		program_kernel_del(k->program, API_NEIGH_SET, neigh);
}

static void settled(void *context)
{
	struct kernel *k = context;

	if (k->program != NULL)
		program_kernel_settled(k->program);
}

static uint16_t port_id(const struct compiled *c, const struct model_port *port)
{
	for (size_t i = 0; i < c->desired.n; i++) {
		const struct api_port_set *set = (const void *)c->desired.messages[i];

		if (set->header.type == API_PORT_SET && strcmp(set->name, port->object.name) == 0)
			return set->port;
	}
	return 0;
}

static size_t add_ifaddrs(struct pool *pool, struct host_address **list, size_t n,
	const struct model_ifaddrs *addresses)
{
	for (size_t i = 0; i < addresses->n; i++) {
		*list = pool_grow(pool, *list, n, sizeof(**list));
		(*list)[n++] = (struct host_address){
			.addr = addresses->items[i].addr,
			.length = addresses->items[i].length,
			.nodad = true,
		};
	}
	return n;
}

static bool has_address(const struct host_address *list, size_t n, const struct addr *addr)
{
	for (size_t i = 0; i < n; i++) {
		if (addr_equal(&list[i].addr, addr))
			return true;
	}
	return false;
}

/* Egress addresses stand on the port on whose network they are, so that the kernel answers for
 * them; without a network of their own. */
static size_t add_egress(struct pool *pool, const struct model *m, const struct model_port *port,
	struct host_address **list, size_t n)
{
	for (size_t i = 0; i < m->tables[MODEL_POOL].n; i++) {
		const struct model_addrs *addresses = &model_pool_at(m, i)->addresses;

		for (size_t k = 0; k < addresses->n; k++) {
			const struct addr *addr = &addresses->items[k];

			if (model_port_of(m, addr) != port || has_address(*list, n, addr))
				continue;
			*list = pool_grow(pool, *list, n, sizeof(**list));
			(*list)[n++] = (struct host_address){
				.addr = *addr,
				.length = addr_bits(addr->family),
				.nodad = true,
			};
		}
	}
	return n;
}

static void fill_port(struct pool *pool, const struct compiled *c, const struct model_port *port,
	struct host_port *out)
{
	struct host_address *addresses = NULL;

	out->port = port_id(c, port);
	out->mtu = port->mtu;
	snprintf(out->name, sizeof(out->name), "%s", port->object.name);
	host_device_iface(port->device, out->iface);
	out->give_back_s = port->give_back;
	out->own_xdp = strncmp(port->device, "net_af_xdp", strlen("net_af_xdp")) == 0;
	out->address_count = add_ifaddrs(pool, &addresses, 0, &port->addresses);
	out->address_count = add_egress(pool, c->model, port, &addresses, out->address_count);
	out->addresses = addresses;
}

static size_t add_gateways(struct pool *pool, const struct compiled *c,
	const struct model_port *port, struct host_route **list, size_t n)
{
	for (size_t i = 0; i < port->gateways.n; i++) {
		*list = pool_grow(pool, *list, n, sizeof(**list));
		(*list)[n++] = (struct host_route){
			.prefix = {.family = port->gateways.items[i].family},
			.gateway = port->gateways.items[i],
			.port = port_id(c, port),
		};
	}
	return n;
}

/* All of the gateway's own addresses that the NAT uses are divided in the same way. */
static void fill_nat_share(const struct compiled *c, struct host_config *config)
{
	for (size_t i = 0; i < c->desired.n; i++) {
		const struct api_egress_addr_set *set = (const void *)c->desired.messages[i];

		if (set->header.type != API_EGRESS_ADDR_SET ||
			set->port_first == COMPILE_PORT_FIRST)
			continue;
		config->nat_port_first = set->port_first;
		config->nat_port_last = set->port_last;
	}
}

static int configure(void *context, const struct compiled *c)
{
	struct kernel *k = context;
	const struct model *m = c->model;
	size_t n_ports = m->tables[MODEL_PORT].n;
	struct pool *pool = pool_create();
	struct host_port *ports = pool_alloc(pool, (n_ports + 1) * sizeof(*ports));
	struct host_address *overlay = NULL;
	struct host_route *routes = NULL;
	struct host_config config = {.overlay_mtu = m->wireguard.mtu};
	int rc;

	snprintf(config.overlay, sizeof(config.overlay), "%s", m->wireguard.interface);
	config.overlay_address_count = add_ifaddrs(pool, &overlay, 0, &m->wireguard.addresses);
	config.overlay_addresses = overlay;
	for (size_t i = 0; i < n_ports; i++) {
		fill_port(pool, c, model_port_at(m, i), &ports[i]);
		config.route_count =
			add_gateways(pool, c, model_port_at(m, i), &routes, config.route_count);
	}
	fill_nat_share(c, &config);
	config.ports = ports;
	config.port_count = n_ports;
	config.routes = routes;
	rc = host_configure(k->host, &config);
	pool_destroy(&pool);
	return rc;
}

static void want_neighbour(void *context, uint16_t port, const struct addr *addr)
{
	host_want_neighbour(((struct kernel *)context)->host, port, addr);
}

static void set_dataplane(void *context, enum host_dataplane state)
{
	host_set_dataplane(((struct kernel *)context)->host, state); /* logged */
}

static enum host_holder device_holder(void *context, uint16_t port)
{
	return host_device_holder(((struct kernel *)context)->host, port);
}

struct kernel *kernel_create(
	struct event_base *base, const char *folder, struct program_kernel *seam, int *error)
{
	struct kernel *k = calloc(1, sizeof(*k));
	struct host_sink sink = {
		.context = k,
		.local_set = local_set,
		.local_del = local_del,
		.route_set = route_set,
		.route_del = route_del,
		.neigh_set = neigh_set,
		.neigh_del = neigh_del,
		.settled = settled,
	};

	*error = -ENOMEM;
	if (k == NULL)
		return NULL;
	k->host = host_create(base, &sink, error);
	if (k->host == NULL) {
		free(k);
		return NULL;
	}
	*error = host_set_folder(k->host, folder);
	if (*error < 0) {
		kernel_destroy(&k);
		return NULL;
	}
	*seam = (struct program_kernel){
		.context = k,
		.configure = configure,
		.set_dataplane = set_dataplane,
		.device_holder = device_holder,
		.want_neighbour = want_neighbour,
	};
	return k;
}

void kernel_attach(struct kernel *kernel, struct program *program)
{
	if (kernel != NULL)
		kernel->program = program;
}

int kernel_withdraw(struct kernel *kernel)
{
	return host_withdraw(kernel->host);
}

void kernel_destroy(struct kernel **kernel)
{
	if (*kernel == NULL)
		return;
	host_destroy(&(*kernel)->host);
	free(*kernel);
	*kernel = NULL;
}
