/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What somebody needs who helps from afar, in one file: answers of the daemon, the doctor's
 * findings, the log. Made also without a daemon, of what there is then.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "control/bundle/bundle.h"
#include "control/cli/cli.h"
#include "control/progress/progress.h"

enum { LOG_BYTES_MAX = 4 << 20 };

static const char readme[] =
	"A bundle of `sallyport debug bundle`, to be looked at by whoever helps.\n"
	"\n"
	"status.json peers.json ...   what the daemon said when it was asked: see sallyport(1)\n"
	"config/                      the files of the configuration in force\n"
	"history.json                 the versions before it\n"
	"traffic.json metrics.txt     counters\n"
	"doctor.json                  what `sallyport doctor -j` says\n"
	"log.txt                      the end of both programs' log, if systemd keeps it\n"
	"system/                      the machine, only with --system-info\n"
	"\n"
	"There are no packets in it and no keys: whatever looks like a key, a public one too, is\n"
	"<key 1>, <key 2> ..., the same number for the same key.\n";

static const char *const anonymities[] = {
	[BUNDLE_NAMED] = "Addresses and names are as they are: --anonymize replaces them.\n",
	[BUNDLE_DEFAULT] = "Public addresses (198.18.x.y, 2001:2::x), names of peers and of hosts\n"
			   "and comments of the configuration have been replaced.\n",
	[BUNDLE_STRICT] =
		"All addresses (198.18.x.y, 2001:2::x), names, descriptions and comments\n"
		"have been replaced.\n",
};

/* Answers that go in as they are. */
static const struct {
	const char *path, *name;
} answers[] = {
	{"/api/status", "status.json"},
	{"/api/peers", "peers.json"},
	{"/api/routes", "routes.json"},
	{"/api/exit-nodes", "exit-nodes.json"},
	{"/api/egress", "egress.json"},
	{"/api/forwards", "forwards.json"},
	{"/api/policies", "policies.json"},
	{"/api/drops", "drops.json"},
	{"/api/traffic?range=30d", "traffic.json"},
	{"/api/config/history", "history.json"},
};

enum {
	ANSWERS = sizeof(answers) / sizeof(answers[0]),
	STEPS = 2 * ANSWERS + 4, /* asked for and written; metrics, doctor, log, the machine */
};

struct making {
	struct cli *cli;
	struct bundle *bundle;
	json_t *answers[ANSWERS]; /* NULL = none */
	json_t *files;            /* of the configuration */
	unsigned steps;           /* of STEPS */
	FILE *missing;            /* what is not in it, and why, for the README */
};

/* Nothing is said of one that does not come but in the README. */
static json_t *ask(struct making *m, const char *path)
{
	char *body;
	int status = cli_request(m->cli, "GET", path, "application/json", "", 0, &body);
	json_t *json = status == 200 ? json_loads(body, 0, NULL) : NULL;

	if (json == NULL)
		fprintf(m->missing, "%s: status %d\n", path, status);
	free(body);
	return json;
}

static json_t *ask_for_files(struct making *m, const json_t *history)
{
	char path[64] = "/api/config/versions/disk";
	const json_t *version;
	size_t i;

	json_array_foreach(json_object_get(history, "versions"), i, version)
	{
		if (json_is_true(json_object_get(version, "in_force")))
			snprintf(path, sizeof(path), "/api/config/versions/%lld",
				(long long)cli_int(version, "version"));
	}
	return ask(m, path);
}

static void hide_list(struct making *m, const json_t *list, const char *kind, bool personal)
{
	const json_t *item;
	size_t i;

	json_array_foreach((json_t *)list, i, item)
	{
		const char *name =
			json_is_string(item) ? json_string_value(item) : cli_text(item, "name");

		bundle_hide(m->bundle, kind, name, personal);
	}
}

/* Hosts that endpoints name: "endpoint: vpn.example.net:51820". */
static void hide_hosts(struct making *m, const char *text)
{
	while ((text = strstr(text, "endpoint:")) != NULL) {
		char host[256];

		text += strlen("endpoint:");
		text += strspn(text, " \"'");
		if (sscanf(text, "%255[a-zA-Z0-9_.-]:", host) == 1 &&
			strspn(host, "0123456789.") != strlen(host))
			bundle_hide(m->bundle, "host", host, true);
	}
}

