/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sallyportd: one loop, and a thread for the time series' database. It may be killed and started
 * again at any time: the data plane forwards on, and what this process must know it reads again
 * from the configuration, the store and the kernel. It never daemonizes: a supervisor watches it.
 *
 * SIGHUP reads the configuration again (a broken one changes nothing), SIGTERM and SIGINT end it.
 */
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/base/log.h"
#include "control/api/api.h"
#include "control/failover/failover.h"
#include "control/health/health.h"
#include "control/main/door.h"
#include "control/main/blocks.h"
#include "control/main/kernel.h"
#include "control/main/supervisor.h"
#include "control/main/withdraw.h"
#include "control/progress/progress.h"
#include "control/revision/revision.h"
#include "control/traffic/traffic.h"
#include "control/uapi/uapi.h"

LOG_TYPE(main);

enum exit_code {
	EXIT_OK = 0,
	EXIT_FAILED = 1,
	EXIT_USAGE = 2, /* also: the configuration has errors */
};

struct options {
	const char *config;
	const char *state_dir;
	const char *run_dir;
	const char *wireguard_dir;
	bool withdraw;
	bool if_stopped; /* that one of the programs runs is no error then */
};

struct daemon {
	struct options options;
	struct event_base *base;
	struct event *signals[3];
	struct supervisor *supervisor;
	struct store *store;
	struct kernel *kernel;
	struct blocks *blocks;
	struct program *program;
	struct revision *revision;
	struct http_server *http;
	struct door *door;
	struct health *health;
	struct traffic *traffic;
	struct failover *failover;
	struct uapi *uapi;
	struct api api;
	char status[256]; /* the last configuration's, once it is known */
	int lock_fd;
};

static const char usage[] =
	"usage: sallyportd [--config FILE] [--state-dir DIR] [--run-dir DIR] [...]\n"
	"\n"
	"The control process of Sallyport, in the foreground.\n"
	"\n"
	"  --config FILE    configuration (/etc/sallyport/sallyport.yaml)\n"
	"  --state-dir DIR  keys and store (/var/lib/sallyport)\n"
	"  --run-dir DIR    sockets: sallyport.sock, dataplane.sock (/run/sallyport)\n"
	"  --wireguard-dir DIR  socket for wg(8): <interface>.sock (/var/run/wireguard)\n"
	"  --foreground     the default and only way\n"
	"  --withdraw[=if-stopped]  end at once, after giving the kernel its devices back; only\n"
	"                   while neither sallyportd nor sallyport-dataplane runs: else that is "
	"an\n"
	"                   error or, with if-stopped, all that is to be done\n"
	"  --log LEVEL      error, warn, info or debug (info)\n"
	"  --version        print the version\n"
	"  --help           print this\n";

/* NULL, which getopt_long() never gives for an option that takes a word, is no level. */
static int set_level(const char *word)
{
	static const char *const words[] = {"error", "warn", "info", "debug"};

	for (size_t i = 0; word != NULL && i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcmp(words[i], word) == 0)
			return log_set_level(NULL, (enum log_level)i);
	}
	return -EINVAL;
}

