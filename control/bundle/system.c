/* SPDX-License-Identifier: BSD-3-Clause */
/* What the machine is: files of /proc and /sys, as they are. */
#include <errno.h>
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control/bundle/bundle.h"

enum { FILE_BYTES_MAX = 1 << 20 };

static const struct {
	const char *name;     /* in the bundle */
	const char *patterns; /* of files, with spaces between them */
} parts[] = {
	{"system/kernel.txt", "/proc/version /proc/cmdline /proc/sys/kernel/osrelease"},
	{"system/cpu.txt", "/proc/cpuinfo /sys/devices/system/cpu/online "
			   "/sys/devices/system/cpu/isolated /sys/devices/system/node/online"},
	{"system/memory.txt", "/proc/meminfo /proc/buddyinfo"},
	{"system/hugepages.txt", "/sys/kernel/mm/hugepages/*/nr_hugepages "
				 "/sys/kernel/mm/hugepages/*/free_hugepages "
				 "/sys/kernel/mm/transparent_hugepage/enabled"},
	{"system/modules.txt", "/proc/modules"},
	{"system/network.txt", "/proc/net/dev /sys/class/net/*/mtu /sys/class/net/*/operstate "
			       "/sys/class/net/*/speed /sys/class/net/*/device/uevent"},
};

static void copy_file(FILE *out, const char *path, const char *shown)
{
	FILE *in = fopen(path, "r");
	char part[4096];
	size_t n, total = 0;

	fprintf(out, "==> %s\n", shown);
	if (in == NULL) {
		fprintf(out, "%s\n", strerror(errno));
		return;
	}
	while (total < FILE_BYTES_MAX && (n = fread(part, 1, sizeof(part), in)) > 0) {
		total += n;
		for (size_t i = 0; i < n; i++)
			fputc(part[i] == '\0' ? ' ' : part[i], out);
	}
	fputc('\n', out);
	fclose(in);
}

static void copy_matches(FILE *out, const char *root, const char *pattern)
{
	char path[PATH_MAX];
	glob_t found;

	if (snprintf(path, sizeof(path), "%s%s", root, pattern) >= (int)sizeof(path) ||
		glob(path, 0, NULL, &found) != 0)
		return;
	for (size_t i = 0; i < found.gl_pathc; i++)
		copy_file(out, found.gl_pathv[i], found.gl_pathv[i] + strlen(root));
	globfree(&found);
}

int bundle_add_system(struct bundle *bundle, const char *root)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < sizeof(parts) / sizeof(parts[0]); i++) {
		char *text = NULL, *patterns = strdup(parts[i].patterns), *rest = NULL;
		size_t size;
		FILE *out = open_memstream(&text, &size);

		if (out == NULL || patterns == NULL)
			rc = -ENOMEM;
		for (char *word = rc < 0 ? NULL : strtok_r(patterns, " ", &rest); word != NULL;
			word = strtok_r(NULL, " ", &rest))
			copy_matches(out, root, word);
		if (out != NULL)
			fclose(out);
		if (rc == 0)
			rc = bundle_add_text(bundle, parts[i].name, text);
		free(text);
		free(patterns);
	}
	return rc;
}
