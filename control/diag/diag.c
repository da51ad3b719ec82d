/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Collects findings and shows them. The source text is kept so that the line and a caret can be
 * printed beneath each one; lines are found through an index made once, since a bad file of
 * 100,000 peers has as many findings as lines.
 */
#include "control/diag/diag.h"

#include <assert.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/pool.h"

enum {
	ITEMS_MAX = 1000, /* findings that are kept; the rest is only counted */
	MASK_LINES = 3,   /* before the one that is shown */
	PATH_SHOWN = 96,  /* characters of a source line that are shown */
	WORD_MAX = 64,    /* longest word that is compared for a suggestion */
	DISTANCE_MAX = 3, /* edits beyond which a suggestion would be a guess */
};

struct source {
	const char *file;
	const char *text;
	size_t size;
	size_t *line_starts; /* byte offsets */
	size_t n_lines;
};

struct diag {
	struct pool *pool;
	struct source *sources;
	size_t n_sources;
	struct diag_item *items;
	size_t n_items;
	size_t errors;
	size_t warnings;
	bool sorted;
};

static const struct diag_code_info code_infos[] = {
#define DIAG_INFO(number, name, severity, title, explanation)                                      \
	{number, severity, title, explanation},
	DIAG_CODES(DIAG_INFO)
#undef DIAG_INFO
};

enum { N_CODES = sizeof(code_infos) / sizeof(code_infos[0]) };

static const struct diag_code_info *find_code(enum diag_code code)
{
	for (size_t i = 0; i < N_CODES; i++) {
		if (code_infos[i].code == code)
			return &code_infos[i];
	}
	return NULL;
}

static void index_lines(struct pool *pool, struct source *source)
{
	size_t n = 0;

	source->line_starts = pool_grow(pool, NULL, 0, sizeof(size_t));
	source->line_starts[n++] = 0;
	for (size_t i = 0; i < source->size; i++) {
		if (source->text[i] != '\n')
			continue;
		source->line_starts = pool_grow(pool, source->line_starts, n, sizeof(size_t));
		source->line_starts[n++] = i + 1;
	}
	source->n_lines = n;
}

uint32_t diag_add_source(struct diag *diag, const char *file, const char *text, size_t size)
{
	struct source *source;

	diag->sources =
		pool_grow(diag->pool, diag->sources, diag->n_sources, sizeof(*diag->sources));
	source = &diag->sources[diag->n_sources];
	*source = (struct source){
		.file = pool_strdup(diag->pool, file),
		.text = pool_strndup(diag->pool, size == 0 ? "" : text, size),
		.size = size,
	};
	index_lines(diag->pool, source);
	return (uint32_t)diag->n_sources++;
}

const char *diag_source_name(const struct diag *diag, uint32_t source)
{
	return diag->sources[source].file;
}

struct diag *diag_create(const char *file, const char *text, size_t size)
{
	struct pool *pool = pool_create();
	struct diag *diag = pool_alloc(pool, sizeof(*diag));

	diag->pool = pool;
	diag->sorted = true;
	diag_add_source(diag, file, text, size);
	return diag;
}

void diag_destroy(struct diag **diag)
{
	struct pool *pool;

	if (*diag == NULL)
		return;
	pool = (*diag)->pool; /* the report itself lies in its pool */
	pool_destroy(&pool);
	*diag = NULL;
}

/* Text from a file or a peer must not reach a terminal with control characters in it. */
static void make_printable(char *text)
{
	for (char *c = text; *c != '\0'; c++) {
		if (iscntrl((unsigned char)*c))
			*c = '?';
	}
}

void diag_add(struct diag *diag, enum diag_code code, struct diag_mark mark, const char *path,
	const char *hint, const char *format, ...)
{
	const struct diag_code_info *info = find_code(code);
	struct diag_item *item;
	char *message;
	va_list args;

	assert(info != NULL);
	if (info->severity == DIAG_ERROR)
		diag->errors++;
	else
		diag->warnings++;
	if (diag->n_items == ITEMS_MAX)
		return;
	va_start(args, format);
	message = pool_vprintf(diag->pool, format, args);
	va_end(args);
	make_printable(message);
	diag->items = pool_grow(diag->pool, diag->items, diag->n_items, sizeof(*item));
	item = &diag->items[diag->n_items++];
	*item = (struct diag_item){
		.code = code,
		.severity = info->severity,
		.mark = mark,
		.path = path == NULL ? "" : pool_strdup(diag->pool, path),
		.message = message,
	};
	if (hint != NULL) {
		char *copy = pool_strdup(diag->pool, hint);

		make_printable(copy);
		item->hint = copy;
	}
	diag->sorted = false;
}

size_t diag_errors(const struct diag *diag)
{
	return diag->errors;
}

size_t diag_warnings(const struct diag *diag)
{
	return diag->warnings;
}

