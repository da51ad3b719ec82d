/* SPDX-License-Identifier: BSD-3-Clause */
/* What is drawn of a work that takes long, by a clock of the test's, and when listeners hear. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/cli/line.h"
#include "control/progress/progress.h"

static uint64_t clock_ms;
static char *drawn;
static size_t drawn_size;
static FILE *out;
static struct cli_line line;

static uint64_t now_ms(void *arg)
{
	return clock_ms;
}

static void begin(unsigned columns)
{
	out = open_memstream(&drawn, &drawn_size);
	assert_non_null(out);
	clock_ms = 5000;
	cli_line_init(&line, out, columns, now_ms, NULL);
}

static void end(void)
{
	fclose(out);
	free(drawn);
}

static void step_at(
	uint64_t ms, const char *what, enum progress_unit unit, uint64_t done, uint64_t total)
{
	clock_ms = 5000 + ms;
	cli_line_step(&line, &(struct progress){what, unit, done, total});
}

/* All that was drawn since the last time. */
static void assert_drawn(const char *wanted)
{
	fflush(out);
	assert_string_equal(drawn, wanted);
	fseek(out, 0, SEEK_SET);
	fflush(out);
	memset(drawn, 0, strlen(wanted));
}

/* A step, and what it draws. */
static void draws_at(uint64_t ms, const char *what, enum progress_unit unit, uint64_t done,
	uint64_t total, const char *wanted)
{
	step_at(ms, what, unit, done, total);
	assert_drawn(wanted);
}

static void test_rate_and_time_left(void **state)
{
	begin(80);
	step_at(0, "programming", PROGRESS_ITEMS, 0, 1000);
	draws_at(1400, "programming", PROGRESS_ITEMS, 140, 1000,
		""); /* what is quick needs no line */
	draws_at(2000, "programming", PROGRESS_ITEMS, 200, 1000,
		"\rprogramming  200 of 1000  20 %  100/s  8 s left");
	draws_at(2100, "programming", PROGRESS_ITEMS, 210, 1000, ""); /* a moment ago */
	draws_at(5000, "programming", PROGRESS_ITEMS, 999, 1000,
		"\rprogramming  999 of 1000  99 %  199/s  0 s left");
	/* The rate is this work's, and a shorter line leaves nothing of a longer one. */
	draws_at(6000, "applying", PROGRESS_ITEMS, 0, 0,
		"\rapplying  0 s                                  \rapplying  0 s");
	draws_at(9000, "applying", PROGRESS_ITEMS, 0, 0, "\rapplying  3 s");
	cli_line_end(&line);
	assert_drawn("\r             \r\r");
	cli_line_end(&line);
	assert_drawn("");
	end();
}

static void test_units(void **state)
{
	begin(80);
	step_at(0, "reading", PROGRESS_BYTES, 0, 200000000);
	draws_at(4000, "reading", PROGRESS_BYTES, 1000000, 200000000,
		"\rreading  1.0 MB of 200 MB  0 %  250 kB/s  13 min left");
	/* A file of several: it begins anew. */
	draws_at(4300, "reading", PROGRESS_BYTES, 0, 200000000,
		"\rreading  0 B of 200 MB  0 %                          \rreading  0 B of "
		"200 MB  0 %");
	end();
}

/* Of what another process does only the share is known. */
static void test_share(void **state)
{
	begin(80);
	step_at(0, "applying", PROGRESS_THOUSANDTHS, 0, 1000);
	draws_at(2000, "applying", PROGRESS_THOUSANDTHS, 250, 1000, "\rapplying  25 %  6 s left");
	end();
}

static void test_narrow_and_piped(void **state)
{
	begin(20);
	step_at(0, "programming the data plane", PROGRESS_ITEMS, 0, 10);
	draws_at(3000, "programming the data plane", PROGRESS_ITEMS, 5, 10,
		"\rprogramming the dat"); /* 19: the last column stays free */
	end();
	begin(0);
	step_at(0, "programming", PROGRESS_ITEMS, 0, 10000);
	draws_at(9000, "programming", PROGRESS_ITEMS, 4500, 10000, "");
	draws_at(10000, "programming", PROGRESS_ITEMS, 5000, 10000,
		"programming  5000 of 10000  50 %  500/s  10 s left\n");
	draws_at(19000, "programming", PROGRESS_ITEMS, 9500, 10000, "");
	draws_at(21000, "applying", PROGRESS_ITEMS, 0, 0, "applying  0 s\n");
	cli_line_end(&line);
	assert_drawn("");
	end();
}

static unsigned n_told, n_ended;
static struct progress told;

static void note(const struct progress *now, void *arg)
{
	if (now == NULL) {
		n_ended++;
		return;
	}
	told = *now;
	n_told++;
}

static void test_listening(void **state)
{
	static const char what[] = "work";
	struct progress now;

	progress_listen(note, NULL);
	assert_false(progress_look(&now));
	for (unsigned i = 0; i < 100000; i++)
		progress_step(what, PROGRESS_ITEMS, i, 100000);
	assert_true(n_told >= 1 && n_told < 10000); /* not each of them */
	assert_true(progress_look(&now));
	assert_int_equal(now.done, 99999);
	progress_step(what, PROGRESS_ITEMS, 100000, 100000);
	assert_int_equal(told.done, 100000); /* the last one always */
	assert_int_equal(n_ended, 0);
	progress_end();
	progress_end();
	assert_int_equal(n_ended, 1);
	assert_false(progress_look(&now));
	progress_listen(NULL, NULL);
	progress_step(what, PROGRESS_ITEMS, 1, 2);
	assert_int_equal(told.done, 100000);
	progress_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rate_and_time_left),
		cmocka_unit_test(test_units),
		cmocka_unit_test(test_share),
		cmocka_unit_test(test_narrow_and_piped),
		cmocka_unit_test(test_listening),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
