/* SPDX-License-Identifier: BSD-3-Clause */
/* What is taken out of texts, that it is the same word each time, and that the file can be read. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control/bundle/scrub.h"

#define KEY_A "mKl3sXbJ4Qb0b5yJ2dQ0Jr5tJQv3m0cVZk8mXxk1t0U="
#define KEY_B "/+l3sXbJ4Qb0b5yJ2dQ0Jr5tJQv3m0cVZk8mXxk1t0U="
#define HEX_A "98a977b176c9e106f46f9c89d9d4342ab9ad250bf79b471566992f5f1935b745"

static const struct {
	const char *text, *named, *standard, *strict;
} rows[] = {
	{"PrivateKey = " KEY_A, "PrivateKey = <key 1>", "PrivateKey = <key 1>",
		"PrivateKey = <key 1>"},
	/* In the middle of a word, twice, with signs of its own alphabet around it. */
	{"k=" KEY_A ",x" KEY_B "y/" KEY_A, "k=<key 1>,x<key 2>y/<key 1>", NULL, NULL},
	{"private_key=" HEX_A "\nq" HEX_A, "private_key=<key 1>\nq<key 1>", NULL, NULL},
	{"sha 98a977b176c9e106f46f9c89d9d4342a", "sha 98a977b176c9e106f46f9c89d9d4342a", NULL,
		NULL},
	{"203.0.113.5:51820, 203.0.113.5. 198.51.100.0/24", NULL,
		"198.18.0.1:51820, 198.18.0.1. 198.18.0.2/24",
		"198.18.0.1:51820, 198.18.0.1. 198.18.0.2/24"},
	{"[2001:db8::5]:51820 2001:DB8:0::5", NULL, "[2001:2::1]:51820 2001:2::1", NULL},
	{"10.1.2.3 fd00::5 fe80::1", NULL, "10.1.2.3 fd00::5 fe80::1",
		"198.18.0.1 2001:2::1 2001:2::2"},
	{"0.0.0.0/1 ::/0 127.0.0.1", NULL, "0.0.0.0/1 ::/0 127.0.0.1", "0.0.0.0/1 ::/0 127.0.0.1"},
	{"anna's laptop; anna-2 joanna anna.", NULL, "peer-1's laptop; anna-2 joanna peer-1.",
		"peer-1's laptop; anna-2 joanna peer-1."},
	{"policy:office, anna", NULL, "policy:office, peer-1", "policy:route-1, peer-1"},
	{"vpn.example.net:51820", NULL, "host-1:51820", "host-1:51820"},
	{"52:54:00:12:34:56", NULL, "<mac 1>", "<mac 1>"},
	{"1.2 kB at 12:30:05, v1.2.3", "1.2 kB at 12:30:05, v1.2.3", "1.2 kB at 12:30:05, v1.2.3",
		"1.2 kB at 12:30:05, v1.2.3"},
};

static void hide_all(struct scrub *scrub)
{
	scrub_hide(scrub, "peer", "anna", true);
	scrub_hide(scrub, "route", "office", false);
	scrub_hide(scrub, "host", "vpn.example.net", true);
}

static void test_texts(void **state)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *wanted[] = {rows[i].named, rows[i].standard, rows[i].strict};

		for (int level = BUNDLE_NAMED; level <= BUNDLE_STRICT; level++) {
			struct scrub *scrub = scrub_create((enum bundle_anonymity)level);
			char *text;

			hide_all(scrub);
			text = scrub_text(scrub, rows[i].text);
			assert_non_null(text);
			if (level == BUNDLE_NAMED && strstr(rows[i].text, "ey") == NULL &&
				wanted[level] == NULL)
				assert_string_equal(text, rows[i].text);
			if (wanted[level] != NULL)
				assert_string_equal(text, wanted[level]);
			free(text);
			scrub_destroy(&scrub);
		}
	}
}

