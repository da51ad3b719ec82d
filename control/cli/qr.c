/* SPDX-License-Identifier: BSD-3-Clause */
/* A wg-quick file as a QR code of half blocks: two rows of modules in a line of text. */
#include <langinfo.h>
#include <locale.h>
#include <qrencode.h>
#include <stdlib.h>
#include <string.h>

#include "control/cli/cli.h"

enum { QUIET = 2 }; /* modules around it; readers make do with less than the standard's four */

/* What wg-quick alone reads: telephones route by AllowedIPs. Comments only make it larger. */
static bool is_for_telephones(const char *line)
{
	static const char *const left_out[] = {
		"#", "\n", "PostUp", "PostDown", "PreUp", "PreDown", "Table", "FwMark"};

	for (size_t i = 0; i < sizeof(left_out) / sizeof(left_out[0]); i++) {
		if (strncmp(line, left_out[i], strlen(left_out[i])) == 0)
			return false;
	}
	return true;
}

/* malloc; NULL without memory. */
static char *shorten(const char *file)
{
	char *text = malloc(strlen(file) + 1), *at = text;

	if (text == NULL)
		return NULL;
	while (*file != '\0') {
		size_t length = strcspn(file, "\n");

		length += file[length] == '\n';
		if (is_for_telephones(file)) {
			memcpy(at, file, length);
			at += length;
		}
		file += length;
	}
	*at = '\0';
	return text;
}

/* Dark is 1; the margin is light. */
static unsigned module_at(const QRcode *code, int x, int y)
{
	if (x < 0 || y < 0 || x >= code->width || y >= code->width)
		return 0;
	return code->data[y * code->width + x] & 1;
}

/* Light modules are drawn, dark ones are the terminal's dark background. */
static void draw(const QRcode *code)
{
	static const char *const blocks[] = {"\u2588", "\u2580", "\u2584", " "};
	static const char *const plain[] = {"##", "  "};
	bool utf8 = setlocale(LC_CTYPE, "") != NULL && strcmp(nl_langinfo(CODESET), "UTF-8") == 0;

	for (int y = -QUIET; y < code->width + QUIET; y += utf8 ? 2 : 1) {
		for (int x = -QUIET; x < code->width + QUIET; x++) {
			if (utf8)
				fputs(blocks[module_at(code, x, y) * 2 + module_at(code, x, y + 1)],
					stdout);
			else
				fputs(plain[module_at(code, x, y)], stdout);
		}
		putchar('\n');
	}
}

int cli_print_qr(const struct cli *cli, const char *file)
{
	char *text = shorten(file);
	QRcode *code =
		text == NULL ? NULL : QRcode_encodeString(text, 0, QR_ECLEVEL_L, QR_MODE_8, 1);
	int width;

	if (text != NULL) {
		explicit_bzero(text, strlen(text));
		free(text);
	}
	if (code == NULL) {
		fputs("sallyport: too long for a QR code\n", stderr);
		return CLI_FAILED;
	}
	width = code->width + 2 * QUIET;
	if (cli->columns != 0 && (unsigned)width > cli->columns)
		fprintf(stderr, "sallyport: the code is %d columns wide, the terminal %u\n", width,
			cli->columns);
	draw(code);
	explicit_bzero(code->data, (size_t)code->width * (size_t)code->width);
	QRcode_free(code);
	return CLI_OK;
}
