/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * On libevent's resolver, which has one callback per query. A name has two queries under way or
 * none; one that is no longer wanted lives on until they have come back.
 */
#include "control/resolve/resolve.h"

#include <event2/dns.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "common/base/log.h"

LOG_TYPE(resolve);

enum {
	TTL_MIN_S = 5,
	TTL_MAX_S = 3600,
	RETRY_S = 15, /* after a failure */
};

struct name {
	struct resolve *resolve;
	char *text;
	bool wanted;
	unsigned pending; /* queries under way */
	/* Of the round under way. */
	struct addr next_v4, next_v6;
	bool answered_v4, answered_v6; /* also: there is no address of this family */
	int ttl_s;
	const char *failure;
	/* Of the rounds before. */
	struct resolve_answer answer;
	struct event *again;
	UT_hash_handle hh;
};

struct resolve {
	struct event_base *base;
	struct evdns_base *dns;
	void (*changed)(void *arg);
	void *arg;
	struct name *names;
	struct addr *servers;
	size_t n_servers;
};

static void ask(struct name *name);

static void forget(struct name *name)
{
	HASH_DEL(name->resolve->names, name);
	event_free(name->again);
	free(name->text);
	free(name);
}

static bool keep(struct addr *old, const struct addr *new, bool answered)
{
	if (!answered || addr_equal(old, new))
		return false;
	*old = *new;
	return true;
}

/* Both queries are back. */
static void finish(struct name *name)
{
	bool found = name->next_v4.family != ADDR_NONE || name->next_v6.family != ADDR_NONE;
	const char *error = found ? NULL : name->failure;
	bool changed = false;
	int wait_s = RETRY_S;

	if (found) {
		changed = keep(&name->answer.v4, &name->next_v4, name->answered_v4);
		changed |= keep(&name->answer.v6, &name->next_v6, name->answered_v6);
		wait_s = name->ttl_s < TTL_MIN_S ? TTL_MIN_S : name->ttl_s;
	}
	if (error != NULL && name->answer.error == NULL)
		log_warn(resolve, "%s: %s", name->text, error);
	name->answer.error = error;
	evtimer_add(name->again, &(struct timeval){.tv_sec = wait_s});
	if (changed)
		name->resolve->changed(name->resolve->arg);
}

static void note(struct name *name, char type, int count, int ttl_s, const void *addresses)
{
	bool v4 = type == DNS_IPv4_A;
	struct addr *addr = v4 ? &name->next_v4 : &name->next_v6;
	struct addr found = {.family = v4 ? ADDR_V4 : ADDR_V6}, best = {0};

	/* Servers turn the order about: of several the least is taken, always the same. */
	for (int i = 0; i < count; i++) {
		size_t size = addr_size(found.family);

		memcpy(found.bytes, (const char *)addresses + (size_t)i * size, size);
		if (best.family == ADDR_NONE || addr_compare(&found, &best) < 0)
			best = found;
	}
	*addr = best;
	if (ttl_s < name->ttl_s)
		name->ttl_s = ttl_s;
}

static void on_answer(
	int result, char type, int count, int ttl_s, void *addresses, struct name *name, bool v4)
{
	bool *answered = v4 ? &name->answered_v4 : &name->answered_v6;

	if (result == DNS_ERR_NONE && count > 0 && type == (v4 ? DNS_IPv4_A : DNS_IPv6_AAAA)) {
		note(name, type, count, ttl_s, addresses);
		*answered = true;
	} else if (result == DNS_ERR_NONE || result == DNS_ERR_NODATA ||
		   result == DNS_ERR_NOTEXIST) {
		*answered = true;
		name->failure = "the name has no address";
	} else {
		name->failure = evdns_err_to_string(result);
	}
	if (--name->pending != 0)
		return;
	if (name->wanted)
		finish(name);
	else
		forget(name);
}

static void on_v4(int result, char type, int count, int ttl_s, void *addresses, void *arg)
{
	on_answer(result, type, count, ttl_s, addresses, arg, true);
}

static void on_v6(int result, char type, int count, int ttl_s, void *addresses, void *arg)
{
	on_answer(result, type, count, ttl_s, addresses, arg, false);
}