static void test_remarks(void **state)
{
	static const char yaml[] = "# anna's file\npeers:\n  anna:\n    description: Anna, room 5\n"
				   "    note: \"a # b\" # c\n";
	struct scrub *scrub = scrub_create(BUNDLE_DEFAULT);
	char *text = scrub_remarks(scrub, yaml);

	assert_string_equal(text, "# ...\npeers:\n  anna:\n    description: \"...\"\n"
				  "    note: \"a # b\" # ...\n");
	free(text);
	scrub_destroy(&scrub);
	scrub = scrub_create(BUNDLE_NAMED);
	text = scrub_remarks(scrub, yaml);
	assert_string_equal(text, yaml);
	free(text);
	scrub_destroy(&scrub);
}

/* Keys of objects are the program's words, values are not. */
static void test_json(void **state)
{
	json_t *json = json_pack("{s:s, s:[s, i], s:s}", "name", "name", "office", "office", 5,
		"description", "of office");
	struct scrub *scrub = scrub_create(BUNDLE_STRICT);
	json_t *out, *wanted;

	scrub_hide(scrub, "peer", "name", true);
	hide_all(scrub);
	out = scrub_json(scrub, json);
	wanted = json_pack("{s:s, s:[s, i], s:s}", "name", "peer-1", "office", "route-1", 5,
		"description", "...");
	assert_true(json_equal(out, wanted));
	json_decref(json);
	json_decref(out);
	json_decref(wanted);
	scrub_destroy(&scrub);
}

/* The file's text of this name, in `text`. */
static bool read_back(const char *path, const char *name, char *text, size_t size)
{
	struct archive *archive = archive_read_new();
	struct archive_entry *entry;
	bool found = false;

	archive_read_support_format_tar(archive);
	archive_read_support_filter_gzip(archive);
	assert_int_equal(archive_read_open_filename(archive, path, 4096), ARCHIVE_OK);
	while (archive_read_next_header(archive, &entry) == ARCHIVE_OK) {
		la_ssize_t n;

		if (strcmp(archive_entry_pathname(entry), name) != 0)
			continue;
		n = archive_read_data(archive, text, size - 1);
		assert_true(n >= 0);
		text[n] = '\0';
		found = true;
	}
	archive_read_free(archive);
	return found;
}

static void write_file(const char *dir, const char *name, const char *text)
{
	char path[256];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static void test_file(void **state)
{
	char dir[] = "/tmp/sp-bundle-XXXXXX", path[64], text[4096], command[128];
	struct bundle *bundle;
	struct stat st;
	int error;

	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/proc", dir);
	assert_int_equal(mkdir(path, 0700), 0);
	write_file(dir, "proc/modules", "vfio_pci 1 0\n");
	write_file(dir, "proc/cmdline", "quiet secret=" KEY_A "\n");
	snprintf(path, sizeof(path), "%s/b.tar.gz", dir);
	bundle = bundle_create(path, BUNDLE_DEFAULT, &error);
	assert_non_null(bundle);
	bundle_hide(bundle, "peer", "anna", true);
	assert_int_equal(bundle_add_text(bundle, "log.txt", "anna " KEY_A), 0);
	assert_int_equal(bundle_add_yaml(bundle, "config/1.yaml", "anna: 1 # Anna\n"), 0);
	assert_int_equal(bundle_add_system(bundle, dir), 0);
	assert_int_equal(bundle_finish(&bundle), 0);
	assert_null(bundle);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_null(bundle_create(path, BUNDLE_DEFAULT, &error)); /* nothing is overwritten */
	assert_int_equal(error, -EEXIST);

	assert_true(read_back(path, "sallyport-bundle/log.txt", text, sizeof(text)));
	assert_string_equal(text, "peer-1 <key 1>");
	assert_true(read_back(path, "sallyport-bundle/config/1.yaml", text, sizeof(text)));
	assert_string_equal(text, "peer-1: 1 # ...\n");
	assert_true(read_back(path, "sallyport-bundle/system/modules.txt", text, sizeof(text)));
	assert_string_equal(text, "==> /proc/modules\nvfio_pci 1 0\n\n");
	assert_true(read_back(path, "sallyport-bundle/system/kernel.txt", text, sizeof(text)));
	assert_non_null(strstr(text, "secret=<key 1>"));
	snprintf(command, sizeof(command), "rm -r %s", dir);
	assert_int_equal(system(command), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_remarks),
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
