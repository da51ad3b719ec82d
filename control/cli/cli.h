/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The operator's command. Each command is one entry of cli_commands, from which dispatch, help
 * and the manual page come. It speaks to sallyportd's /api and knows nothing else, except
 * `check`, `explain` and `dataplane-args`, which need no daemon.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

/* Exit codes, for scripts. */
enum cli_exit {
	CLI_OK = 0,
	CLI_FAILED = 1,
	CLI_USAGE = 2,   /* also: errors in the configuration */
	CLI_NOTHING = 3, /* nothing to do; of comparisons: there are differences */
	CLI_DIFFERS = CLI_NOTHING,
	CLI_DEGRADED = 4,
	CLI_UNREACHABLE = 5, /* no daemon */
};

/* Options are the same for every command; each command says which it takes. */
enum cli_option {
	CLI_FULL = 1ll << 0,
	CLI_ENDPOINT = 1ll << 1,
	CLI_PRIVATE_KEY_FILE = 1ll << 2,
	CLI_STATE_DIR = 1ll << 3,
	CLI_MAX = 1ll << 4,
	CLI_PEER = 1ll << 5,
	CLI_ALL = 1ll << 6,
	CLI_PROTO = 1ll << 7,
	CLI_AS = 1ll << 8,
	CLI_DETAILS = 1ll << 9,
	CLI_CHECK = 1ll << 10,
	CLI_CONFIG = 1ll << 11,
	CLI_NFT = 1ll << 12,
	CLI_QR = 1ll << 13,
	CLI_BATCH = 1ll << 14,
	CLI_EXIT_NODE = 1ll << 15,
	CLI_EGRESS = 1ll << 16,
	CLI_RANGE = 1ll << 17,
	CLI_CSV = 1ll << 18,
	CLI_SYSTEM_INFO = 1ll << 19,
	CLI_CONFIRM = 1ll << 20,
	CLI_MESSAGE = 1ll << 21,
	CLI_GROUPS = 1ll << 22,
	CLI_ADDRESS = 1ll << 23,
	CLI_PUBLIC_KEY = 1ll << 24,
	CLI_SNAP = 1ll << 25,
	CLI_COUNT = 1ll << 26,
	CLI_WRITE = 1ll << 27,
	CLI_DROPS = 1ll << 28,
	CLI_PORT = 1ll << 29,
	CLI_ANONYMIZE = 1ll << 30,
	CLI_ORIGIN = 1ll << 31,
	CLI_WATCH = 1ll << 32,
	CLI_RISK = 1ll << 33,
	CLI_BIND = 1ll << 34,  /* three options: driver, force, list */
	CLI_UNITS = 1ll << 35, /* three options: si, iec, exact */
	CLI_PAGED = 1ll << 36, /* what it prints may be longer than a screen; option: no pager */
};

enum {
	CLI_OPTIONS_MAX = 64,
	CLI_LONG = 256, /* what getopt_long() returns for the first row; a short form its letter */
};

/* How amounts of bytes are shown: --si, which is usual, --iec, --exact. */
enum cli_units {
	CLI_SI,
	CLI_IEC,
	CLI_EXACT,
};

enum { CLI_UNITS_TEXT = 32 };

struct cli {
	uint64_t given; /* enum cli_option */
	const char *socket;
	bool json;
	bool lines; /* --jsonl */
	bool help;
	bool colour;
	unsigned columns; /* 0 = not a terminal */
	const char *endpoint, *private_key_file, *state_dir, *max, *peer, *proto, *as;
	const char *output, *check, *config;
	const char *confirm, *message, *groups, *address, *public_key;
	const char *port, *write, *count, *snap;
	const char *exit_node, *egress, *range, *anonymize;
	const char *driver; /* of bind */
	bool force, list;
	const char *accept_risk;
	const char *command;  /* its words */
	const char *interval; /* of --watch; NULL = the usual one */
	bool si, iec, exact;
	unsigned timeout_s; /* for an answer of the daemon; 0 = the default */
	int n_args;
	char **args; /* beyond the command's own words */
};

/*
 * The words that stand for arguments and values say what is completed there: PEER, EXIT-NODE,
 * ROUTE, POOL, POLICY, PORT, PCI-ADDRESS, CODE, COMMAND, FILE, DIR, or the choices themselves
 * ("bash|zsh|fish").
 */
struct cli_command {
	const char *words; /* "peer export"; NULL ends the table */
	const char *args;  /* "PEER", "" */
	int min_args, max_args;
	uint64_t options; /* enum cli_option */
	const char *summary;
	const char *about; /* for the manual: one paragraph */
	int (*run)(struct cli *cli);
	const char *rows; /* the member of its JSON that --jsonl prints a line for each item of */
};

extern const struct cli_command cli_commands[];

