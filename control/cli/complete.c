/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Completion. The shells' scripts are a few lines: they hand the words typed so far to
 * `sallyport complete`, which finds what could come next in the tables of commands and options
 * and, for names, asks the daemon. What a word stands for follows from its placeholder.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "control/bind/bind.h"
#include "control/cli/cli.h"
#include "control/diag/diag.h"

enum { WORD_MAX = 64, ABOUT_MAX = 128, DAEMON_TIMEOUT_S = 2 };

/*
 * Readline cuts words at colons and equal signs too (COMP_WORDBREAKS), so PCI and IPv6 addresses
 * come in pieces: what has no blank between it is put together again, and of what is offered only
 * the piece after the last cut goes back.
 */
static const char bash_script[] =
	"# bash completion of sallyport; made by `sallyport completion bash`\n"
	"_sallyport()\n"
	"{\n"
	"\tlocal i cut word about rest=${COMP_LINE:0:COMP_POINT} words=() lines=()\n"
	"\tCOMPREPLY=()\n"
	"\tfor ((i = 0; i <= COMP_CWORD; i++)); do\n"
	"\t\tword=${COMP_WORDS[i]}\n"
	"\t\tif [[ ${#words[@]} -eq 0 || $rest == [[:blank:]]* ]]; then\n"
	"\t\t\twords+=(\"$word\")\n"
	"\t\telse\n"
	"\t\t\twords[-1]+=$word\n"
	"\t\tfi\n"
	"\t\trest=${rest#*\"$word\"}\n"
	"\tdone\n"
	"\tmapfile -t lines < <(\"${words[0]}\" complete -- "
	"\"${words[@]:1}\" 2>/dev/null)\n"
	"\tcut=${words[-1]%\"${words[-1]##*[:=]}\"}\n"
	"\tif [[ ${lines[0]-} == :files ]]; then\n"
	"\t\tcompopt -o default -o filenames 2>/dev/null\n"
	"\t\tmapfile -t COMPREPLY < <(compgen -f -- \"${words[-1]#\"$cut\"}\")\n"
	"\t\treturn\n"
	"\tfi\n"
	"\tfor word in \"${lines[@]}\"; do\n"
	"\t\tabout=${word#*$'\\t'}\n"
	"\t\tword=${word%%$'\\t'*}\n"
	"\t\tword=${word#\"$cut\"}\n"
	"\t\t# a list after a second tab shows what each word means\n"
	"\t\tif [[ ${COMP_TYPE-} == 63 && ${#lines[@]} -gt 1 && -n $about ]]; then\n"
	"\t\t\tprintf -v word '%-22s (%s)' \"$word\" \"$about\"\n"
	"\t\tfi\n"
	"\t\tCOMPREPLY+=(\"$word\")\n"
	"\tdone\n"
	"}\n"
	"complete -F _sallyport sallyport\n";

static const char zsh_script[] =
	"#compdef sallyport\n"
	"# zsh completion of sallyport; made by `sallyport completion zsh`\n"
	"_sallyport()\n"
	"{\n"
	"\tlocal line word about\n"
	"\tlocal -a lines named\n"
	"\tlines=(\"${(@f)$(\"${words[1]}\" complete -- \"${(@)words[2,CURRENT]}\" "
	"2>/dev/null)}\")\n"
	"\tif [[ ${lines[1]} == :files ]]; then\n"
	"\t\tcompset -P '*='\n"
	"\t\t_files\n"
	"\t\treturn\n"
	"\tfi\n"
	"\tfor line in \"${lines[@]}\"; do\n"
	"\t\t[[ -n $line ]] || continue\n"
	"\t\tword=${line%%$'\\t'*}\n"
	"\t\tabout=${line#*$'\\t'}\n"
	"\t\tnamed+=(\"${word//:/\\\\:}:$about\")\n"
	"\tdone\n"
	"\t_describe sallyport named\n"
	"}\n"
	"if [[ ${funcstack[1]-} == _sallyport ]]; then\n"
	"\t_sallyport \"$@\"\n"
	"else\n"
	"\tcompdef _sallyport sallyport\n"
	"fi\n";

static const char fish_script[] =
	"# fish completion of sallyport; made by `sallyport completion fish`\n"
	"function __sallyport_complete\n"
	"\tset -l words (commandline -opc)\n"
	"\tset -l lines ($words[1] complete -- $words[2..-1] (commandline -ct) 2>/dev/null)\n"
	"\tif test \"$lines[1]\" = :files\n"
	"\t\t__fish_complete_path (commandline -ct)\n"
	"\telse\n"
	"\t\tprintf '%s\\n' $lines\n"
	"\tend\n"
	"end\n"
	"complete -c sallyport -f -a '(__sallyport_complete)'\n";