/* 0: go on; else the program ends with *code. */
static int parse_options(int argc, char **argv, struct options *options, int *code)
{
	static const struct option longs[] = {
		{"config", required_argument, NULL, 'c'},
		{"state-dir", required_argument, NULL, 's'},
		{"run-dir", required_argument, NULL, 'r'},
		{"wireguard-dir", required_argument, NULL, 'w'},
		{"foreground", no_argument, NULL, 'f'},
		{"withdraw", optional_argument, NULL, 'x'},
		{"log", required_argument, NULL, 'l'},
		{"version", no_argument, NULL, 'v'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	int c;

	*options = (struct options){"/etc/sallyport/sallyport.yaml", "/var/lib/sallyport",
		"/run/sallyport", "/var/run/wireguard", false, false};
	*code = EXIT_USAGE;
	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		switch (c) {
		case 'c':
			options->config = optarg;
			break;
		case 's':
			options->state_dir = optarg;
			break;
		case 'r':
			options->run_dir = optarg;
			break;
		case 'w':
			options->wireguard_dir = optarg;
			break;
		case 'f':
			break;
		case 'x':
			options->withdraw = true;
			options->if_stopped = optarg != NULL;
			if (optarg == NULL || strcmp(optarg, "if-stopped") == 0)
				break;
			fputs(usage, stderr);
			return -1;
		case 'l':
			if (set_level(optarg) < 0) {
				fputs(usage, stderr);
				return -1;
			}
			break;
		case 'v':
			puts("sallyportd " SP_VERSION);
			*code = EXIT_OK;
			return -1;
		case 'h':
			fputs(usage, stdout);
			*code = EXIT_OK;
			return -1;
		default:
			fputs(usage, stderr);
			return -1;
		}
	}
	if (optind == argc)
		return 0;
	fputs(usage, stderr);
	return -1;
}

/* Keys are in this process: they must reach neither swap nor a core file. */
static void protect_memory(void)
{
	struct rlimit none = {0}, all = {RLIM_INFINITY, RLIM_INFINITY};

	if (setrlimit(RLIMIT_CORE, &none) < 0 || prctl(PR_SET_DUMPABLE, 0) < 0)
		log_warn(main, "core dumps cannot be switched off: %s", strerror(errno));
	/* With a limit left in place every later allocation could fail; keys are in pages that
	 * libsodium locks by itself. */
	if (setrlimit(RLIMIT_MEMLOCK, &all) < 0 || mlockall(MCL_CURRENT | MCL_FUTURE) < 0)
		log_info(main, "not all memory is locked (%s), only that of keys", strerror(errno));
}

static int make_dir(const char *path)
{
	if (mkdir(path, 0700) < 0 && errno != EEXIST) {
		log_error(main, "%s: %s", path, strerror(errno));
		return -errno;
	}
	return 0;
}

static int in_dir(char path[PATH_MAX], const char *dir, const char *name)
{
	if (snprintf(path, PATH_MAX, "%s/%s", dir, name) < PATH_MAX)
		return 0;
	log_error(main, "%s: name too long", dir);
	return -ENAMETOOLONG;
}

/* Two daemons on one state would hand out the same ids. */
static int lock_state(struct daemon *d)
{
	char path[PATH_MAX];
	int error;

	if (in_dir(path, d->options.state_dir, "lock") < 0)
		return -ENAMETOOLONG;
	d->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (d->lock_fd >= 0 && flock(d->lock_fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	error = -errno;
	if (error == -EWOULDBLOCK && d->options.if_stopped)
		log_info(main, "sallyportd runs: the devices are its business");
	else
		log_error(main, "%s: %s", path,
			error == -EWOULDBLOCK ? "another sallyportd has it" : strerror(-error));
	return error;
}

/* Ready also if the data plane is not there yet or has refused: this process answers for both. */
static void tell(struct daemon *d, int error, const char *text)
{
	snprintf(d->status, sizeof(d->status), "%s",
		error == 0 ? "the configuration is in force" : text);
	/* The first one may be known before the doors are open. */
	if (d->supervisor != NULL)
		supervisor_ready(d->status);
}

/* Also before the loop turns: a large configuration is read then. */
static void on_progress(const struct progress *now, void *arg)
{
	const struct daemon *d = arg;
	bool forwards = link_generation(program_link(d->program)) != 0;
	char text[sizeof(d->status)];

	if (now != NULL && now->total != 0)
		snprintf(text, sizeof(text), "%s: %" PRIu64 " of %" PRIu64 " %s", now->what,
			now->done, now->total, now->unit == PROGRESS_BYTES ? "bytes" : "objects");
	else
		snprintf(text, sizeof(text), "%s",
			now != NULL ? now->what
			: forwards  ? "the configuration is in force"
				    : d->status);
	supervisor_say(text);
}

static void start_done(const struct program_result *result, void *arg)
{
	if (result->error != 0 && result->error != -EINPROGRESS)
		log_error(main, "start: %s", result->text);
	else
		log_info(main, "configuration read: %zu set, %zu deleted%s%s", result->sets,
			result->deletions, result->text[0] != '\0' ? "; " : "", result->text);
	tell(arg, result->error, result->text);
}

static void reload_done(const struct revision_result *result, void *arg)
{
	if (result->diag != NULL)
		diag_print(result->diag, stderr, isatty(STDERR_FILENO) == 1);
	if (result->error != 0 && result->error != -EINPROGRESS)
		log_error(main, "reload: %s: nothing was changed", result->text);
	else
		log_info(main, "configuration read: %zu set, %zu deleted%s%s",
			result->program->sets, result->program->deletions,
			result->text[0] != '\0' ? "; " : "", result->text);
	tell(arg, result->error,
		result->error == -EINVAL
			? "the configuration has errors: the one before stays in force"
			: result->text);
}

static void on_signal(evutil_socket_t number, short what, void *arg)
{
	struct daemon *d = arg;

	if (number != SIGHUP) {
		log_info(main, "ending; the data plane forwards on");
		event_base_loopbreak(d->base);
		return;
	}
	supervisor_reloading();
	revision_apply(d->revision, &(struct revision_request){.who = "SIGHUP", .message = ""},
		reload_done, d);
}

static int watch_signals(struct daemon *d)
{
	static const int numbers[] = {SIGHUP, SIGTERM, SIGINT};

	signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i < 3; i++) {
		d->signals[i] = evsignal_new(d->base, numbers[i], on_signal, d);
		if (d->signals[i] == NULL || evsignal_add(d->signals[i], NULL) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int open_store(struct daemon *d)
{
	char path[PATH_MAX];
	mode_t mask;
	int error;

	if (in_dir(path, d->options.state_dir, "state.db") < 0)
		return -ENAMETOOLONG;
	mask = umask(0077);
	d->store = store_open(path, &error);
	umask(mask);
	return d->store == NULL ? error : 0;
}

static int start_program(struct daemon *d)
{
	char path[PATH_MAX], ledger[PATH_MAX];
	struct program_options options = {
		.base = d->base,
		.socket_path = path,
		.state_dir = d->options.state_dir,
		.store = d->store,
	};
	mode_t mask;
	int error;

	if (in_dir(path, d->options.run_dir, "dataplane.sock") < 0 ||
		in_dir(ledger, d->options.state_dir, "blocks.db") < 0)
		return -ENAMETOOLONG;
	mask = umask(0077);
	d->blocks = blocks_create(d->base, ledger, &error);
	umask(mask);
	if (d->blocks == NULL)
		return error;
	options.block = blocks_take;
	options.block_arg = d->blocks;
	d->kernel = kernel_create(d->base, d->options.run_dir, &options.kernel, &error);
	if (d->kernel == NULL)
		return error;
	options.mirrored = true;
	d->program = program_create(&options, &error);
	if (d->program == NULL)
		return error;
	kernel_attach(d->kernel, d->program);
	blocks_attach(d->blocks, d->program);
	d->revision = revision_create(&(struct revision_options){
		.base = d->base,
		.program = d->program,
		.store = d->store,
		.config_file = d->options.config,
		.state_dir = d->options.state_dir,
	});
	return 0;
}

/* A gateway without time series forwards no worse. */
static void start_traffic(struct daemon *d)
{
	char path[PATH_MAX];
	mode_t mask;
	int error;

	if (in_dir(path, d->options.state_dir, "traffic.db") < 0)
		return;
	mask = umask(0077);
	d->traffic = traffic_create(d->base, d->program, path, &error);
	umask(mask);
	if (d->traffic == NULL)
		log_error(main, "%s: %s: no time series of traffic", path, strerror(-error));
}

static int start_http(struct daemon *d)
{
	char path[PATH_MAX];
	int error;

	if (in_dir(path, d->options.run_dir, "sallyport.sock") < 0)
		return -ENAMETOOLONG;
	d->health = health_create(d->base, d->program, &error);
	if (d->health == NULL)
		return error;
	start_traffic(d);
	d->failover = failover_create(d->base, d->program, &error);
	if (d->failover == NULL)
		return error;
	d->api = (struct api){
		.program = d->program,
		.revision = d->revision,
		.ledger = blocks_ledger(d->blocks),
		.traffic = d->traffic,
		.store = d->store,
		.config_file = d->options.config,
		.state_dir = d->options.state_dir,
		.started_s = time(NULL),
		.base = d->base,
		.health = d->health,
		.failover = d->failover,
	};
	d->door = door_create(d->base, &d->api, &error);
	if (d->door == NULL)
		return error;
	d->http = http_create(d->base, path, 0600, api_routes, &d->api, &error);
	if (d->http == NULL)
		log_error(main, "%s: %s", path, strerror(-error));
	return d->http == NULL ? error : 0;
}

/* A gateway that `wg` cannot look into forwards no worse: that is said, and no reason to end. */
static void start_uapi(struct daemon *d)
{
	const struct uapi_options options = {
		.base = d->base,
		.program = d->program,
		.dir = d->options.wireguard_dir,
		.interface = program_compiled(d->program)->model->wireguard.interface,
		.state_dir = d->options.state_dir,
	};
	int error;

	d->uapi = uapi_create(&options, &error);
	if (d->uapi == NULL)
		log_warn(main, "no socket for wg(8): %s/%s.sock: %s", options.dir,
			options.interface, strerror(-error));
}

static void stop(struct daemon *d)
{
	progress_listen(NULL, NULL);
	supervisor_destroy(&d->supervisor);
	http_destroy(&d->http);
	door_destroy(&d->door);
	health_destroy(&d->health);
	traffic_destroy(&d->traffic);
	failover_destroy(&d->failover);
	kernel_attach(d->kernel, NULL);
	revision_destroy(&d->revision);
	blocks_attach(d->blocks, NULL);
	program_destroy(&d->program);
	blocks_destroy(&d->blocks);
	uapi_destroy(&d->uapi);
	kernel_destroy(&d->kernel);
	store_close(&d->store);
	for (size_t i = 0; i < 3; i++) {
		if (d->signals[i] != NULL)
			event_free(d->signals[i]);
	}
	if (d->base != NULL)
		event_base_free(d->base);
	if (d->lock_fd >= 0)
		close(d->lock_fd);
}

int main(int argc, char **argv)
{
	struct daemon d = {.lock_fd = -1};
	int code, error;

	if (parse_options(argc, argv, &d.options, &code) < 0)
		return code;
	protect_memory();
	code = EXIT_FAILED;
	if (sodium_init() < 0 || make_dir(d.options.state_dir) < 0 ||
		make_dir(d.options.run_dir) < 0)
		goto out;
	error = lock_state(&d);
	if (error < 0) {
		code = error == -EWOULDBLOCK && d.options.if_stopped ? EXIT_OK : EXIT_FAILED;
		goto out;
	}
	if (d.options.withdraw) {
		code = withdraw(d.options.run_dir, d.options.if_stopped) < 0 ? EXIT_FAILED
									     : EXIT_OK;
		goto out;
	}
	d.base = event_base_new();
	if (d.base == NULL || watch_signals(&d) < 0 || open_store(&d) < 0 || start_program(&d) < 0)
		goto out;
	progress_listen(on_progress, &d);
	error = revision_start(d.revision, isatty(STDERR_FILENO) == 1, start_done, &d);
	if (error < 0) {
		code = error == -EINVAL ? EXIT_USAGE : EXIT_FAILED;
		goto out;
	}
	if (start_http(&d) < 0)
		goto out;
	start_uapi(&d);
	d.supervisor = supervisor_create(d.base, &error);
	if (d.supervisor == NULL)
		goto out;
	if (d.status[0] != '\0')
		supervisor_ready(d.status);
	log_info(main, "sallyportd " SP_VERSION " is up, configuration %s", d.options.config);
	code = event_base_dispatch(d.base) < 0 ? EXIT_FAILED : EXIT_OK;
out:
	stop(&d);
	return code;
}