static int compare_u32(uint32_t a, uint32_t b)
{
	return (a > b) - (a < b);
}

static int compare_items(const void *left, const void *right)
{
	const struct diag_item *a = left, *b = right;
	int order = compare_u32(a->mark.source, b->mark.source);

	if (order == 0)
		order = compare_u32(a->mark.line, b->mark.line);
	if (order == 0)
		order = compare_u32(a->mark.column, b->mark.column);
	if (order == 0)
		order = compare_u32(a->code, b->code);
	return order != 0 ? order : strcmp(a->message, b->message);
}

const struct diag_item *diag_get(struct diag *diag, size_t i)
{
	if (!diag->sorted) {
		qsort(diag->items, diag->n_items, sizeof(*diag->items), compare_items);
		diag->sorted = true;
	}
	return i < diag->n_items ? &diag->items[i] : NULL;
}

static bool is_continuation(char c)
{
	return ((unsigned char)c & 0xc0) == 0x80;
}

/* Prints characters [first, first + count) of a line, controls replaced; returns how many. */
static uint32_t print_characters(
	FILE *out, const char *line, size_t size, uint32_t first, uint32_t count)
{
	uint32_t at = 0, printed = 0;

	for (size_t i = 0; i < size; i++) {
		if (i > 0 && !is_continuation(line[i]))
			at++;
		if (at < first)
			continue;
		if (at >= first + count)
			break;
		fputc(iscntrl((unsigned char)line[i]) ? ' ' : line[i], out);
		printed = at - first + 1;
	}
	return printed;
}

/* A line may hold a secret, and this may go into a log; its key may stand on a line before. */
static void print_masked(
	FILE *out, const struct source *source, uint32_t line, size_t end, uint32_t first)
{
	size_t start = source->line_starts[line - 1];
	size_t from = source->line_starts[line > MASK_LINES ? line - 1 - MASK_LINES : 0];
	char *text = strndup(source->text + from, end - from);

	if (text == NULL)
		return;
	diag_mask(text);
	/* A NUL in it ends the copy: what cannot be looked through is not shown. */
	if (strlen(text) == end - from)
		print_characters(out, text + (start - from), end - start, first, PATH_SHOWN);
	free(text);
}

static void print_source_line(const struct source *source, FILE *out, const struct diag_item *item,
	const char *accent, const char *plain)
{
	size_t end = item->mark.line < source->n_lines ? source->line_starts[item->mark.line] - 1
						       : source->size;
	uint32_t column = item->mark.column == 0 ? 0 : item->mark.column - 1;
	uint32_t first = column > PATH_SHOWN - 24 ? column - 24 : 0;
	uint32_t length = item->mark.length == 0 ? 1 : item->mark.length;

	fprintf(out, "%5u | ", item->mark.line);
	print_masked(out, source, item->mark.line, end, first);
	fputs("\n      | ", out);
	for (uint32_t i = first; i < column; i++)
		fputc(' ', out);
	fprintf(out, "%s^", accent);
	for (uint32_t i = 1; i < length && column - first + i < PATH_SHOWN; i++)
		fputc('~', out);
	fputs(plain, out);
	if (item->hint != NULL)
		fprintf(out, " %s", item->hint);
	fputc('\n', out);
}

static void print_item(
	const struct diag *diag, FILE *out, const struct diag_item *item, bool colour)
{
	const char *accent = !colour                        ? ""
			     : item->severity == DIAG_ERROR ? "\033[1;31m"
							    : "\033[1;33m";
	const char *plain = colour ? "\033[0m" : "";
	const char *severity = item->severity == DIAG_ERROR ? "error" : "warning";
	const struct source *source = &diag->sources[item->mark.source];
	char code[DIAG_CODE_TEXT_MAX];

	fprintf(out, "%s:", source->file);
	if (item->mark.line != 0)
		fprintf(out, "%u:%u:", item->mark.line, item->mark.column);
	fprintf(out, " %s%s[%s]%s: %s\n", accent, severity, diag_code_format(item->code, code),
		plain, item->message);
	/* The line may hold the secret itself, and this may go into a log. */
	if (item->mark.line != 0 && item->mark.line <= source->n_lines &&
		item->code != DIAG_BAD_SECRET)
		print_source_line(source, out, item, accent, plain);
	else if (item->hint != NULL)
		fprintf(out, "      | %s\n", item->hint);
}

static void print_count(FILE *out, size_t n, const char *noun)
{
	fprintf(out, "%zu %s%s", n, noun, n == 1 ? "" : "s");
}

