/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is wrong with a configuration, said the same way everywhere: each finding has a code that
 * `sallyport explain` knows, a place in a file, the path of the object, one sentence and a hint.
 * Findings are collected (a person corrects a file once, not once per error) and shown as text
 * with the source line and a caret, or as JSON. One thread at a time.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "control/diag/codes.h"

enum { DIAG_CODE_TEXT_MAX = 8 }; /* "SP0101" */

enum diag_severity {
	DIAG_ERROR,
	DIAG_WARNING,
};

enum diag_code {
#define DIAG_ENUM(number, name, severity, title, explanation) DIAG_##name = number,
	DIAG_CODES(DIAG_ENUM)
#undef DIAG_ENUM
};

/* A place in a source; line and column count from 1, columns and length in characters. */
struct diag_mark {
	uint32_t line; /* 0 = no place in the file */
	uint32_t column;
	uint32_t length;
	uint32_t source; /* 0 = the report's own file, else of diag_add_source() */
};

struct diag_code_info {
	enum diag_code code;
	enum diag_severity severity;
	const char *title;
	const char *explanation; /* paragraphs separated by '\n' */
};

struct diag_item {
	enum diag_code code;
	enum diag_severity severity;
	struct diag_mark mark;
	const char *path; /* "peers.anna.groups[0]", or "" */
	const char *message;
	const char *hint; /* or NULL */
};

struct diag;

/* A report about one file. `text` is copied; it may be empty when the file could not be read.
 * Never NULL. */
struct diag *diag_create(const char *file, const char *text, size_t size);
void diag_destroy(struct diag **diag);

/* Another file that findings may point into; returns its number for struct diag_mark. */
uint32_t diag_add_source(struct diag *diag, const char *file, const char *text, size_t size);

/* What a source is called. Valid as long as the report. */
const char *diag_source_name(const struct diag *diag, uint32_t source);

/* Adds a finding; path and hint may be NULL; all texts are copied. Beyond a bound of findings
 * only the count grows. */
void diag_add(struct diag *diag, enum diag_code code, struct diag_mark mark, const char *path,
	const char *hint, const char *format, ...) __attribute__((format(printf, 6, 7)));

size_t diag_errors(const struct diag *diag);
size_t diag_warnings(const struct diag *diag);

/* Findings in the order of the file, NULL past the end. Valid until the next diag_add(). */
const struct diag_item *diag_get(struct diag *diag, size_t i);

/* file:line:col: error[SPnnnn]: text, the source line, caret and hint; then the closing line. */
void diag_print(struct diag *diag, FILE *out, bool colour);

/* {file, errors, warnings, findings: [{file,line,col,code,severity,path,message,hint}]}; a new
 * reference. */
json_t *diag_json(struct diag *diag);

/* "SP0101", "sp101" or "101"; NULL if there is no such code. A constant. */
const struct diag_code_info *diag_explain(const char *code);

/* Every code in order; NULL past the end. */
const struct diag_code_info *diag_code_at(size_t i);

const char *diag_code_format(enum diag_code code, char text[DIAG_CODE_TEXT_MAX]);

/* Stars in place of keys that somebody wrote into a configuration, in a text of one. */
void diag_mask(char *text);

/* The candidate nearest to `word` by edit distance, if near enough to be a slip of the hand; or
 * NULL. Returns one of the candidates. */
const char *diag_suggest(const char *word, const char *const *candidates, size_t n);
