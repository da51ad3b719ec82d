/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/expect/expect.h"

#include <errno.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "control/why/why.h"

struct judging {
	const struct compiled *compiled;
	const struct why_index *why;
	struct diag *diag;
	const struct model_test *test;
	size_t index;
	bool ok;
};

static void fail(struct judging *j, const char *hint, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void fail(struct judging *j, const char *hint, const char *format, ...)
{
	char message[320], path[32];
	va_list args;

	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	snprintf(path, sizeof(path), "tests[%zu]", j->index);
	diag_add(j->diag, DIAG_TEST_FAILED, j->test->mark, path, hint, "%s", message);
	j->ok = false;
}

/* False after saying why there is nothing to ask. */
static bool make_query(struct judging *j, struct why_query *query)
{
	const struct model_test *test = j->test;
	const struct model *m = j->compiled->model;

	*query = (struct why_query){
		.src = test->from_addr,
		.dst = test->to.addr,
		.protocol = test->protocol,
		.port = test->to.port,
	};
	if (test->as.n > 0)
		query->as = (const void *)model_find(m, MODEL_PEER, test->as.names[0]);
	if (query->src.family == ADDR_NONE) {
		const struct model_peer *peer = (const void *)model_find(m, MODEL_PEER, test->from);

		for (size_t i = 0; i < peer->addresses.n && query->src.family == ADDR_NONE; i++) {
			if (peer->addresses.items[i].family == query->dst.family)
				query->src = peer->addresses.items[i];
		}
		query->as = query->as == NULL ? peer : query->as;
	}
	if (query->src.family == query->dst.family)
		return true;
	fail(j, NULL, "'%s' has no address of the destination's family", test->from);
	return false;
}

/* What decided, for a person: "policy:web (file:12)", "no policy allows it". */
static void describe(const struct judging *j, const struct why_answer *answer, char *text, size_t n)
{
	static const char *const reasons[] = {
		[WHY_UNKNOWN_SENDER] = "no peer and no port's network has the source address",
		[WHY_PEER_DISABLED] = "the peer is disabled",
		[WHY_SPOOFED] = "the source address is not the peer's",
		[WHY_UNSOLICITED] = "that port of an egress address takes answers only",
		[WHY_LINK_LOCAL] = "link-local addresses are not forwarded",
		[WHY_NO_ROUTE] = "no route or exit node of this source leads there",
		[WHY_EXIT_CLOSED] = "the destination is closed to exit traffic",
		[WHY_POLICY] = "no policy allows it",
		[WHY_EGRESS_REFUSED] = "no egress address of this family for this source",
	};
	const char *name =
		answer->rule == NULL ? NULL : j->compiled->rule_names[answer->rule->rule];
	const struct model_policy *policy = NULL;

	if (answer->verdict != WHY_ALLOWED && (answer->verdict != WHY_POLICY || name == NULL)) {
		snprintf(text, n, "%s", reasons[answer->verdict]);
		return;
	}
	if (name != NULL && strncmp(name, "policy:", 7) == 0)
		policy = (const void *)model_find(j->compiled->model, MODEL_POLICY, name + 7);
	if (policy != NULL)
		snprintf(text, n, "policy '%s' (%s:%u)", policy->object.name, policy->file,
			policy->line);
	else
		snprintf(text, n, "%s", name == NULL ? "a rule" : name);
}

static bool is_candidate(const struct why_answer *answer, const struct addr *addr)
{
	for (size_t i = 0; i < answer->n_candidates; i++) {
		if (addr_equal(&answer->candidates[i], addr))
			return true;
	}
	return false;
}

/* A pool is meant whole: it has the candidates of this family, and no others are candidates. */
static bool is_from_pool(const struct why_answer *answer, const struct model_pool *pool)
{
	size_t n = 0;

	for (size_t i = 0; i < pool->addresses.n; i++) {
		const struct addr *addr = &pool->addresses.items[i];

		if (answer->n_candidates == 0 || addr->family != answer->candidates[0].family)
			continue;
		if (!is_candidate(answer, addr))
			return false;
		n++;
	}
	return n == answer->n_candidates;
}

static void judge_egress(struct judging *j, const struct why_answer *answer)
{
	const struct model_test *test = j->test;
	char text[ADDR_TEXT_MAX] = "", list[160] = "its own address: nothing masquerades it";
	size_t at = 0;
	bool good;

	if (!answer->masquerade)
		good = false;
	else if (test->egress_addr.family != ADDR_NONE)
		/* One address of several would be a matter of luck. */
		good = answer->n_candidates == 1 && is_candidate(answer, &test->egress_addr);
	else
		good = is_from_pool(answer,
			(const void *)model_find(j->compiled->model, MODEL_POOL, test->egress));
	if (good)
		return;
	for (size_t i = 0; answer->masquerade && i < answer->n_candidates && at < 100; i++)
		at += (size_t)snprintf(list + at, sizeof(list) - at, "%s%s", i == 0 ? "" : " or ",
			addr_format(&answer->candidates[i], text));
	fail(j, NULL, "it leaves by %s, not by %s", list, test->egress);
}

static void judge(struct judging *j)
{
	struct why_query query;
	struct why_answer answer = {0};
	char reason[240];

	if (!make_query(j, &query))
		return;
	why_judge(j->why, &query, &answer);
	describe(j, &answer, reason, sizeof(reason));
	if ((answer.verdict == WHY_ALLOWED) != j->test->allow)
		fail(j, NULL, "expected to be %s, but it is %s: %s",
			j->test->allow ? "allowed" : "denied",
			j->test->allow ? "denied" : "allowed", reason);
	else if (j->test->egress != NULL)
		judge_egress(j, &answer);
}

bool expect_judge(const struct compiled *compiled, const struct desired *list, struct diag *diag)
{
	struct why_index *index = why_index_create(compiled, list);
	struct judging j = {.compiled = compiled, .why = index, .diag = diag, .ok = true};

	for (size_t i = 0; i < compiled->model->tests.n; i++) {
		j.test = &compiled->model->tests.items[i];
		j.index = i;
		judge(&j);
	}
	why_index_destroy(&index);
	return j.ok;
}

/* A key of its own for a peer whose file was not looked at: ids go by keys. */
static void set_stand_in(struct model_peer *peer)
{
	crypto_generichash(peer->public_key.bytes, KEY_SIZE,
		(const unsigned char *)peer->object.name, strlen(peer->object.name), NULL, 0);
	peer->has_public_key = true;
}

bool expect_check(struct model *model, struct diag *diag)
{
	struct compile_input input = {.model = model, .underlay = true};
	struct diag_mark nowhere = {0};
	struct compiled *compiled = NULL;
	const char *what = "the store";
	bool ok = true;
	int error;

	if (model->tests.n == 0)
		return true;
	for (size_t i = 0; i < model->tables[MODEL_PEER].n; i++) {
		struct model_peer *peer = (struct model_peer *)model->tables[MODEL_PEER].items[i];

		if (!peer->has_public_key)
			set_stand_in(peer);
	}
	input.store = store_open(NULL, &error);
	if (input.store != NULL)
		compiled = compile_model(&input, &error, &what);
	if (compiled != NULL)
		ok = expect_judge(compiled, &compiled->desired, diag);
	else
		diag_add(diag, DIAG_TOO_MANY, nowhere, NULL, NULL, "cannot be compiled: %s: %s",
			what, strerror(-error));
	ok = ok && compiled != NULL;
	compile_destroy(&compiled);
	store_close(&input.store);
	return ok;
}
