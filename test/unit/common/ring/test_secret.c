/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/ring/secret.h"

static const struct key keys[3] = {{{1, 2, 3}}, {{4, 5, 6}}, {{7, 8, 9}}};

static void keys_are_taken_once_and_wiped(void **state)
{
	static const struct key zero;
	int error = 0, fd = secret_seal(keys, 3);
	int other = dup(fd); /* what a curious sender keeps */
	struct secret_box *box;
	struct key out, left;

	assert_true(fd >= 0);
	box = secret_open(fd, 42, &error);
	assert_non_null(box);
	assert_int_equal(secret_token(box), 42);
	assert_int_equal(secret_count(box), 3);
	assert_true(secret_present(box, 1));
	assert_int_equal(secret_take(box, 1, out.bytes), 0);
	assert_memory_equal(&out, &keys[1], sizeof(out));
	/* Gone from the memory that both could see. */
	assert_int_equal(pread(other, &left, sizeof(left), sizeof(left)), sizeof(left));
	assert_memory_equal(&left, &zero, sizeof(left));
	assert_int_equal(pread(other, &left, sizeof(left), 0), sizeof(left));
	assert_memory_equal(&left, &keys[0], sizeof(left));

	assert_false(secret_present(box, 1));
	assert_int_equal(secret_take(box, 1, out.bytes), -ENOENT);
	assert_memory_equal(&out, &zero, sizeof(out));
	assert_int_equal(secret_take(box, 3, out.bytes), -ENOENT);
	assert_int_equal(secret_take(box, UINT32_MAX, out.bytes), -ENOENT);
	assert_int_equal(secret_take(box, 0, out.bytes), 0);
	assert_false(secret_is_empty(box));
	/* What nobody took is wiped, too. */
	secret_drop(&box);
	assert_null(box);
	assert_int_equal(pread(other, &left, sizeof(left), 2 * sizeof(left)), sizeof(left));
	assert_memory_equal(&left, &zero, sizeof(left));
	close(other);
}

static void nobody_else_can_write_after_receipt(void **state)
{
	int error, fd = secret_seal(keys, 3);
	int other = dup(fd);
	struct secret_box *box;
	void *map;

	assert_int_not_equal(ftruncate(other, 32), 0); /* sealed when it is sent */
	assert_int_not_equal(ftruncate(other, 4096), 0);
	box = secret_open(fd, 1, &error);
	assert_non_null(box);
	assert_int_equal(pwrite(other, "x", 1, 0), -1);
	map = mmap(NULL, 96, PROT_READ | PROT_WRITE, MAP_SHARED, other, 0);
	assert_true(map == MAP_FAILED);
	assert_int_not_equal(
		fallocate(other, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 96), 0);
	assert_int_not_equal(fcntl(other, F_ADD_SEALS, F_SEAL_WRITE), 0);
	secret_drop(&box);
	close(other);
}

static int memfd(size_t bytes, int seals)
{
	int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_int_equal(ftruncate(fd, (off_t)bytes), 0);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
	return fd;
}

static void others_are_refused(void **state)
{
	const int good = F_SEAL_SHRINK | F_SEAL_GROW;
	const struct {
		size_t bytes;
		int seals;
		int error;
	} rows[] = {
		{32, good, 0},
		{32, F_SEAL_SHRINK, -EPERM},
		{32, F_SEAL_GROW, -EPERM},
		{32, 0, -EPERM},
		{32, good | F_SEAL_WRITE, -EPERM}, /* could not be wiped */
		{32, good | F_SEAL_SEAL, -EPERM},
		{0, good, -EMSGSIZE},
		{31, good, -EMSGSIZE},
		{33, good, -EMSGSIZE},
		{(size_t)SECRET_KEYS_MAX * 32 + 32, good, -EMSGSIZE},
	};
	int error, pipes[2];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int fd = memfd(rows[i].bytes, rows[i].seals);
		struct secret_box *box;

		error = 0;
		box = secret_open(fd, 1, &error);
		assert_int_equal(error, rows[i].error);
		assert_int_equal(box != NULL, rows[i].error == 0);
		secret_drop(&box);
		assert_int_equal(fcntl(fd, F_GETFD), -1); /* taken over either way */
	}
	assert_int_equal(pipe(pipes), 0);
	assert_null(secret_open(pipes[0], 1, &error)); /* not a memfd at all */
	assert_int_equal(error, -EPERM);
	close(pipes[1]);
	assert_int_equal(secret_seal(keys, 0), -EMSGSIZE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_are_taken_once_and_wiped),
		cmocka_unit_test(nobody_else_can_write_after_receipt),
		cmocka_unit_test(others_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