int cli_run_completion(struct cli *cli)
{
	static const struct {
		const char *shell, *script;
	} scripts[] = {{"bash", bash_script}, {"zsh", zsh_script}, {"fish", fish_script}};

	for (size_t i = 0; i < sizeof(scripts) / sizeof(scripts[0]); i++) {
		if (strcmp(cli->args[0], scripts[i].shell) == 0) {
			fputs(scripts[i].script, stdout);
			return CLI_OK;
		}
	}
	fprintf(stderr, "sallyport: no script for '%s'; there are bash, zsh and fish\n",
		cli->args[0]);
	return CLI_USAGE;
}

/* What is typed of a word; of "--peer=an" the option stays before what is offered. */
struct completion {
	struct cli *cli;
	const char *typed;
	const char *option; /* "--peer=an", not terminated after option_length; or NULL */
	int option_length;
};

static void offer(const struct completion *c, const char *word, const char *about)
{
	if (strncmp(word, c->typed, strlen(c->typed)) == 0)
		printf("%.*s%s\t%s\n", c->option_length, c->option == NULL ? "" : c->option, word,
			about);
}

/* Names of objects, from the daemon; none without it. */
static const struct {
	const char *placeholder, *path, *list, *about;
} objects[] = {
	{"PEER", "/api/peers", "peers", "state"},
	{"SRC", "/api/peers", "peers", "state"},
	{"EXIT-NODE", "/api/exit-nodes", "exit_nodes", "description"},
	{"ROUTE", "/api/routes", "routes", "description"},
	{"POOL", "/api/egress", "pools", "description"},
	{"POLICY", "/api/policies", "policies", "action"},
	{"PORT", "/api/status", "ports", "device"},
};

static bool offer_objects(const struct completion *c, const char *placeholder)
{
	for (size_t i = 0; i < sizeof(objects) / sizeof(objects[0]); i++) {
		json_t *json, *object;
		size_t k;
		int code;

		if (strcmp(objects[i].placeholder, placeholder) != 0)
			continue;
		c->cli->timeout_s = DAEMON_TIMEOUT_S;
		json = cli_get(c->cli, objects[i].path, &code);
		json_array_foreach(json_object_get(json, objects[i].list), k, object)
		{
			const char *about =
				json_string_value(json_object_get(object, objects[i].about));

			offer(c, cli_text(object, "name"), about == NULL ? "" : about);
		}
		json_decref(json);
		return true;
	}
	return false;
}

/* Without the domain if that is how it is being typed: "3b:". */
static void offer_card(const struct bind_card *card, void *arg)
{
	static const char usual[] = "0000:";
	const struct completion *c = arg;
	const char *typed = c->typed, *address = card->address;
	char about[2 * BIND_NAME_MAX + BIND_TEXT_MAX];

	if (strlen(typed) > 2 && typed[2] == ':' && strncmp(address, usual, strlen(usual)) == 0)
		address += strlen(usual);
	snprintf(about, sizeof(about), "%s %s %s", card->ids,
		card->driver[0] == '\0' ? "no driver" : card->driver, card->interfaces);
	offer(c, address, about);
}

/* Network cards, from sysfs. */
static void offer_cards(struct completion *c)
{
	const struct bind_place place = cli_bind_place();

	if (bind_each(&place, offer_card, c) < 0)
		return; /* no names is no error of what is being typed */
}

static void offer_codes(const struct completion *c)
{
	const struct diag_code_info *info;
	char code[DIAG_CODE_TEXT_MAX];

	for (size_t i = 0; (info = diag_code_at(i)) != NULL; i++) {
		diag_code_format(info->code, code);
		offer(c, code, info->title);
	}
	offer(c, "all", "every code");
}

static void offer_choices(const struct completion *c, const char *placeholder)
{
	char word[WORD_MAX];

	while (*placeholder != '\0') {
		size_t length = strcspn(placeholder, "|");

		snprintf(word, sizeof(word), "%.*s", (int)length, placeholder);
		offer(c, word, "");
		placeholder += length + (placeholder[length] == '|');
	}
}

static bool begins_with(const struct cli_command *command, const char *word, size_t length)
{
	return strncmp(command->words, word, length) == 0 &&
	       (command->words[length] == ' ' || command->words[length] == '\0');
}

/* What a first word is for: its own summary, or else the words that may follow. */
static void describe_word(const char *word, size_t length, char about[ABOUT_MAX])
{
	size_t used = 0;

	about[0] = '\0';
	for (const struct cli_command *k = cli_commands; k->words != NULL; k++) {
		if (!begins_with(k, word, length))
			continue;
		if (k->words[length] == '\0') {
			snprintf(about, ABOUT_MAX, "%s", k->summary);
			return;
		}
		if (used < ABOUT_MAX)
			used += (size_t)snprintf(about + used, ABOUT_MAX - used, "%s%s",
				used == 0 ? "" : ", ", k->words + length + 1);
	}
}

