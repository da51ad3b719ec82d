/* SPDX-License-Identifier: BSD-3-Clause */
/* The forms of what is printed: JSON, whole or in lines, YAML of the same, and a pager on a
 * terminal. */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <yaml.h>

#include "control/cli/cli.h"

/* One command per process. */
static bool as_yaml, as_lines, with_time;
static const char *line_rows;

bool cli_set_output(struct cli *cli)
{
	as_yaml = false;
	as_lines = cli->lines;
	cli_set_lines(NULL, false);
	if (cli->output != NULL && strcmp(cli->output, "text") != 0) {
		as_yaml = strcmp(cli->output, "yaml") == 0;
		as_lines |= strcmp(cli->output, "jsonl") == 0;
		if (!as_yaml && !as_lines && strcmp(cli->output, "json") != 0)
			return false;
		cli->json = true;
	}
	cli->json |= as_lines;
	cli->lines = as_lines;
	return true;
}

void cli_set_lines(const char *rows, bool stamped)
{
	line_rows = rows;
	with_time = stamped;
}

static bool emit_scalar(yaml_emitter_t *emitter, const char *text, bool is_text)
{
	yaml_event_t event;

	/* A text that a reader would take for a number or a truth value keeps its quotes. */
	return yaml_scalar_event_initialize(&event, NULL,
		       (const yaml_char_t *)(is_text ? YAML_STR_TAG : NULL),
		       (const yaml_char_t *)text, (int)strlen(text), !is_text, is_text,
		       is_text ? YAML_DOUBLE_QUOTED_SCALAR_STYLE : YAML_PLAIN_SCALAR_STYLE) &&
	       yaml_emitter_emit(emitter, &event);
}

static bool emit(yaml_emitter_t *emitter, const json_t *json);

static bool emit_array(yaml_emitter_t *emitter, const json_t *json)
{
	yaml_event_t event;
	const json_t *item;
	size_t i;

	if (!yaml_sequence_start_event_initialize(
		    &event, NULL, NULL, 1, YAML_BLOCK_SEQUENCE_STYLE) ||
		!yaml_emitter_emit(emitter, &event))
		return false;
	json_array_foreach((json_t *)json, i, item)
	{
		if (!emit(emitter, item))
			return false;
	}
	return yaml_sequence_end_event_initialize(&event) && yaml_emitter_emit(emitter, &event);
}

static bool emit_object(yaml_emitter_t *emitter, const json_t *json)
{
	yaml_event_t event;
	const char *key;
	json_t *value;

	if (!yaml_mapping_start_event_initialize(&event, NULL, NULL, 1, YAML_BLOCK_MAPPING_STYLE) ||
		!yaml_emitter_emit(emitter, &event))
		return false;
	json_object_foreach((json_t *)json, key, value)
	{
		bool plain = strspn(key, "abcdefghijklmnopqrstuvwxyz_") == strlen(key) &&
			     strlen(key) > 3; /* longer than y, no, yes, on, off */

		if (!emit_scalar(emitter, key, !plain) || !emit(emitter, value))
			return false;
	}
	return yaml_mapping_end_event_initialize(&event) && yaml_emitter_emit(emitter, &event);
}

static bool emit(yaml_emitter_t *emitter, const json_t *json)
{
	char *text;
	bool done;

	if (json_is_object(json))
		return emit_object(emitter, json);
	if (json_is_array(json))
		return emit_array(emitter, json);
	if (json_is_string(json))
		return emit_scalar(emitter, json_string_value(json), true);
	text = json_dumps(json, JSON_ENCODE_ANY);
	done = text != NULL && emit_scalar(emitter, text, false);
	free(text);
	return done;
}

static void print_yaml(const json_t *json)
{
	yaml_emitter_t emitter;
	yaml_event_t event;

	if (!yaml_emitter_initialize(&emitter))
		return;
	yaml_emitter_set_output_file(&emitter, stdout);
	yaml_emitter_set_unicode(&emitter, 1);
	yaml_emitter_set_width(&emitter, -1);
	/* One of several has the line between documents before it. */
	if (!yaml_stream_start_event_initialize(&event, YAML_UTF8_ENCODING) ||
		!yaml_emitter_emit(&emitter, &event) ||
		!yaml_document_start_event_initialize(&event, NULL, NULL, NULL, !with_time) ||
		!yaml_emitter_emit(&emitter, &event) || !emit(&emitter, json) ||
		!yaml_document_end_event_initialize(&event, 1) ||
		!yaml_emitter_emit(&emitter, &event) || !yaml_emitter_flush(&emitter))
		fprintf(stderr, "sallyport: cannot print YAML: %s\n", emitter.problem);
	yaml_emitter_delete(&emitter);
}

