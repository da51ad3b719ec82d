/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Any bytes as a configuration: refused with findings or a model, and both can be shown. What
 * follows a record separator (0x1e, which YAML does not allow) is a second file, in conf.d.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/conf/conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *separator = size == 0 ? NULL : memchr(data, 0x1e, size);
	size_t first = separator == NULL ? size : (size_t)(separator - data);
	struct conf_files *files = conf_files_create("fuzz.yaml");
	struct diag *diag = diag_create("fuzz.yaml", (const char *)data, first);
	struct model *model;
	json_t *json;
	char *text = NULL;
	size_t text_size;
	FILE *out = open_memstream(&text, &text_size);

	conf_files_add(files, "fuzz.yaml", (const char *)data, first);
	if (separator != NULL)
		conf_files_add(
			files, "conf.d/more.yaml", (const char *)separator + 1, size - first - 1);
	model = conf_files_parse(files, NULL, diag, &json);
	if ((model != NULL) != (diag_errors(diag) == 0))
		abort();
	if (out != NULL) {
		diag_print(diag, out, false);
		fclose(out);
	}
	free(text);
	json_decref(json);
	conf_files_destroy(&files);
	json_decref(diag_json(diag));
	model_destroy(&model);
	diag_destroy(&diag);
	return 0;
}
