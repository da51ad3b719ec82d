/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Readers of shared tables and their grace periods: one rte_rcu_qsbr variable for everything, and
 * the number of the copy that is read. The flip is a release store before the grace period's
 * token; a reader that has reported the token reads the new copy.
 */
#include "dataplane/main/worker.h"

#include <rte_malloc.h>
#include <rte_cycles.h>
#include <rte_rcu_qsbr.h>

#include <assert.h>
#include <errno.h>
#include <time.h>

#include "dataplane/main/reader.h"

static struct rte_rcu_qsbr *qsbr;
static unsigned active;

int reader_create(void)
{
	size_t size = rte_rcu_qsbr_get_memsize(READER_MAX);

	qsbr = rte_zmalloc("qsbr", size, RTE_CACHE_LINE_SIZE);
	if (qsbr == NULL)
		return -ENOMEM;
	return rte_rcu_qsbr_init(qsbr, READER_MAX) == 0 ? 0 : -EINVAL;
}

void reader_destroy(void)
{
	rte_free(qsbr);
	qsbr = NULL;
}

void reader_register(unsigned reader)
{
	int rc = rte_rcu_qsbr_thread_register(qsbr, reader);

	assert(rc == 0);
	rte_rcu_qsbr_thread_online(qsbr, reader);
}

void reader_unregister(unsigned reader)
{
	rte_rcu_qsbr_thread_offline(qsbr, reader);
	rte_rcu_qsbr_thread_unregister(qsbr, reader);
}

void reader_quiescent(unsigned reader)
{
	rte_rcu_qsbr_quiescent(qsbr, reader);
}

uint64_t reader_token(void)
{
	return __atomic_load_n(&qsbr->token, __ATOMIC_ACQUIRE);
}

/* As rte_rcu_qsbr_quiescent(), which always reports the present token. */
void reader_quiescent_since(unsigned reader, uint64_t token)
{
	__atomic_store_n(&qsbr->qsbr_cnt[reader].cnt, token, __ATOMIC_RELEASE);
}

void reader_offline(unsigned reader)
{
	rte_rcu_qsbr_thread_offline(qsbr, reader);
}

void reader_online(unsigned reader)
{
	rte_rcu_qsbr_thread_online(qsbr, reader);
}

unsigned tables_active(void)
{
	return __atomic_load_n(&active, __ATOMIC_ACQUIRE);
}

void tables_flip(unsigned copy)
{
	assert(copy <= 1);
	__atomic_store_n(&active, copy, __ATOMIC_SEQ_CST);
}

uint64_t grace_start(void)
{
	/* Without readers yet (before the workers start) there is nobody to wait for. */
	return qsbr == NULL ? GRACE_NONE : rte_rcu_qsbr_start(qsbr);
}

int grace_over(uint64_t token)
{
	return token == GRACE_NONE || rte_rcu_qsbr_check(qsbr, token, false) == 1;
}

uint64_t clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000 + 1;
}

uint64_t clock_unix_ns(uint64_t tsc)
{
	struct timespec now;
	int64_t ago = (int64_t)(rte_rdtsc() - tsc);

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec -
	       (uint64_t)((double)ago * 1e9 / (double)rte_get_tsc_hz());
}
