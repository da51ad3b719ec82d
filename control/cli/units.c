/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Amounts and rates as they stand in tables: the unit beside the number, three digits unless the
 * exact figure is asked for. Bytes per second are shown as bits per second, as links are.
 */
#include <string.h>

#include "control/cli/cli.h"

static enum cli_units units; /* one command per process */

void cli_set_units(enum cli_units which)
{
	units = which;
}

/* "999 B", "1.2 MB", "12 MiB", "1234567 B" */
static const char *format(double value, const char *unit, char text[CLI_UNITS_TEXT])
{
	static const char prefixes[] = "kMGTPE";
	double base = units == CLI_IEC ? 1024 : 1000;
	int prefix = -1;

	while (units != CLI_EXACT && value >= base - 0.5 && prefix < 5) {
		value /= base;
		prefix++;
	}
	if (prefix < 0)
		snprintf(text, CLI_UNITS_TEXT, "%.0f %s", value, unit);
	else
		snprintf(text, CLI_UNITS_TEXT, value < 9.95 ? "%.1f %c%s%s" : "%.0f %c%s%s", value,
			units == CLI_IEC && prefix == 0 ? 'K' : prefixes[prefix],
			units == CLI_IEC ? "i" : "", unit);
	return text;
}

const char *cli_bytes(json_int_t bytes, char text[CLI_UNITS_TEXT])
{
	if (units == CLI_EXACT)
		snprintf(text, CLI_UNITS_TEXT, "%lld B", (long long)bytes);
	else
		format((double)bytes, "B", text);
	return text;
}

const char *cli_rate(double bytes_per_second, char text[CLI_UNITS_TEXT])
{
	return format(bytes_per_second * 8, "bit/s", text);
}
