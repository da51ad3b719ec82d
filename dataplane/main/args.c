/* SPDX-License-Identifier: BSD-3-Clause */
/* One table of options: parsing, limits and help come from it. */
#include "dataplane/main/args.h"

#include <errno.h>
#include <getopt.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dataplane/aead/aead.h"
#include "dataplane/x25519/x25519.h"

enum option_id {
	OPT_SOCKET = 256,
	OPT_UID,
	OPT_WORKERS,
	OPT_IDLE,
	OPT_LEND,
	OPT_LCORES,
	OPT_MEMORY,
	OPT_HUGEPAGES,
	OPT_ALLOW_PCI,
	OPT_MAX_PEERS,
	OPT_MAX_FLOWS,
	OPT_MAX_ROUTES,
	OPT_MAX_RULES,
	OPT_MBUFS,
	OPT_MTU_MAX,
	OPT_AEAD,
	OPT_X25519,
	OPT_OVERLAY_NAME,
	OPT_LOG,
	OPT_VERSION,
	OPT_HELP,
};

/* A number has a range, a text has none. */
static const struct option_entry {
	enum option_id id;
	const char *name;
	const char *value; /* NULL: the option takes none */
	uint32_t min, max;
	const char *help;
} entries[] = {
	{OPT_SOCKET, "socket", "PATH", 0, 0, "Unix socket for sallyportd"},
	{OPT_UID, "uid", "UID", 0, UINT32_MAX - 1, "who may connect, besides our own uid"},
	{OPT_WORKERS, "workers", "N", 1, DP_WORKERS_MAX, "worker threads (default: CPUs - 2)"},
	{OPT_IDLE, "idle", "adaptive|poll", 0, 0,
		"what idle workers do (default: adaptive where cores are shared)"},
	{OPT_LEND, "lend", "auto|always|off", 0, 0,
		"seal and open for workers that have more than they can do (default: auto)"},
	{OPT_LCORES, "lcores", "MAP", 0, 0,
		"threads to CPUs as EAL takes it: lcore 0 is the main thread, the others work"},
	{OPT_MEMORY, "memory", "MB", 64, 1 << 20, "packet and table memory (default: by limits)"},
	{OPT_HUGEPAGES, "hugepages", "auto|on|off", 0, 0, "default: if enough are free"},
	{OPT_ALLOW_PCI, "allow-pci", NULL, 0, 0, "take the network cards that ports name"},
	{OPT_MAX_PEERS, "max-peers", "N", 1, 1 << 20, "highest peer id + 1"},
	{OPT_MAX_FLOWS, "max-flows", "N", 1024, 1 << 28, "flows over all workers"},
	{OPT_MAX_ROUTES, "max-routes", "N", 16, 1 << 24, "routes per table"},
	{OPT_MAX_RULES, "max-rules", "N", 16, 1 << 20, "policy rules"},
	{OPT_MBUFS, "mbufs", "N", 2048, 1 << 24, "packet buffers"},
	{OPT_MTU_MAX, "mtu-max", "BYTES", 1280, 9000, "largest MTU of any port"},
	{OPT_AEAD, "aead", "NAME", 0, 0, "cipher implementation (default: the fastest)"},
	{OPT_X25519, "x25519", "NAME", 0, 0, "X25519 implementation (default: the fastest)"},
	{OPT_OVERLAY_NAME, "overlay-name", "NAME", 0, 0,
		"the overlay's interface in the kernel (default: sp0)"},
	{OPT_LOG, "log", "error|warn|info|debug", 0, 0, "default: info"},
	{OPT_VERSION, "version", NULL, 0, 0, "print the version"},
	{OPT_HELP, "help", NULL, 0, 0, "print this"},
};

enum { ENTRIES = sizeof(entries) / sizeof(entries[0]) };

/* CPUs that workers leave to the main, punt and handshake threads, sallyportd and the system, if
 * they are to have their own to themselves. */
enum { CPUS_APART = 2 };

static struct dp_config current;

const struct dp_config *dp_config(void)
{
	return &current;
}

void args_set_config(const struct dp_config *config)
{
	current = *config;
}

static void print_help(void)
{
	puts("usage: sallyport-dataplane [option ...]\n"
	     "The forwarding half of Sallyport. Everything else arrives from sallyportd.\n");
	for (unsigned i = 0; i < ENTRIES; i++) {
		char left[64];

		snprintf(left, sizeof(left), "--%s %s", entries[i].name,
			entries[i].value != NULL ? entries[i].value : "");
		printf("  %-30s %s\n", left, entries[i].help);
	}
	fputs("\nciphers:", stdout);
	for (unsigned i = 0; aead_name_at(i) != NULL; i++)
		printf(" %s", aead_name_at(i));
	fputs("\nX25519:", stdout);
	for (unsigned i = 0; x25519_name_at(i) != NULL; i++)
		printf(" %s", x25519_name_at(i));
	putchar('\n');
}

static int wrong(const char *option, const char *value, const char *allowed)
{
	fprintf(stderr, "sallyport-dataplane: --%s '%s': %s\n", option, value, allowed);
	return -EINVAL;
}