/* Also the manual's list of options: mask 0 = every command takes it. What an option does beyond
 * being given is to set a field. */
struct cli_option_row {
	uint64_t mask;
	char letter;              /* 0 = it has no short form */
	const char *name;         /* NULL ends the table */
	const char *value, *help; /* a value in brackets may be left out, else it follows a = */
	size_t field;             /* of struct cli: a text, without a value a bool; 0 = none */
};

extern const struct cli_option_row cli_options[];

/* The command whose words begin the arguments, and how many words that is; or NULL. */
const struct cli_command *cli_find_command(char *const *args, int n, int *words);

void cli_print_usage(void);
int cli_print_help_on(const struct cli_command *command);

/* All of sallyport but main(): for tests too. Returns an exit code. */
int cli_main(int argc, char **argv);

/* client.c: one request to the daemon. status 0 = unreachable (reason printed). *body is malloc. */
int cli_request(struct cli *cli, const char *method, const char *path, const char *type,
	const char *content, size_t size, char **body) __attribute__((warn_unused_result));

/* A connection to the daemon, or -errno. */
int cli_connect(const struct cli *cli);

/* watch.c: returns when the answer on this connection begins, and shows until then how far the
 * daemon is. Ctrl-C ends the process; if the request changes something, after saying that the
 * daemon goes on. */
void cli_watch(struct cli *cli, int fd, bool changes);

/* progress.c: what takes long (control/progress) is told on stderr from now on. */
void cli_progress_start(void);
bool cli_progress_is_shown(void); /* on a terminal */
void cli_progress_stop(void);     /* the terminal is somebody else's from now on */

/* True if somebody listens on the socket. */
bool cli_is_reachable(const struct cli *cli);

/*
 * GET, and the answer as JSON; NULL after printing why not, with *code to exit with. Under -j
 * the caller prints it by cli_print_json().
 */
json_t *cli_get(struct cli *cli, const char *path, int *code);

/*
 * An answer that comes in parts: each goes to take(), until it says false, the daemon ends or the
 * user does (SIGINT, SIGTERM). Returns the code to exit with, after printing what was wrong.
 */
int cli_stream(struct cli *cli, const char *method, const char *path, const char *content,
	bool (*take)(const void *bytes, size_t size, void *arg), void *arg);

/* A number from 1 to max in an option's value; `otherwise` without one. False after saying what is
 * wrong. */
bool cli_number(const char *option, const char *text, unsigned long max, unsigned long otherwise,
	unsigned long *out);

/* True for a name of the configuration: it may stand in a path. Says so if it is none. */
bool cli_is_name(const char *what, const char *text);

/* Prints what a problem+json says; returns the code to exit with. */
int cli_problem(struct cli *cli, int status, const char *body);

/* output.c. As JSON, or as YAML under `-o yaml`. */
void cli_print_json(json_t *json);
void cli_print_json_new(json_t *json); /* takes the reference */

/* Follows --json, --jsonl and --output; false if the latter is none of its words. */
bool cli_set_output(struct cli *cli);

/* Of --jsonl: which member's items are lines; NULL: the whole is one. Of --watch: each has the time
 * in it. */
void cli_set_lines(const char *rows, bool stamped);

/* What stdout and the terminal are, now. */
void cli_look_at_terminal(struct cli *cli);

/* repeat.c: runs a command until the user or the reader of its output ends it (--watch). */
int cli_repeat(struct cli *cli, const struct cli_command *command);

/*
 * Words of a text on lines of the terminal's width, those from the second one on behind `indent`;
 * `used` columns of the first line are taken. Ends the line. Not to a terminal: one line.
 */
void cli_print_wrapped(const struct cli *cli, size_t used, const char *indent, const char *text);