static void ask(struct name *name)
{
	struct evdns_base *dns = name->resolve->dns;

	if (name->pending != 0)
		return;
	name->next_v4 = name->next_v6 = (struct addr){0};
	name->answered_v4 = name->answered_v6 = false;
	name->ttl_s = TTL_MAX_S;
	name->failure = "no name server could be asked";
	/* Answers come from the loop, never from within these. */
	if (evdns_base_resolve_ipv4(dns, name->text, DNS_QUERY_NO_SEARCH, on_v4, name) != NULL)
		name->pending++;
	if (evdns_base_resolve_ipv6(dns, name->text, DNS_QUERY_NO_SEARCH, on_v6, name) != NULL)
		name->pending++;
	if (name->pending == 0)
		finish(name);
}

static void on_again(evutil_socket_t fd, short what, void *arg)
{
	ask(arg);
}

struct resolve *resolve_create(struct event_base *base, void (*changed)(void *arg), void *arg)
{
	struct resolve *resolve = calloc(1, sizeof(*resolve));

	if (resolve == NULL)
		return NULL;
	resolve->base = base;
	resolve->changed = changed;
	resolve->arg = arg;
	resolve->dns = evdns_base_new(base, EVDNS_BASE_DISABLE_WHEN_INACTIVE);
	if (resolve->dns == NULL) {
		free(resolve);
		return NULL;
	}
	/* The ports of queries and their numbers are random by themselves; so is the case. */
	evdns_base_set_option(resolve->dns, "timeout", "3");
	evdns_base_set_option(resolve->dns, "attempts", "2");
	evdns_base_resolv_conf_parse(resolve->dns, DNS_OPTION_NAMESERVERS, "/etc/resolv.conf");
	return resolve;
}

void resolve_destroy(struct resolve **resolve)
{
	struct resolve *r = *resolve;
	struct name *name, *next;

	if (r == NULL)
		return;
	evdns_base_free(r->dns, 0); /* nobody is called back any more */
	HASH_ITER (hh, r->names, name, next)
		forget(name);
	free(r->servers);
	free(r);
	*resolve = NULL;
}

void resolve_set_servers(struct resolve *resolve, const struct addr *servers, size_t n)
{
	struct addr *copy;
	struct name *name, *next;

	if (n == resolve->n_servers &&
		(n == 0 || memcmp(servers, resolve->servers, n * sizeof(*servers)) == 0))
		return;
	copy = calloc(n + 1, sizeof(*copy));
	if (copy == NULL)
		abort(); /* a few addresses */
	if (n != 0)
		memcpy(copy, servers, n * sizeof(*servers));
	free(resolve->servers);
	resolve->servers = copy;
	resolve->n_servers = n;
	evdns_base_clear_nameservers_and_suspend(resolve->dns);
	for (size_t i = 0; i < n; i++) {
		char text[ADDR_TEXT_MAX];

		if (evdns_base_nameserver_ip_add(resolve->dns, addr_format(&servers[i], text)) != 0)
			log_warn(resolve, "name server %s cannot be used", text);
	}
	if (n == 0)
		evdns_base_resolv_conf_parse(
			resolve->dns, DNS_OPTION_NAMESERVERS, "/etc/resolv.conf");
	evdns_base_resume(resolve->dns);
	HASH_ITER (hh, resolve->names, name, next)
		ask(name);
}

void resolve_begin(struct resolve *resolve)
{
	struct name *name, *next;

	HASH_ITER (hh, resolve->names, name, next)
		name->wanted = false;
}

void resolve_want(struct resolve *resolve, const char *text)
{
	struct name *name;

	HASH_FIND_STR(resolve->names, text, name);
	if (name == NULL) {
		name = calloc(1, sizeof(*name));
		if (name == NULL)
			abort();
		name->resolve = resolve;
		name->text = strdup(text);
		name->again = evtimer_new(resolve->base, on_again, name);
		if (name->text == NULL || name->again == NULL)
			abort();
		name->answer.error = "not asked yet";
		HASH_ADD_KEYPTR(hh, resolve->names, name->text, strlen(name->text), name);
		ask(name);
	}
	name->wanted = true;
}

void resolve_end(struct resolve *resolve)
{
	struct name *name, *next;

	HASH_ITER (hh, resolve->names, name, next) {
		if (name->wanted)
			continue;
		if (name->pending == 0)
			forget(name);
		else
			event_del(name->again);
	}
}

bool resolve_get(const struct resolve *resolve, const char *text, struct resolve_answer *answer)
{
	struct name *name;

	HASH_FIND_STR(resolve->names, text, name);
	if (name == NULL || !name->wanted)
		return false;
	*answer = name->answer;
	return true;
}
