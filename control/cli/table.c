/* SPDX-License-Identifier: BSD-3-Clause */
#include <assert.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/pool.h"
#include "control/cli/cli.h"

enum {
	COLUMNS_MAX = 12,
	GAP = 2,
	WIDTH_MIN = 6, /* a column is not cut below this */
};

struct cli_table {
	struct pool *pool;
	const char *const *headers;
	size_t n_columns;
	const char **cells;
	size_t n_cells;
};

struct cli_table *cli_table_create(const char *const *headers)
{
	struct pool *pool = pool_create();
	struct cli_table *table = pool_alloc(pool, sizeof(*table));

	table->pool = pool;
	table->headers = headers;
	while (headers[table->n_columns] != NULL && table->n_columns < COLUMNS_MAX)
		table->n_columns++;
	return table;
}

void cli_table_cell(struct cli_table *table, const char *format, ...)
{
	const char *text;
	va_list args;

	va_start(args, format);
	text = pool_vprintf(table->pool, format, args);
	va_end(args);
	table->cells = pool_grow(table->pool, table->cells, table->n_cells, sizeof(*table->cells));
	table->cells[table->n_cells++] = text;
}

static bool is_right(const struct cli_table *table, size_t column)
{
	return table->headers[column][0] == '>';
}

static const char *header(const struct cli_table *table, size_t column)
{
	return table->headers[column] + is_right(table, column);
}

/* The widest columns of text give way until the row fits. */
static void fit(const struct cli_table *table, size_t *widths, unsigned columns)
{
	size_t total = GAP * (table->n_columns - 1);

	for (size_t i = 0; i < table->n_columns; i++)
		total += widths[i];
	while (columns != 0 && total > columns) {
		size_t widest = 0;
		bool found = false;

		for (size_t i = 0; i < table->n_columns; i++) {
			if (!is_right(table, i) && (!found || widths[i] > widths[widest])) {
				widest = i;
				found = true;
			}
		}
		if (!found || widths[widest] <= WIDTH_MIN)
			return;
		widths[widest]--;
		total--;
	}
}

static void print_row(const struct cli_table *table, const char *const *cells, const size_t *widths)
{
	for (size_t i = 0; i < table->n_columns; i++) {
		bool last = i + 1 == table->n_columns;
		int width = (int)widths[i];

		if (strlen(cells[i]) > widths[i])
			printf("%.*s~", width - 1, cells[i]);
		else if (is_right(table, i))
			printf("%*s", width, cells[i]);
		else
			printf("%-*s", last ? 0 : width, cells[i]);
		fputs(last ? "\n" : "  ", stdout);
	}
}

void cli_table_print(struct cli *cli, struct cli_table **table)
{
	struct cli_table *t = *table;
	size_t widths[COLUMNS_MAX];
	const char *headers[COLUMNS_MAX];

	assert(t->n_columns > 0);
	for (size_t i = 0; i < t->n_columns; i++) {
		headers[i] = header(t, i);
		widths[i] = strlen(headers[i]);
	}
	for (size_t i = 0; i < t->n_cells; i++) {
		size_t length = strlen(t->cells[i]);

		if (length > widths[i % t->n_columns])
			widths[i % t->n_columns] = length;
	}
	fit(t, widths, cli->columns);
	if (cli->colour)
		fputs("\033[1m", stdout);
	print_row(t, headers, widths);
	if (cli->colour)
		fputs("\033[0m", stdout);
	for (size_t i = 0; i + t->n_columns <= t->n_cells; i += t->n_columns)
		print_row(t, t->cells + i, widths);
	cli_table_drop(table);
}

void cli_table_drop(struct cli_table **table)
{
	struct pool *pool = (*table)->pool; /* it lies in it itself */

	pool_destroy(&pool);
	*table = NULL;
}

const char *cli_age(json_int_t unix_time, char text[16])
{
	json_int_t seconds = (json_int_t)time(NULL) - unix_time;

	if (unix_time == 0)
		return "-";
	if (seconds < 0)
		seconds = 0;
	if (seconds < 120)
		snprintf(text, 16, "%d s", (int)seconds);
	else if (seconds < 7200)
		snprintf(text, 16, "%d min", (int)(seconds / 60));
	else if (seconds < 172800)
		snprintf(text, 16, "%d h", (int)(seconds / 3600));
	else
		snprintf(text, 16, "%d d", (int)(seconds / 86400));
	return text;
}

const char *cli_text(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text == NULL ? "-" : text;
}

json_int_t cli_int(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

const char *cli_list(const json_t *object, const char *key, char *text, size_t size)
{
	const json_t *list = json_object_get(object, key), *item;
	size_t i, used = 0;

	snprintf(text, size, "-");
	json_array_foreach((json_t *)list, i, item)
	{
		int n = snprintf(text + used, size - used, "%s%s", used == 0 ? "" : ",",
			json_string_value(item) == NULL ? "?" : json_string_value(item));

		if (n < 0 || (size_t)n >= size - used)
			break;
		used += (size_t)n;
	}
	return text;
}
