/* SPDX-License-Identifier: BSD-3-Clause */
/* What programs that measure have in common. */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline int figures_compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Sorts them; returns the median. */
static inline double figures_median(double *values, unsigned n)
{
	qsort(values, n, sizeof(*values), figures_compare);
	return values[n / 2];
}

/* Bytes of memory that this process has now. */
static inline double figures_resident(void)
{
	unsigned long all, here = 0;
	FILE *file = fopen("/proc/self/statm", "r");

	if (file == NULL || fscanf(file, "%lu %lu", &all, &here) != 2)
		here = 0;
	if (file != NULL)
		fclose(file);
	return (double)here * (double)sysconf(_SC_PAGESIZE);
}