/* What is a name is known from lists, before anything is written. */
static void hide_names(struct making *m)
{
	static const struct {
		const char *list, *kind;
		bool personal;
	} kinds[] = {{"peers", "peer", true}, {"routes", "route", false},
		{"exit_nodes", "exit-node", false}, {"pools", "pool", false},
		{"forwards", "forward", false}, {"policies", "policy", false},
		{"ports", "port", false}};
	const json_t *item;
	size_t i, k;

	for (i = 0; i < ANSWERS; i++) {
		for (k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++)
			hide_list(m, json_object_get(m->answers[i], kinds[k].list), kinds[k].kind,
				kinds[k].personal);
		bundle_hide(m->bundle, "gateway", cli_text(m->answers[i], "gateway"), false);
		/* Also peers that have gone, and groups. */
		json_array_foreach(json_object_get(m->answers[i], "objects"), k, item)
		{
			const char *kind = cli_text(item, "kind");

			if (strcmp(kind, "peer") == 0 || strcmp(kind, "group") == 0)
				bundle_hide(
					m->bundle, kind, cli_text(item, "name"), kind[0] == 'p');
		}
	}
	json_array_foreach(json_object_get(m->answers[1], "peers"), i, item)
		hide_list(m, json_object_get(item, "groups"), "group", false);
	json_array_foreach(json_object_get(m->files, "files"), i, item)
		hide_hosts(m, cli_text(item, "text"));
}

static int add_files(struct making *m)
{
	const json_t *file;
	char name[48];
	int rc = 0;
	size_t i;

	json_array_foreach(json_object_get(m->files, "files"), i, file)
	{
		snprintf(name, sizeof(name), "config/%zu.yaml", i + 1);
		if (rc == 0)
			rc = bundle_add_yaml(m->bundle, name, cli_text(file, "text"));
	}
	return rc;
}

static int add_metrics(struct making *m)
{
	char *body;
	int status = cli_request(m->cli, "GET", "/metrics", "text/plain", "", 0, &body);
	int rc = status == 200 ? bundle_add_text(m->bundle, "metrics.txt", body) : 0;

	free(body);
	return rc;
}

/* Both programs' under systemd. Nobody else's log can be known. */
static int add_log(struct making *m)
{
	FILE *in = popen("journalctl --quiet --no-pager --lines=2000 --unit=sallyportd.service "
			 "--unit=sallyport-dataplane.service 2>/dev/null",
		"re");
	char *text = NULL, part[4096];
	size_t size, n, total = 0;
	FILE *out = open_memstream(&text, &size);
	int rc = -ENOMEM;

	while (in != NULL && out != NULL && total < LOG_BYTES_MAX &&
		(n = fread(part, 1, sizeof(part), in)) > 0)
		total += fwrite(part, 1, n, out);
	if (in != NULL)
		pclose(in);
	if (out != NULL) {
		fclose(out);
		rc = total == 0 ? 0 : bundle_add_text(m->bundle, "log.txt", text);
	}
	if (total == 0)
		fputs("log.txt: systemd has no log of the two programs\n", m->missing);
	free(text);
	return rc;
}

static int add_doctor(struct making *m)
{
	bool json = m->cli->json;
	json_t *all;
	int rc, code;

	m->cli->json = true; /* says nothing by itself */
	all = cli_diagnose(m->cli, &code);
	m->cli->json = json;
	rc = all == NULL ? 0 : bundle_add_json(m->bundle, "doctor.json", all);
	json_decref(all);
	return rc;
}

/* One more of what goes in. */
static void step(struct making *m)
{
	progress_step("collecting", PROGRESS_ITEMS, m->steps < STEPS ? m->steps++ : STEPS, STEPS);
}