/* The same, formatted, on a line of its own; `indent` for lines from the second one on. */
void cli_print_line(const struct cli *cli, const char *indent, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* show.c: of what /api/routes lists the return routes, and which routes wait for them. */
void cli_print_route_needs(const struct cli *cli, const json_t *routes);

/* plan.c: what plan_return_routes() lists, if there is any, below a heading. */
void cli_print_returns(const struct cli *cli, const json_t *list);

/* From now on what is printed goes through $PAGER, if this is a terminal and nothing says
 * otherwise. The process, or -1. */
pid_t cli_pager_start(struct cli *cli);
void cli_pager_end(pid_t pager);

/* table.c: rows of text in aligned columns, cut to the terminal. */
struct cli_table;

enum cli_align {
	CLI_LEFT,
	CLI_RIGHT,
};

/* headers: "NAME", or ">BYTES" for a column of figures; NULL ends. */
struct cli_table *cli_table_create(const char *const *headers);
void cli_table_cell(struct cli_table *table, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* Prints and frees. */
void cli_table_print(struct cli *cli, struct cli_table **table);

/* Only frees. */
void cli_table_drop(struct cli_table **table);

/* units.c */
void cli_set_units(enum cli_units units);
const char *cli_bytes(json_int_t bytes, char text[CLI_UNITS_TEXT]);       /* "1.2 MB" */
const char *cli_rate(double bytes_per_second, char text[CLI_UNITS_TEXT]); /* "1.2 Mbit/s" */

const char *cli_age(json_int_t unix_time, char text[16]); /* "12 s", "-" */

/* members of an object with defaults */
const char *cli_text(const json_t *object, const char *key);
json_int_t cli_int(const json_t *object, const char *key);
const char *cli_list(const json_t *object, const char *key, char *text, size_t size);

/* qr.c: a wg-quick file as a QR code, cut to what telephones read. An exit code. */
int cli_print_qr(const struct cli *cli, const char *file);

struct model;

/*
 * The configuration: of --config, else the daemon's, else the usual file; key files are not looked
 * at. NULL after printing why not, with *code to exit with.
 */
struct model *cli_load_model(struct cli *cli, int *code);

/* doctor.c: all steps, as `doctor -j` prints them; NULL after printing why not. *code: what doctor
 * exits with. */
json_t *cli_diagnose(struct cli *cli, int *code);

/* act.c: prints the wg-quick file of a peer; key = its private key as text, or NULL. */
int cli_export(struct cli *cli, const char *name, const char *key);

/* change.c: seconds of "90s", "5m", "1h", "300"; 0 if it is none, or over a day. */
unsigned long cli_duration(const char *text);

/* change.c: path with the options that every change takes (confirm, message); NULL after saying
 * what is wrong with them. malloc. */
char *cli_change_path(const struct cli *cli, const char *path);

/* change.c: what a change has come to; returns the code to exit with. Takes body over. */
int cli_changed(struct cli *cli, int status, char *body);

/* The same with words of one's own for what has come of it. */
int cli_changed_as(struct cli *cli, int status, char *body,
	void (*print)(const struct cli *cli, const json_t *json));

/*
 * risk.c: false if the user does not want what a change would cut, after saying what that is; *code
 * to exit with. Of the files as they are, or of a version; of a rollback (NULL: to the version
 * before); of a peer that goes.
 */
bool cli_accept_change(struct cli *cli, const char *version, int *code);
bool cli_accept_rollback(struct cli *cli, const char *version, int *code);
bool cli_accept_removal(struct cli *cli, const char *peer, int *code);

/* plan.c: the list of plan_difference(). */
void cli_print_changes(const json_t *changes);

/* the commands */
int cli_run_status(struct cli *cli);
int cli_run_peers(struct cli *cli);
int cli_run_routes(struct cli *cli);
int cli_run_exit_nodes(struct cli *cli);
struct bind_place;
/* This machine's. */
struct bind_place cli_bind_place(void);

int cli_run_bind(struct cli *cli);
int cli_run_bind_confirm(struct cli *cli);
int cli_run_select(struct cli *cli);
int cli_run_deselect(struct cli *cli);
int cli_run_egress(struct cli *cli);
int cli_run_forwards(struct cli *cli);
int cli_run_flows(struct cli *cli);
int cli_run_drops(struct cli *cli);
int cli_run_policy(struct cli *cli);
int cli_run_counters(struct cli *cli);
int cli_run_why(struct cli *cli);
int cli_run_check(struct cli *cli);
int cli_run_apply(struct cli *cli);
int cli_run_confirm(struct cli *cli);
int cli_run_rollback(struct cli *cli);
int cli_run_plan(struct cli *cli);
int cli_run_history(struct cli *cli);
int cli_run_config_diff(struct cli *cli);
int cli_run_config_show(struct cli *cli);
int cli_run_peer_add(struct cli *cli);
int cli_run_peer_remove(struct cli *cli);
int cli_run_explain(struct cli *cli);
int cli_run_export(struct cli *cli);
int cli_run_dataplane_args(struct cli *cli);
int cli_run_schema(struct cli *cli);
int cli_run_version(struct cli *cli);
int cli_run_help(struct cli *cli);
int cli_run_man(struct cli *cli);
int cli_run_doctor(struct cli *cli);
int cli_run_ports(struct cli *cli);
int cli_run_egress_list(struct cli *cli);
int cli_run_egress_who(struct cli *cli);
int cli_run_import(struct cli *cli);
int cli_run_capture(struct cli *cli);
int cli_run_trace(struct cli *cli);
int cli_run_bundle(struct cli *cli);
int cli_run_traffic(struct cli *cli);
int cli_run_top(struct cli *cli);
int cli_run_completion(struct cli *cli);
int cli_run_complete(struct cli *cli);
