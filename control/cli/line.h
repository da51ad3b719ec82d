/* SPDX-License-Identifier: BSD-3-Clause */
/* A line of progress on a terminal, or lines elsewhere (progress.c). */
#pragma once

#include <stdint.h>
#include <stdio.h>

#include "control/progress/progress.h"

struct cli_line {
	FILE *out;
	unsigned columns; /* 0 = no terminal: a whole line each ten seconds */
	uint64_t (*now_ms)(void *arg);
	void *arg;
	uint64_t start_ms, drawn_ms;
	char what[64]; /* the work under way, since when, and how much of it was done then */
	uint64_t work_ms, work_done;
	int width; /* of what stands there now */
};

/* The clock is the caller's, and the patience with which nothing is drawn begins now. */
void cli_line_init(struct cli_line *line, FILE *out, unsigned columns,
	uint64_t (*now_ms)(void *arg), void *arg);
void cli_line_step(struct cli_line *line, const struct progress *now);

/* Leaves the line empty. */
void cli_line_end(struct cli_line *line);