/* Which members to expect: sallyport(1). A JSON Schema says for itself. */
static void mark(json_t *json, json_int_t at_ms)
{
	if (json_object_get(json, "schema") == NULL && json_object_get(json, "$schema") == NULL)
		json_object_set_new(json, "schema", json_integer(1));
	if (with_time)
		json_object_set_new(json, "at_ms", json_integer(at_ms));
}

static void print_line(json_t *json, json_int_t at_ms)
{
	mark(json, at_ms);
	json_dumpf(json, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER);
	putchar('\n');
}

static void print_lines(json_t *json, json_int_t at_ms)
{
	json_t *rows = line_rows == NULL ? NULL : json_object_get(json, line_rows), *row;
	size_t i;

	if (!json_is_array(rows)) {
		print_line(json, at_ms);
		return;
	}
	json_array_foreach(rows, i, row) print_line(row, at_ms);
}

void cli_print_json(json_t *json)
{
	struct timespec now;
	json_int_t at_ms;

	clock_gettime(CLOCK_REALTIME, &now);
	at_ms = (json_int_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
	if (as_lines) {
		print_lines(json, at_ms);
		return;
	}
	mark(json, at_ms);
	if (as_yaml) {
		print_yaml(json);
		return;
	}
	json_dumpf(json, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
	putchar('\n');
}

void cli_print_json_new(json_t *json)
{
	cli_print_json(json);
	json_decref(json);
}

/* As much of a word as goes on a line: what is wider than a whole one is cut anywhere. */
static size_t part_of(const char *text, size_t width, size_t indent)
{
	size_t word = strcspn(text, " \n"), room = width > indent ? width - indent : 1;

	return word > room ? room : word;
}

void cli_print_wrapped(const struct cli *cli, size_t used, const char *indent, const char *text)
{
	size_t width = cli->columns == 0 ? SIZE_MAX : cli->columns, gap = 0;
	bool fresh = false; /* nothing but the indent on this line */

	while (*text != '\0') {
		size_t word = part_of(text, width, strlen(indent));
		bool breaks = *text == '\n';

		if (breaks || (!fresh && used + gap + word > width)) {
			printf("\n%s", indent);
			used = strlen(indent);
			fresh = true;
			text += breaks;
			gap = 0;
			if (breaks)
				text += strspn(text, " ");
			continue;
		}
		printf("%*s%.*s", (int)gap, "", (int)word, text);
		used += gap + word;
		fresh = false;
		text += word;
		gap = strspn(text, " ");
		text += gap;
	}
	putchar('\n');
}

void cli_print_line(const struct cli *cli, const char *indent, const char *format, ...)
{
	char *text;
	va_list args;
	int n;

	va_start(args, format);
	n = vasprintf(&text, format, args);
	va_end(args);
	if (n < 0)
		abort();
	cli_print_wrapped(cli, 0, indent, text);
	free(text);
}

pid_t cli_pager_start(struct cli *cli)
{
	const char *program = getenv("PAGER");
	int ends[2];
	pid_t pid;

	if (cli->columns == 0 || cli->json || cli->given & (CLI_CHECK | CLI_PAGED))
		return -1;
	if (program == NULL)
		program = "command -v less >/dev/null && exec less; exec cat";
	if (program[0] == '\0' || strcmp(program, "cat") == 0 || pipe(ends) < 0)
		return -1;
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		/* Ends by itself if all fits on the screen, and keeps colours. */
		setenv("LESS", "FRX", 0);
		dup2(ends[0], STDIN_FILENO);
		close(ends[0]);
		close(ends[1]);
		execl("/bin/sh", "sh", "-c", program, (char *)NULL);
		_exit(127);
	}
	if (pid > 0)
		dup2(ends[1], STDOUT_FILENO);
	close(ends[0]);
	close(ends[1]);
	return pid;
}

void cli_pager_end(pid_t pager)
{
	if (pager <= 0)
		return;
	fclose(stdout); /* the pager reads to the end */
	while (waitpid(pager, NULL, 0) < 0 && errno == EINTR)
		;
}
