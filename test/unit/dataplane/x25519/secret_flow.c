/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Multiplies with scalars and points marked as undefined memory: under memcheck a branch or an
 * address that depends on them is an error. The kernel is the one compiled against the plain-C
 * model of its intrinsics. Products are defined again only to be compared with libsodium's.
 *
 * secret_flow [leak]: with `leak` it branches on a product, which the checker must find.
 */
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <valgrind/memcheck.h>

#include "dataplane/x25519/x25519_priv.h"

enum { JOBS = 33 };

static struct key scalars[JOBS], points[JOBS], products[JOBS];
static struct x25519_job jobs[JOBS];

static void multiply(unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		randombytes_buf(&scalars[i], sizeof(scalars[i]));
		randombytes_buf(&points[i], sizeof(points[i]));
		if (i % 9 == 5)
			memset(&points[i], 0, sizeof(points[i]));
		jobs[i] = (struct x25519_job){.scalar = &scalars[i],
			.point = i % 4 == 3 ? NULL : &points[i],
			.product = &products[i]};
		VALGRIND_MAKE_MEM_UNDEFINED(&scalars[i], sizeof(scalars[i]));
		VALGRIND_MAKE_MEM_UNDEFINED(&points[i], sizeof(points[i]));
	}
	x25519_avx512.burst(jobs, count);
}

static int compare(unsigned count)
{
	VALGRIND_MAKE_MEM_DEFINED(scalars, sizeof(scalars));
	VALGRIND_MAKE_MEM_DEFINED(points, sizeof(points));
	VALGRIND_MAKE_MEM_DEFINED(products, sizeof(products));
	for (unsigned i = 0; i < count; i++) {
		struct key expected;
		int rc = jobs[i].point == NULL
				 ? crypto_scalarmult_base(expected.bytes, scalars[i].bytes)
				 : crypto_scalarmult(
					   expected.bytes, scalars[i].bytes, points[i].bytes);

		if (rc != 0)
			memset(&expected, 0, sizeof(expected));
		if (memcmp(&expected, &products[i], sizeof(expected)) != 0) {
			fprintf(stderr, "job %u of %u: wrong product\n", i, count);
			return 1;
		}
	}
	return 0;
}

int main(int argc, char **argv)
{
	static const unsigned counts[] = {1, 8, JOBS};

	if (sodium_init() < 0)
		return 1;
	if (argc > 1 && strcmp(argv[1], "leak") == 0) {
		multiply(1);
		if (products[0].bytes[0] & 1)
			puts("leaked");
		return 0;
	}
	for (unsigned i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		multiply(counts[i]);
		if (compare(counts[i]) != 0)
			return 1;
	}
	puts("done");
	return 0;
}
