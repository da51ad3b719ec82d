/* SPDX-License-Identifier: BSD-3-Clause */
/* Network cards to DPDK's drivers and back. Needs no daemon. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "control/bind/bind.h"
#include "control/cli/cli.h"

enum { CONFIRM_MIN_S = 10, CONFIRM_MAX_S = 86400 };

struct bind_place cli_bind_place(void)
{
	return (struct bind_place){
		.root = "",
		.run_dir = "/run/sallyport",
		.ssh = getenv("SSH_CONNECTION"),
	};
}

static json_t *text_or_null(const char *text)
{
	return text[0] == '\0' ? json_null() : json_string(text);
}

static void add_card(const struct bind_card *card, void *arg)
{
	const struct bind_place place = cli_bind_place();
	char why[BIND_TEXT_MAX] = "";

	bind_is_needed(&place, card, why);
	json_array_append_new(
		arg, json_pack("{s:s, s:o, s:o, s:o, s:o, s:i}", "address", card->address, "ids",
			     text_or_null(card->ids), "driver", text_or_null(card->driver),
			     "interfaces", text_or_null(card->interfaces), "needed",
			     text_or_null(why), "seconds_left", (int)card->seconds_left));
}

static int list_cards(struct cli *cli)
{
	static const char *const headers[] = {"ADDRESS", "DRIVER", "INTERFACE", "ID", "NOTE", NULL};
	const struct bind_place place = cli_bind_place();
	json_t *cards = json_array(), *card, *all;
	struct cli_table *table;
	size_t i;
	int rc = bind_each(&place, add_card, cards);

	if (rc < 0) {
		fprintf(stderr, "sallyport: /sys/bus/pci: %s\n", strerror(-rc));
		json_decref(cards);
		return CLI_FAILED;
	}
	all = json_pack("{s:i, s:o}", "schema", 1, "cards", cards);
	if (cli->json) {
		cli_print_json(all);
		json_decref(all);
		return CLI_OK;
	}
	if (json_array_size(cards) == 0) {
		puts("This machine has no network card on a PCI bus.");
		json_decref(all);
		return CLI_OK;
	}
	table = cli_table_create(headers);
	json_array_foreach(cards, i, card)
	{
		cli_table_cell(table, "%s", cli_text(card, "address"));
		cli_table_cell(table, "%s", cli_text(card, "driver"));
		cli_table_cell(table, "%s", cli_text(card, "interfaces"));
		cli_table_cell(table, "%s", cli_text(card, "ids"));
		if (cli_int(card, "seconds_left") > 0)
			cli_table_cell(table, "on trial for %lld s more",
				(long long)cli_int(card, "seconds_left"));
		else
			cli_table_cell(table, "%s", cli_text(card, "needed"));
	}
	cli_table_print(cli, &table);
	json_decref(all);
	return CLI_OK;
}

/* False after saying why not. */
static bool find_card(
	const struct cli *cli, const struct bind_place *place, struct bind_card *card, int *code)
{
	char address[BIND_ADDRESS_MAX];

	*code = CLI_USAGE;
	if (cli->n_args == 0) {
		fputs("sallyport: which card? `sallyport bind --list` shows them\n", stderr);
		return false;
	}
	if (!bind_parse_address(cli->args[0], address)) {
		fprintf(stderr, "sallyport: '%s' is no PCI address, such as 0000:3b:00.0\n",
			cli->args[0]);
		return false;
	}
	if (bind_look(place, address, card) < 0) {
		fprintf(stderr,
			"sallyport: there is no PCI device %s; see: sallyport bind --list\n",
			address);
		return false;
	}
	if (card->is_network)
		return true;
	fprintf(stderr, "sallyport: %s is no network card\n", address);
	return false;
}