void diag_print(struct diag *diag, FILE *out, bool colour)
{
	const struct diag_item *item;
	char code[DIAG_CODE_TEXT_MAX];

	for (size_t i = 0; (item = diag_get(diag, i)) != NULL; i++)
		print_item(diag, out, item, colour);
	if (diag->errors + diag->warnings == 0)
		return;
	if (diag->errors > 0)
		print_count(out, diag->errors, "error");
	if (diag->errors > 0 && diag->warnings > 0)
		fputs(", ", out);
	if (diag->warnings > 0)
		print_count(out, diag->warnings, "warning");
	if (diag->errors + diag->warnings > diag->n_items)
		fprintf(out, " (the first %zu are shown)", diag->n_items);
	/* The code to look up is that of the first error, if there is one. */
	item = diag_get(diag, 0);
	for (size_t i = 0; diag->errors > 0 && item->severity != DIAG_ERROR && i < diag->n_items;
		i++)
		item = diag_get(diag, i);
	fprintf(out, ".%s More: sallyport explain %s\n",
		diag->errors > 0 ? " Nothing was changed." : "",
		diag_code_format(item->code, code));
}

static json_t *item_json(const struct diag *diag, const struct diag_item *item)
{
	char code[DIAG_CODE_TEXT_MAX];
	json_t *json = json_object();

	json_object_set_new(json, "file", json_string(diag->sources[item->mark.source].file));
	json_object_set_new(json, "line", json_integer(item->mark.line));
	json_object_set_new(json, "col", json_integer(item->mark.column));
	json_object_set_new(json, "code", json_string(diag_code_format(item->code, code)));
	json_object_set_new(
		json, "severity", json_string(item->severity == DIAG_ERROR ? "error" : "warning"));
	json_object_set_new(json, "path", json_string(item->path));
	json_object_set_new(json, "message", json_string(item->message));
	json_object_set_new(
		json, "hint", item->hint == NULL ? json_null() : json_string(item->hint));
	return json;
}

json_t *diag_json(struct diag *diag)
{
	json_t *json = json_object();
	json_t *findings = json_array();
	const struct diag_item *item;

	for (size_t i = 0; (item = diag_get(diag, i)) != NULL; i++)
		json_array_append_new(findings, item_json(diag, item));
	json_object_set_new(json, "file", json_string(diag->sources[0].file));
	json_object_set_new(json, "errors", json_integer((json_int_t)diag->errors));
	json_object_set_new(json, "warnings", json_integer((json_int_t)diag->warnings));
	json_object_set_new(json, "findings", findings);
	return json;
}

const struct diag_code_info *diag_code_at(size_t i)
{
	return i < N_CODES ? &code_infos[i] : NULL;
}

const struct diag_code_info *diag_explain(const char *code)
{
	char *end;
	unsigned long number;

	if (strncasecmp(code, "SP", 2) == 0)
		code += 2;
	if (!isdigit((unsigned char)code[0]))
		return NULL;
	number = strtoul(code, &end, 10);
	if (*end != '\0' || number > 9999)
		return NULL;
	return find_code((enum diag_code)number);
}

const char *diag_code_format(enum diag_code code, char text[DIAG_CODE_TEXT_MAX])
{
	snprintf(text, DIAG_CODE_TEXT_MAX, "SP%04u", (unsigned)code % 10000);
	return text;
}

/* Levenshtein's distance, with a swap of neighbours as one edit. */
static unsigned edit_distance(const char *a, size_t n_a, const char *b, size_t n_b)
{
	unsigned rows[3][WORD_MAX + 1];

	for (size_t j = 0; j <= n_b; j++)
		rows[0][j] = (unsigned)j;
	for (size_t i = 1; i <= n_a; i++) {
		unsigned *row = rows[i % 3], *above = rows[(i + 2) % 3],
			 *second = rows[(i + 1) % 3];

		row[0] = (unsigned)i;
		for (size_t j = 1; j <= n_b; j++) {
			unsigned best = above[j - 1] + (a[i - 1] != b[j - 1]);

			if (above[j] + 1 < best)
				best = above[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
				second[j - 2] + 1 < best)
				best = second[j - 2] + 1;
			row[j] = best;
		}
	}
	return rows[n_a % 3][n_b];
}

const char *diag_suggest(const char *word, const char *const *candidates, size_t n)
{
	size_t length = strlen(word);
	unsigned best = length <= 3 ? 2 : length <= 6 ? 3 : DISTANCE_MAX + 1;
	const char *suggestion = NULL;

	if (length == 0 || length > WORD_MAX)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		size_t other = strlen(candidates[i]);
		unsigned distance;

		if (other > WORD_MAX || other + DISTANCE_MAX < length ||
			length + DISTANCE_MAX < other)
			continue;
		/* "proto" for "protocol" is a habit, not a slip. */
		distance = length >= 4 && strncmp(word, candidates[i], length) == 0
				   ? 1
				   : edit_distance(word, length, candidates[i], other);
		if (distance < best) {
			best = distance;
			suggestion = candidates[i];
		}
	}
	return suggestion;
}
