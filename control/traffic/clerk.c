/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/traffic/clerk.h"

#include <errno.h>
#include <event2/event.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "control/traffic/tally.h"

/* All memory of this process is locked, and SQLite needs some 20 kB of stack. */
enum { STACK_BYTES = 512 << 10 };

STAILQ_HEAD(errands, errand);

struct clerk {
	struct tally *tally;
	struct event *returned;
	size_t n_pending; /* loop's thread */
	pthread_t thread;
	bool runs;
	int wake_fd; /* of the loop */
	pthread_mutex_t lock;
	pthread_cond_t given;
	/* Under the lock: */
	struct errands todo, done;
	bool ending;
};

static void release(struct errand *errand)
{
	if (errand->release != NULL)
		errand->release(errand);
	free(errand);
}

/* The next one, NULL at the end. */
static struct errand *wait_for_errand(struct clerk *clerk)
{
	struct errand *errand;

	pthread_mutex_lock(&clerk->lock);
	while (STAILQ_EMPTY(&clerk->todo) && !clerk->ending)
		pthread_cond_wait(&clerk->given, &clerk->lock);
	errand = STAILQ_FIRST(&clerk->todo);
	if (errand != NULL)
		STAILQ_REMOVE_HEAD(&clerk->todo, entry);
	pthread_mutex_unlock(&clerk->lock);
	return errand;
}

static void bring_back(struct clerk *clerk, struct errand *errand)
{
	const uint64_t one = 1;

	pthread_mutex_lock(&clerk->lock);
	STAILQ_INSERT_TAIL(&clerk->done, errand, entry);
	pthread_mutex_unlock(&clerk->lock);
	/* It fails only if the counter is full, and then the loop wakes anyway. */
	if (write(clerk->wake_fd, &one, sizeof(one)) < 0)
		return;
}

static bool is_ending(struct clerk *clerk)
{
	bool ending;

	pthread_mutex_lock(&clerk->lock);
	ending = clerk->ending;
	pthread_mutex_unlock(&clerk->lock);
	return ending;
}

static void *work(void *arg)
{
	struct clerk *clerk = arg;
	struct errand *errand;

	while ((errand = wait_for_errand(clerk)) != NULL) {
		if (errand->is_due || !is_ending(clerk))
			errand->rc = errand->run(clerk->tally, errand);
		bring_back(clerk, errand);
	}
	return NULL;
}

/* All that has come back. */
static struct errands take_done(struct clerk *clerk)
{
	struct errands done = STAILQ_HEAD_INITIALIZER(done);

	pthread_mutex_lock(&clerk->lock);
	STAILQ_CONCAT(&done, &clerk->done);
	pthread_mutex_unlock(&clerk->lock);
	return done;
}

static void on_returned(evutil_socket_t fd, short what, void *arg)
{
	struct clerk *clerk = arg;
	struct errands done;
	struct errand *errand;
	uint64_t count;

	if (read(clerk->wake_fd, &count, sizeof(count)) < 0)
		return;
	done = take_done(clerk);
	while ((errand = STAILQ_FIRST(&done)) != NULL) {
		STAILQ_REMOVE_HEAD(&done, entry);
		clerk->n_pending--;
		if (errand->done != NULL)
			errand->done(errand);
		release(errand);
	}
}

/* Signals are the loop's. */
static int start_thread(struct clerk *clerk)
{
	pthread_attr_t attributes;
	sigset_t all, before;
	int rc;

	sigfillset(&all);
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, STACK_BYTES);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&clerk->thread, &attributes, work, clerk);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attributes);
	clerk->runs = rc == 0;
	if (clerk->runs)
		pthread_setname_np(clerk->thread, "clerk");
	return -rc;
}

struct clerk *clerk_create(struct event_base *base, struct tally *tally, int *error)
{
	struct clerk *clerk = calloc(1, sizeof(*clerk));

	*error = -ENOMEM;
	if (clerk == NULL) {
		tally_close(&tally);
		return NULL;
	}
	clerk->tally = tally;
	STAILQ_INIT(&clerk->todo);
	STAILQ_INIT(&clerk->done);
	pthread_mutex_init(&clerk->lock, NULL);
	pthread_cond_init(&clerk->given, NULL);
	clerk->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (clerk->wake_fd < 0) {
		*error = -errno;
		goto err;
	}
	clerk->returned = event_new(base, clerk->wake_fd, EV_READ | EV_PERSIST, on_returned, clerk);
	if (clerk->returned == NULL || event_add(clerk->returned, NULL) < 0)
		goto err;
	*error = start_thread(clerk);
	if (*error == 0)
		return clerk;
err:
	clerk_destroy(&clerk);
	return NULL;
}

static void end_thread(struct clerk *clerk)
{
	if (!clerk->runs)
		return;
	pthread_mutex_lock(&clerk->lock);
	clerk->ending = true;
	pthread_cond_signal(&clerk->given);
	pthread_mutex_unlock(&clerk->lock);
	pthread_join(clerk->thread, NULL);
}

void clerk_destroy(struct clerk **clerk)
{
	struct clerk *c = *clerk;
	struct errand *errand;

	if (c == NULL)
		return;
	end_thread(c);
	while ((errand = STAILQ_FIRST(&c->done)) != NULL) {
		STAILQ_REMOVE_HEAD(&c->done, entry);
		release(errand);
	}
	if (c->returned != NULL)
		event_free(c->returned);
	if (c->wake_fd >= 0)
		close(c->wake_fd);
	pthread_cond_destroy(&c->given);
	pthread_mutex_destroy(&c->lock);
	tally_close(&c->tally);
	free(c);
	*clerk = NULL;
}

void clerk_give(struct clerk *clerk, struct errand *errand)
{
	clerk->n_pending++;
	pthread_mutex_lock(&clerk->lock);
	STAILQ_INSERT_TAIL(&clerk->todo, errand, entry);
	pthread_cond_signal(&clerk->given);
	pthread_mutex_unlock(&clerk->lock);
}

size_t clerk_pending(const struct clerk *clerk)
{
	return clerk->n_pending;
}