/* All words that a command can begin with, each once. */
static void offer_first_words(const struct completion *c)
{
	for (const struct cli_command *k = cli_commands; k->words != NULL; k++) {
		const struct cli_command *first = cli_commands;
		size_t length = strcspn(k->words, " ");
		char word[WORD_MAX], about[ABOUT_MAX];

		while (!begins_with(first, k->words, length))
			first++;
		if (first != k)
			continue;
		snprintf(word, sizeof(word), "%.*s", (int)length, k->words);
		describe_word(k->words, length, about);
		offer(c, word, about);
	}
}

static void offer_second_words(const struct completion *c, const char *first)
{
	size_t length = strlen(first);

	for (const struct cli_command *k = cli_commands; k->words != NULL; k++) {
		if (begins_with(k, first, length) && k->words[length] == ' ')
			offer(c, k->words + length + 1, k->summary);
	}
}

static void offer_placeholder(struct completion *c, const char *placeholder)
{
	if (strchr(placeholder, '|') != NULL || islower((unsigned char)placeholder[0]))
		offer_choices(c, placeholder);
	else if (strcmp(placeholder, "FILE") == 0 || strcmp(placeholder, "DIR") == 0)
		puts(":files");
	else if (strcmp(placeholder, "CODE") == 0)
		offer_codes(c);
	else if (strcmp(placeholder, "COMMAND") == 0)
		offer_first_words(c);
	else if (strcmp(placeholder, "PCI-ADDRESS") == 0)
		offer_cards(c);
	else
		offer_objects(c, placeholder);
}

/* The n-th placeholder of a command, without brackets; "" past the end. */
static void find_placeholder(const char *args, int n, char out[WORD_MAX])
{
	while (n-- > 0 && *args != '\0') {
		args += strcspn(args, " ");
		args += strspn(args, " ");
	}
	args += strspn(args, "[");
	snprintf(out, WORD_MAX, "%.*s", (int)strcspn(args, " []:"), args);
}

static void offer_options(const struct completion *c, const struct cli_command *command)
{
	char word[WORD_MAX];

	for (const struct cli_option_row *o = cli_options; o->name != NULL; o++) {
		if (o->mask != 0 && (o->mask & command->options) == 0)
			continue;
		snprintf(word, sizeof(word), "--%s", o->name);
		offer(c, word, o->help);
	}
}

/* The option that the first `length` characters are, if it takes a value; or NULL. */
static const struct cli_option_row *option_with_value(const char *word, size_t length)
{
	for (const struct cli_option_row *o = cli_options; o->name != NULL; o++) {
		if (o->value == NULL || o->value[0] == '[')
			continue; /* no word of its own follows */
		if (strncmp(word, "--", 2) == 0 && strlen(o->name) == length - 2 &&
			strncmp(word + 2, o->name, length - 2) == 0)
			return o;
		if (length == 2 && word[0] == '-' && o->letter != 0 && word[1] == o->letter)
			return o;
	}
	return NULL;
}

/* Of "--peer=an" the option, and what is left to be completed is "an"; NULL otherwise. */
static const struct cli_option_row *take_option_before(struct completion *c)
{
	size_t length = strcspn(c->typed, "=");
	const struct cli_option_row *option;

	if (c->typed[length] == '\0' || length < 3)
		return NULL;
	option = option_with_value(c->typed, length);
	if (option != NULL) {
		c->option = c->typed;
		c->option_length = (int)length + 1;
		c->typed += length + 1;
	}
	return option;
}

int cli_run_complete(struct cli *cli)
{
	struct completion c = {.cli = cli, .typed = ""};
	const struct cli_option_row *pending = NULL;
	const struct cli_command *command;
	char *plain[WORD_MAX], placeholder[WORD_MAX];
	int n_plain = 0, words = 0, n = cli->n_args;

	if (n > 0)
		c.typed = cli->args[n - 1];
	for (int i = 0; i + 1 < n; i++) {
		char *word = cli->args[i];

		if (pending != NULL && strcmp(pending->name, "socket") == 0)
			cli->socket = word;
		if (pending != NULL)
			pending = NULL;
		else if (word[0] == '-')
			pending = option_with_value(word, strlen(word));
		else if (n_plain < WORD_MAX)
			plain[n_plain++] = word;
	}
	if (pending == NULL)
		pending = take_option_before(&c);
	command = n_plain == 0 ? NULL : cli_find_command(plain, n_plain, &words);
	if (pending != NULL) {
		offer_placeholder(&c, pending->value);
	} else if (c.typed[0] == '-' && command != NULL) {
		offer_options(&c, command);
	} else if (n_plain == 0) {
		offer_first_words(&c);
	} else {
		if (n_plain == 1)
			offer_second_words(&c, plain[0]);
		if (command != NULL) {
			find_placeholder(command->args, n_plain - words, placeholder);
			offer_placeholder(&c, placeholder);
		}
	}
	return CLI_OK;
}
