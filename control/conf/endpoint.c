/* SPDX-License-Identifier: BSD-3-Clause */
/* Endpoints, and the name of a host in the place of an address, which is looked up later. */
#include "control/conf/conf_priv.h"

#include <ctype.h>
#include <string.h>

enum { HOST_NAME_BYTES_MAX = 253 }; /* RFC 1035 section 2.3.4, less length bytes */

CONF_READER(endpoint)
{
	const char *text = conf_scalar(r, node, "an endpoint");

	if (text != NULL && endpoint_parse(text, out) < 0)
		conf_report(r, DIAG_BAD_ENDPOINT, node, NULL,
			"'%s' is not an endpoint such as 192.0.2.1:51820 or [2001:db8::1]:51820",
			text);
}

CONF_READER(flow_end)
{
	const char *text = conf_scalar(r, node, "an address, with a port if need be");
	struct endpoint *endpoint = out;

	if (text != NULL && addr_parse(text, &endpoint->addr) < 0 &&
		endpoint_parse(text, endpoint) < 0)
		conf_report(r, DIAG_BAD_FLOW_END, node, NULL,
			"'%s' is not ADDRESS, ADDRESS:PORT or [ADDRESS]:PORT", text);
}

/* A host's name, which is not to be taken for an address that is wrong. */
static bool is_host_name(const char *text, size_t length)
{
	static const char allowed[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.";
	bool letter = false;

	if (length == 0 || length > HOST_NAME_BYTES_MAX || text[0] == '.' || text[0] == '-' ||
		strspn(text, allowed) < length)
		return false;
	for (size_t i = 0; i < length; i++) {
		letter |= isalpha((unsigned char)text[i]) != 0;
		if (text[i] == '.' && text[i + 1] == '.')
			return false;
	}
	return letter;
}

void conf_finish_endpoint(
	struct conf_reader *r, const struct conf_node *node, struct model_peer *peer)
{
	const char *text = peer->endpoint_text, *colon;

	if (text == NULL || endpoint_parse(text, &peer->endpoint) == 0)
		return;
	colon = strrchr(text, ':');
	if (colon == NULL || port_parse(colon + 1, &peer->endpoint_port) < 0 ||
		!is_host_name(text, (size_t)(colon - text))) {
		conf_report(r, DIAG_BAD_ENDPOINT, conf_tree_get(node, "endpoint"), NULL,
			"'%s' is not an endpoint such as 192.0.2.1:51820, [2001:db8::1]:51820 or "
			"office.example:51820",
			text);
		return;
	}
	peer->endpoint_name = pool_printf(r->pool, "%.*s", (int)(colon - text), text);
}
