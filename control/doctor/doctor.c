/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/doctor/doctor_priv.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <nftables/libnftables.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const state_names[] = {
	[DOCTOR_OK] = "ok",
	[DOCTOR_ASK] = "ask",
	[DOCTOR_SKIP] = "skip",
	[DOCTOR_WARN] = "warn",
	[DOCTOR_FAIL] = "fail",
};

const char *doctor_state_name(enum doctor_state state)
{
	return state_names[state];
}

bool doctor_has(const json_t *findings, enum doctor_state state)
{
	const json_t *finding;
	size_t i;

	json_array_foreach((json_t *)findings, i, finding)
	{
		if (strcmp(json_string_value(json_object_get(finding, "state")),
			    state_names[state]) == 0)
			return true;
	}
	return false;
}

void doctor_say(struct doctor *d, enum doctor_state state, const char *fix, const char *format, ...)
{
	va_list args;
	json_t *text;

	va_start(args, format);
	text = json_vsprintf(format, args);
	va_end(args);
	json_array_append_new(
		d->findings, json_pack("{s:s, s:s, s:s, s:o, s:o}", "step", d->check->step, "title",
				     d->check->title, "state", state_names[state], "text", text,
				     "fix", fix == NULL ? json_null() : json_string(fix)));
}

void doctor_run(struct doctor *d, const struct doctor_check *checks)
{
	for (d->check = checks; d->check->step != NULL; d->check++) {
		size_t before = json_array_size(d->findings);

		d->check->run(d);
		if (json_array_size(d->findings) == before)
			doctor_say(d, DOCTOR_SKIP, NULL, "does not apply here");
	}
}

bool doctor_line(const struct doctor *d, char *line, size_t size, const char *format, ...)
{
	char path[PATH_MAX], name[PATH_MAX / 2];
	va_list args;
	FILE *file;
	bool found;

	va_start(args, format);
	vsnprintf(name, sizeof(name), format, args);
	va_end(args);
	snprintf(path, sizeof(path), "%s%s", d->machine->root, name);
	line[0] = '\0';
	file = fopen(path, "re");
	if (file == NULL)
		return false;
	found = fgets(line, (int)size, file) != NULL;
	line[strcspn(line, "\n")] = '\0';
	fclose(file);
	return found;
}

long doctor_number(const struct doctor *d, const char *path)
{
	char line[32], *end;
	long value;

	if (!doctor_line(d, line, sizeof(line), "%s", path))
		return -1;
	value = strtol(line, &end, 10);
	return end == line ? -1 : value;
}

json_t *doctor_machine(const struct doctor_machine *machine)
{
	struct doctor d = {.machine = machine, .findings = json_array()};

	doctor_run(&d, doctor_machine_checks);
	doctor_run(&d, doctor_network_checks);
	doctor_run(&d, doctor_firewall_checks);
	return d.findings;
}

json_t *doctor_gateway(const struct doctor_gateway *gateway, const struct model_peer *peer)
{
	struct doctor d = {.gateway = gateway, .peer = peer, .findings = json_array()};

	doctor_run(&d, doctor_gateway_checks);
	if (peer == NULL)
		return d.findings;
	if (gateway->figures != NULL)
		gateway->figures(gateway->context, peer->object.index, &d.figures);
	doctor_run(&d, doctor_peer_checks);
	return d.findings;
}

json_t *doctor_ruleset(int *error)
{
	struct nft_ctx *nft = nft_ctx_new(NFT_CTX_DEFAULT);
	json_t *root = NULL;

	*error = -ENOMEM;
	if (nft == NULL)
		return NULL;
	nft_ctx_buffer_output(nft);
	nft_ctx_buffer_error(nft);
	nft_ctx_output_set_flags(nft, NFT_CTX_OUTPUT_JSON | NFT_CTX_OUTPUT_HANDLE);
	if (nft_run_cmd_from_buffer(nft, "list ruleset") == 0)
		root = json_loads(nft_ctx_get_output_buffer(nft), 0, NULL);
	nft_ctx_free(nft);
	*error = root == NULL ? -EPERM : 0;
	return root;
}
