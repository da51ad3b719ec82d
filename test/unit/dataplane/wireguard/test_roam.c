/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>

#include "dataplane/wireguard/roam.h"

enum { ROUNDS = 20000 };

/* Every field says the same, so that a mixture shows. */
static struct handshake_source source_of(unsigned n)
{
	struct handshake_source source;

	memset(&source, (int)(n % 251 + 1), sizeof(source));
	return source;
}

static void test_one_at_a_time(void **state)
{
	struct roam roam = {0};
	struct handshake_source first = source_of(1), second = source_of(2), read;

	for (unsigned i = 0; i < 3; i++) {
		assert_false(roam_pending(&roam));
		assert_false(roam_read(&roam, &read));
		assert_true(roam_begin(&roam, &first));
		assert_true(roam_pending(&roam));
		assert_false(roam_begin(&roam, &second));
		assert_true(roam_read(&roam, &read));
		assert_memory_equal(&read, &first, sizeof(read));
		roam_end(&roam);
	}
	assert_true(roam_begin(&roam, &second));
	assert_true(roam_read(&roam, &read));
	assert_memory_equal(&read, &second, sizeof(read));
}

static void test_nothing_is_read_while_it_is_written(void **state)
{
	struct roam roam = {.state = ROAM_WRITING};
	struct handshake_source read, source = source_of(1);

	assert_false(roam_pending(&roam));
	assert_false(roam_read(&roam, &read));
	assert_false(roam_begin(&roam, &source));
}

struct shared {
	struct roam roam;
	_Atomic bool over;
};

static void *write_all(void *arg)
{
	struct shared *shared = arg;

	for (unsigned i = 0; i < ROUNDS; i++) {
		struct handshake_source source = source_of(i);

		if (roam_begin(&shared->roam, &source))
			roam_end(&shared->roam);
	}
	atomic_store(&shared->over, true);
	return NULL;
}

static void test_what_is_read_is_of_one_occasion(void **state)
{
	static struct shared shared;
	pthread_t writer;

	assert_int_equal(pthread_create(&writer, NULL, write_all, &shared), 0);
	while (!atomic_load(&shared.over)) {
		struct handshake_source read;
		const uint8_t *bytes = (const uint8_t *)&read;

		if (!roam_read(&shared.roam, &read))
			continue;
		for (size_t i = 1; i < sizeof(read); i++)
			assert_int_equal(bytes[i], bytes[0]);
	}
	assert_int_equal(pthread_join(writer, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_at_a_time),
		cmocka_unit_test(test_nothing_is_read_while_it_is_written),
		cmocka_unit_test(test_what_is_read_is_of_one_occasion),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
