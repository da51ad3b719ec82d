/* SPDX-License-Identifier: BSD-3-Clause */
/* Any bytes as they come in on wg(8)'s socket: the end of a request is found in pieces as in one
 * go, and the request is parsed or refused with a reason. */
#include <sodium.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "control/uapi/uapi_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	size_t from = 0, length = 0, again = 0, whole = 0;
	struct uapi_request request;
	bool found = false;
	const char *why;
	char *copy;

	if (sodium_init() < 0)
		abort();
	for (size_t n = 1; n <= size && !found; n++)
		found = uapi_find_end(text, n, &from, &length);
	if (found != uapi_find_end(text, size, &again, &whole) || length != whole)
		abort();
	if (!found)
		return 0;
	/* Of its own size, so that reading past it is seen. */
	copy = malloc(length);
	if (copy == NULL)
		return 0;
	memcpy(copy, text, length);
	why = NULL;
	if (uapi_parse(copy, length, &request, &why) < 0 && why == NULL)
		abort();
	for (size_t i = 0; i < request.n_changes; i++) {
		for (size_t k = 0; k < request.changes[i].n_allowed; k++) {
			if (!prefix_is_valid(&request.changes[i].allowed[k]))
				abort();
		}
	}
	uapi_request_wipe(&request);
	free(copy);
	return 0;
}