static int parse_number(const struct option_entry *entry, const char *text, uint32_t *out)
{
	char allowed[64];
	char *end;
	unsigned long value;

	snprintf(allowed, sizeof(allowed), "a number from %u to %u", entry->min, entry->max);
	errno = 0;
	value = strtoul(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0' || text[0] == '-')
		return wrong(entry->name, text, allowed);
	if (value < entry->min || value > entry->max)
		return wrong(entry->name, text, allowed);
	*out = (uint32_t)value;
	return 0;
}

/* The place of text among the words of "a|b|c". */
static int parse_word(const struct option_entry *entry, const char *text, int *out)
{
	const char *word = entry->value;

	for (int i = 0;; i++) {
		size_t length = strcspn(word, "|");

		if (strlen(text) == length && strncmp(word, text, length) == 0) {
			*out = i;
			return 0;
		}
		if (word[length] == '\0')
			return wrong(entry->name, text, entry->value);
		word += length + 1;
	}
}

static int apply_number(struct args *args, enum option_id id, uint32_t number)
{
	struct dp_config *config = &args->config;

	switch (id) {
	case OPT_UID:
		args->uid = number;
		break;
	case OPT_WORKERS:
		config->workers = number;
		break;
	case OPT_MEMORY:
		args->memory_mb = number;
		break;
	case OPT_MAX_PEERS:
		config->max_peers = number;
		break;
	case OPT_MAX_FLOWS:
		config->max_flows = number;
		break;
	case OPT_MAX_ROUTES:
		config->max_routes = number;
		break;
	case OPT_MAX_RULES:
		config->max_rules = number;
		break;
	case OPT_MBUFS:
		config->mbufs = number;
		break;
	case OPT_MTU_MAX:
		config->mtu_max = (uint16_t)number;
		break;
	default:
		return -EINVAL;
	}
	return 0;
}

static int apply(struct args *args, const struct option_entry *entry, const char *text, int *idle)
{
	uint32_t number;
	int word, rc;

	if (entry->max != 0) {
		rc = parse_number(entry, text, &number);
		return rc != 0 ? rc : apply_number(args, entry->id, number);
	}
	switch (entry->id) {
	case OPT_SOCKET:
		args->config.socket_path = text;
		return 0;
	case OPT_LCORES:
		args->lcores = text;
		return 0;
	case OPT_AEAD:
		args->config.aead = text;
		return 0;
	case OPT_X25519:
		args->config.x25519 = text;
		return 0;
	case OPT_OVERLAY_NAME:
		if (text[0] == '\0' || strlen(text) >= IF_NAMESIZE || strchr(text, '/') != NULL)
			return wrong(entry->name, text, "a name of 1 to 15 bytes without '/'");
		args->config.overlay_name = text;
		return 0;
	case OPT_ALLOW_PCI:
		args->allow_pci = true;
		return 0;
	case OPT_IDLE:
		return parse_word(entry, text, idle);
	case OPT_LEND:
		rc = parse_word(entry, text, &word);
		args->config.lend = rc == 0 ? (enum dp_lend)word : DP_LEND_AUTO;
		return rc;
	case OPT_HUGEPAGES:
		rc = parse_word(entry, text, &word);
		args->hugepages = rc == 0 ? (enum args_hugepages)word : ARGS_HUGEPAGES_AUTO;
		return rc;
	case OPT_LOG:
		rc = parse_word(entry, text, &word);
		args->log = rc == 0 ? (enum log_level)word : LOG_LEVEL_INFO;
		return rc;
	default:
		return -EINVAL;
	}
}

static unsigned count_cpus(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set) != 0)
		return 1;
	return (unsigned)CPU_COUNT(&set);
}

static void set_defaults(struct args *args)
{
	unsigned cpus = count_cpus();

	*args = (struct args){
		.config =
			{
				.workers = cpus > CPUS_APART ? cpus - CPUS_APART : 1,
				.overlay_name = "sp0",
				.socket_path = "/run/sallyport/dataplane.sock",
				.max_peers = 1024,
				.max_flows = 65536,
				.max_routes = 262144,
				.max_rules = 4096,
				.mbufs = 16384,
				.mtu_max = 1500,
			},
		.uid = getuid(),
		.log = LOG_LEVEL_INFO,
	};
	if (args->config.workers > DP_WORKERS_MAX)
		args->config.workers = DP_WORKERS_MAX;
}

static const struct option_entry *find_entry(int id)
{
	for (unsigned i = 0; i < ENTRIES; i++) {
		if ((int)entries[i].id == id)
			return &entries[i];
	}
	return NULL;
}

enum args_result args_parse(int argc, char **argv, struct args *args)
{
	struct option options[ENTRIES + 1] = {{0}};
	int idle = -1, id;

	set_defaults(args);
	for (unsigned i = 0; i < ENTRIES; i++)
		options[i] = (struct option){entries[i].name,
			entries[i].value != NULL ? required_argument : no_argument, NULL,
			(int)entries[i].id};
	optind = 1;
	while ((id = getopt_long(argc, argv, "", options, NULL)) != -1) {
		const struct option_entry *entry = find_entry(id);

		if (entry == NULL)
			return ARGS_WRONG;
		if (id == OPT_HELP) {
			print_help();
			return ARGS_DONE;
		}
		if (id == OPT_VERSION) {
			puts("sallyport-dataplane " SP_VERSION);
			return ARGS_DONE;
		}
		if (apply(args, entry, optarg, &idle) != 0)
			return ARGS_WRONG;
	}
	if (optind != argc) {
		fprintf(stderr, "sallyport-dataplane: '%s': not an option\n", argv[optind]);
		return ARGS_WRONG;
	}
	/* Who places the threads by hand has set cores apart for them. */
	args->config.cores_shared =
		args->lcores == NULL && args->config.workers + CPUS_APART > count_cpus();
	args->config.idle = idle >= 0                   ? (enum dp_idle)idle
			    : args->config.cores_shared ? DP_IDLE_ADAPTIVE
							: DP_IDLE_POLL;
	args_set_config(&args->config);
	return ARGS_RUN;
}
