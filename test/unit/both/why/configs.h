/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Configurations and questions from a seed: three ports, six peers in four groups, routes, an exit
 * node, mapped and translated prefixes, egress rules, forwards and policies, each at random.
 */
#pragma once

#include <stdint.h>

/* A number below n; what follows from one seed is the same everywhere. */
void configs_seed(uint64_t seed);
unsigned configs_draw(unsigned n);

/* A configuration, to be freed. */
char *configs_make(void);

/* The words of a question to `why`: source, destination, protocol or NULL, peer or NULL. They live
 * until the next call. */
void configs_question(const char *words[4]);
