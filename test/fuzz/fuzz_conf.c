/* SPDX-License-Identifier: BSD-3-Clause */
/* Any bytes as a configuration: refused with findings or a model, and both can be shown. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "control/conf/conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct diag *diag;
	struct model *model = conf_parse("fuzz.yaml", (const char *)data, size, NULL, &diag);
	char *text = NULL;
	size_t text_size;
	FILE *out = open_memstream(&text, &text_size);

	if ((model != NULL) != (diag_errors(diag) == 0))
		abort();
	if (out != NULL) {
		diag_print(diag, out, false);
		fclose(out);
	}
	free(text);
	json_decref(diag_json(diag));
	model_destroy(&model);
	diag_destroy(&diag);
	return 0;
}