/* Seconds of --confirm, 0 without; false after saying what is wrong. */
static bool read_confirm(const struct cli *cli, unsigned *seconds)
{
	unsigned long value = cli->confirm == NULL ? 0 : cli_duration(cli->confirm);

	*seconds = (unsigned)value;
	if (cli->confirm == NULL || (value >= CONFIRM_MIN_S && value <= CONFIRM_MAX_S))
		return true;
	fprintf(stderr, "sallyport: --confirm is a time from 10s to 24h, not '%s'\n", cli->confirm);
	return false;
}

static int move(const struct cli *cli, const struct bind_place *place, const struct bind_card *card,
	const char *driver, unsigned seconds)
{
	char text[BIND_TEXT_MAX] = "";
	int rc = seconds == 0 ? 0 : bind_trial(place, card, seconds);

	if (rc < 0) {
		fprintf(stderr, "sallyport: no trial of %s: %s\n", card->address,
			rc == -EBUSY ? "there is one already; sallyport bind confirm"
				     : strerror(-rc));
		return CLI_FAILED;
	}
	rc = bind_move(place, card, driver, text);
	if (rc < 0 && seconds != 0 && bind_confirm(place, card->address) < 0)
		fputs("sallyport: the trial goes on, though nothing was moved\n", stderr);
	if (rc < 0) {
		fprintf(stderr, "sallyport: %s\n", text);
		return CLI_FAILED;
	}
	if (cli->json) {
		json_t *json = json_pack("{s:s, s:s, s:o, s:i}", "address", card->address, "driver",
			driver, "before", text_or_null(card->driver), "seconds_left", (int)seconds);

		cli_print_json(json);
		json_decref(json);
		return CLI_OK;
	}
	printf("%s: %s instead of %s.\n", card->address, driver,
		card->driver[0] == '\0' ? "no driver" : card->driver);
	if (seconds != 0)
		printf("Back in %u s by itself. Keep it: sallyport bind confirm\n", seconds);
	return CLI_OK;
}

int cli_run_bind(struct cli *cli)
{
	const struct bind_place place = cli_bind_place();
	const char *driver = cli->driver == NULL ? "vfio-pci" : cli->driver;
	char why[BIND_TEXT_MAX];
	struct bind_card card;
	unsigned seconds;
	int code;

	if (cli->list)
		return list_cards(cli);
	if (!find_card(cli, &place, &card, &code))
		return code;
	if (driver[0] == '\0' || driver[0] == '.' || strchr(driver, '/') != NULL ||
		strlen(driver) >= BIND_NAME_MAX) {
		fprintf(stderr, "sallyport: '%s' is not the name of a driver\n", driver);
		return CLI_USAGE;
	}
	if (!read_confirm(cli, &seconds))
		return CLI_USAGE;
	if (strcmp(card.driver, driver) == 0) {
		fprintf(stderr, "sallyport: %s is %s's already\n", card.address, driver);
		return CLI_NOTHING;
	}
	if (!cli->force && bind_is_needed(&place, &card, why)) {
		fprintf(stderr,
			"sallyport: %s is left alone: %s. With another way to the machine: "
			"--force, "
			"and --confirm 60s\n",
			card.address, why);
		return CLI_FAILED;
	}
	return move(cli, &place, &card, driver, seconds);
}

int cli_run_bind_confirm(struct cli *cli)
{
	const struct bind_place place = cli_bind_place();
	char address[BIND_ADDRESS_MAX];
	int n;

	if (cli->n_args > 0 && !bind_parse_address(cli->args[0], address)) {
		fprintf(stderr, "sallyport: '%s' is no PCI address, such as 0000:3b:00.0\n",
			cli->args[0]);
		return CLI_USAGE;
	}
	n = bind_confirm(&place, cli->n_args > 0 ? address : NULL);
	if (n < 0) {
		fprintf(stderr, "sallyport: %s: %s\n", place.run_dir, strerror(-n));
		return CLI_FAILED;
	}
	if (cli->json)
		cli_print_json_new(json_pack("{s:i}", "confirmed", n));
	else if (n == 0)
		puts("No card is on trial.");
	else
		printf("Confirmed: %d.\n", n);
	return n == 0 ? CLI_NOTHING : CLI_OK;
}
