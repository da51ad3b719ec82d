/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/wireguard/tai64n.h"

#include <stdio.h>
#include <string.h>

enum {
	SECONDS_SIZE = 8,
	NS_PER_S = 1000000000,
};

/* TAI64 labels begin at 2^62; TAI was 10 s ahead when Unix time began. */
#define EPOCH (UINT64_C(0x4000000000000000) + 10)

static void store_be(uint8_t *to, uint64_t value, int size)
{
	for (int i = size - 1; i >= 0; i--, value >>= 8)
		to[i] = (uint8_t)value;
}

static uint64_t load_be(const uint8_t *from, int size)
{
	uint64_t value = 0;

	for (int i = 0; i < size; i++)
		value = value << 8 | from[i];
	return value;
}

struct tai64n tai64n_from_time(const struct timespec *wall)
{
	struct tai64n stamp = {0};

	store_be(stamp.bytes, EPOCH + (uint64_t)wall->tv_sec, SECONDS_SIZE);
	store_be(stamp.bytes + SECONDS_SIZE, (uint64_t)wall->tv_nsec & ~(TAI64N_GRAIN_NS - 1ULL),
		TAI64N_SIZE - SECONDS_SIZE);
	return stamp;
}

struct tai64n tai64n_now(void)
{
	struct timespec wall;

	clock_gettime(CLOCK_REALTIME, &wall);
	return tai64n_from_time(&wall);
}

struct tai64n tai64n_next(const struct tai64n *now, const struct tai64n *last)
{
	struct tai64n stamp = {0};
	uint64_t seconds;
	uint64_t ns;

	if (tai64n_compare(now, last) > 0)
		return *now;
	seconds = load_be(last->bytes, SECONDS_SIZE);
	ns = load_be(last->bytes + SECONDS_SIZE, TAI64N_SIZE - SECONDS_SIZE) + TAI64N_GRAIN_NS;
	if (ns >= NS_PER_S) {
		ns = 0;
		seconds++;
	}
	store_be(stamp.bytes, seconds, SECONDS_SIZE);
	store_be(stamp.bytes + SECONDS_SIZE, ns, TAI64N_SIZE - SECONDS_SIZE);
	return stamp;
}

int tai64n_compare(const struct tai64n *a, const struct tai64n *b)
{
	int order = memcmp(a->bytes, b->bytes, TAI64N_SIZE);

	return (order > 0) - (order < 0);
}

bool tai64n_is_zero(const struct tai64n *stamp)
{
	static const struct tai64n zero;

	return tai64n_compare(stamp, &zero) == 0;
}

const char *tai64n_format(const struct tai64n *stamp, char text[TAI64N_TEXT_MAX])
{
	snprintf(text, TAI64N_TEXT_MAX, "@%016llx%08llx",
		(unsigned long long)load_be(stamp->bytes, SECONDS_SIZE),
		(unsigned long long)load_be(
			stamp->bytes + SECONDS_SIZE, TAI64N_SIZE - SECONDS_SIZE));
	return text;
}
