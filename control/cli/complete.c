/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Completion. The shells' scripts are a few lines: they hand the words typed so far to
 * `sallyport complete`, which finds what could come next in the tables of commands and options
 * and, for names, asks the daemon. What a word stands for follows from its placeholder.
 */
#include <stdlib.h>
#include <string.h>

#include "control/cli/cli.h"
#include "control/diag/diag.h"

enum { WORD_MAX = 64, DAEMON_TIMEOUT_S = 2 };

static const char bash_script[] =
	"# bash completion of sallyport; made by `sallyport completion bash`\n"
	"_sallyport()\n"
	"{\n"
	"\tlocal current=${COMP_WORDS[COMP_CWORD]} word about lines=()\n"
	"\tCOMPREPLY=()\n"
	"\tmapfile -t lines < <(\"${COMP_WORDS[0]}\" complete -- "
	"\"${COMP_WORDS[@]:1:COMP_CWORD}\" 2>/dev/null)\n"
	"\tif [[ ${lines[0]-} == :files ]]; then\n"
	"\t\tcompopt -o default -o filenames 2>/dev/null\n"
	"\t\tmapfile -t COMPREPLY < <(compgen -f -- \"$current\")\n"
	"\t\treturn\n"
	"\tfi\n"
	"\tfor word in \"${lines[@]}\"; do\n"
	"\t\tabout=${word#*$'\\t'}\n"
	"\t\tword=${word%%$'\\t'*}\n"
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

/* What is typed of a word, and where what fits it goes. */
struct completion {
	struct cli *cli;
	const char *typed;
};

static void offer(const struct completion *c, const char *word, const char *about)
{
	if (strncmp(word, c->typed, strlen(c->typed)) == 0)
		printf("%s\t%s\n", word, about);
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

/* The words that may stand after `first` (NULL: at the beginning), each once. */
static void offer_commands(const struct completion *c, const char *first)
{
	const char *last = "";

	for (const struct cli_command *k = cli_commands; k->words != NULL; k++) {
		const char *space = strchr(k->words, ' ');
		size_t length = strcspn(k->words, " ");
		char word[WORD_MAX];

		if (first != NULL) {
			if (space != NULL && strlen(first) == length &&
				strncmp(k->words, first, length) == 0)
				offer(c, space + 1, k->summary);
			continue;
		}
		if (strlen(last) >= length && strncmp(last, k->words, length) == 0 &&
			strchr(" ", last[length]) != NULL)
			continue; /* `peer add` and `peer remove` share theirs */
		snprintf(word, sizeof(word), "%.*s", (int)length, k->words);
		offer(c, word, space == NULL ? k->summary : "");
		last = k->words;
	}
}

static void offer_placeholder(const struct completion *c, const char *placeholder)
{
	if (strchr(placeholder, '|') != NULL)
		offer_choices(c, placeholder);
	else if (strcmp(placeholder, "FILE") == 0 || strcmp(placeholder, "DIR") == 0)
		puts(":files");
	else if (strcmp(placeholder, "CODE") == 0)
		offer_codes(c);
	else if (strcmp(placeholder, "COMMAND") == 0)
		offer_commands(c, NULL);
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

/* The option that a word is, if it takes its value from the next word; or NULL. */
static const struct cli_option_row *option_with_value(const char *word)
{
	for (const struct cli_option_row *o = cli_options; o->name != NULL; o++) {
		if (o->value == NULL)
			continue;
		if (strncmp(word, "--", 2) == 0 && strcmp(word + 2, o->name) == 0)
			return o;
		if (o->letter == 'o' && strcmp(word, "-o") == 0)
			return o;
	}
	return NULL;
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
			pending = option_with_value(word);
		else if (n_plain < WORD_MAX)
			plain[n_plain++] = word;
	}
	command = n_plain == 0 ? NULL : cli_find_command(plain, n_plain, &words);
	if (pending != NULL) {
		offer_placeholder(&c, pending->value);
	} else if (c.typed[0] == '-' && command != NULL) {
		offer_options(&c, command);
	} else if (n_plain == 0) {
		offer_commands(&c, NULL);
	} else {
		if (n_plain == 1)
			offer_commands(&c, plain[0]);
		if (command != NULL) {
			find_placeholder(command->args, n_plain - words, placeholder);
			offer_placeholder(&c, placeholder);
		}
	}
	return CLI_OK;
}