static int add_all(struct making *m)
{
	int rc = add_files(m);

	for (size_t i = 0; rc == 0 && i < ANSWERS; i++) {
		step(m);
		if (m->answers[i] != NULL)
			rc = bundle_add_json(m->bundle, answers[i].name, m->answers[i]);
	}
	step(m);
	if (rc == 0 && m->files != NULL)
		rc = add_metrics(m);
	step(m);
	if (rc == 0)
		rc = add_doctor(m);
	step(m);
	if (rc == 0)
		rc = add_log(m);
	step(m);
	if (rc == 0 && m->cli->given & CLI_SYSTEM_INFO)
		rc = bundle_add_system(m->bundle, "");
	return rc;
}

static int add_readme(struct making *m, enum bundle_anonymity anonymity, const char *missing)
{
	char *text, when[32];
	time_t now = time(NULL);
	struct tm tm;
	int rc;

	strftime(when, sizeof(when), "%Y-%m-%d %H:%M UTC", gmtime_r(&now, &tm));
	if (asprintf(&text, "%s%s\nMade by version %s, %s.\n%s%s", readme, anonymities[anonymity],
		    SP_VERSION, when, missing[0] == '\0' ? "" : "\nMissing:\n", missing) < 0)
		return -ENOMEM;
	rc = bundle_add_text(m->bundle, "README.txt", text);
	free(text);
	return rc;
}

static int make(struct cli *cli, struct bundle *bundle, enum bundle_anonymity anonymity)
{
	struct making m = {.cli = cli, .bundle = bundle};
	char *missing = NULL;
	size_t size;
	int rc;

	m.missing = open_memstream(&missing, &size);
	if (m.missing == NULL)
		return -ENOMEM;
	if (cli_is_reachable(cli)) {
		for (size_t i = 0; i < ANSWERS; i++) {
			step(&m);
			m.answers[i] = ask(&m, answers[i].path);
		}
		m.files = ask_for_files(&m, m.answers[ANSWERS - 1]);
		hide_names(&m);
	} else {
		fprintf(m.missing, "sallyportd does not run: only what the machine says\n");
	}
	rc = add_all(&m);
	fclose(m.missing);
	if (rc == 0)
		rc = add_readme(&m, anonymity, missing);
	free(missing);
	for (size_t i = 0; i < ANSWERS; i++)
		json_decref(m.answers[i]);
	json_decref(m.files);
	return rc;
}

static bool read_anonymity(const char *word, enum bundle_anonymity *anonymity)
{
	*anonymity = BUNDLE_NAMED;
	if (word == NULL)
		return true;
	*anonymity = strcmp(word, "strict") == 0 ? BUNDLE_STRICT : BUNDLE_DEFAULT;
	return *anonymity == BUNDLE_STRICT || strcmp(word, "default") == 0;
}

int cli_run_bundle(struct cli *cli)
{
	enum bundle_anonymity anonymity;
	time_t now = time(NULL);
	struct bundle *bundle;
	const char *path = cli->args[0];
	char name[64];
	struct tm tm;
	int rc, end;

	if (!read_anonymity(cli->anonymize, &anonymity)) {
		fprintf(stderr, "sallyport: --anonymize is default or strict, not '%s'\n",
			cli->anonymize);
		return CLI_USAGE;
	}
	strftime(name, sizeof(name), "sallyport-bundle-%Y%m%d-%H%M%S.tar.gz", gmtime_r(&now, &tm));
	if (cli->n_args == 0)
		path = name;
	bundle = bundle_create(path, anonymity, &rc);
	if (bundle == NULL) {
		fprintf(stderr, "sallyport: %s: %s\n", path, strerror(-rc));
		return CLI_FAILED;
	}
	rc = make(cli, bundle, anonymity);
	end = bundle_finish(&bundle);
	rc = rc < 0 ? rc : end;
	if (rc < 0) {
		fprintf(stderr, "sallyport: %s is not complete: %s\n", path, strerror(-rc));
		return CLI_FAILED;
	}
	if (cli->json)
		cli_print_json_new(json_pack("{s:s}", "file", path));
	else
		printf("%s: look at it before you give it away.\n", path);
	return CLI_OK;
}
