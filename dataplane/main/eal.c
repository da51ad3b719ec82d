/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * EAL without what we do not want of it: no files in hugetlbfs (memory is anonymous memfds, so
 * nothing outlives the process), no telemetry, no multi-process sockets, no PCI bus unless asked,
 * and then no card but those of ports.
 * Without hugepages --no-huge takes the place of --in-memory, which excludes it in DPDK 22.11.
 */
#include "dataplane/main/eal.h"

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_log.h>

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>

#include "common/base/log.h"
#include "dataplane/port/device.h"

LOG_TYPE(eal);

enum {
	MB = 1 << 20,
	BASE_MB = 160, /* rings, graphs, drivers, EAL itself */
	LEAST_MB = 512,
	FLOW_BYTES = 512,  /* upper estimates of one entry, index included */
	PEER_BYTES = 8192, /* with three sessions */
	WORKER_BYTES = 2 * MB,
	RULE_BYTES = 512,
	MBUF_BYTES = 512, /* beside the frame: headers, private area, headroom */
};

/* There is none with the highest address of all. */
#define NO_CARD "ffff:ff:1f.7"

unsigned eal_memory_mb(const struct args *args)
{
	const struct dp_config *config = &args->config;
	uint64_t bytes = (uint64_t)BASE_MB * MB;

	if (args->memory_mb != 0)
		return args->memory_mb;
	bytes += (uint64_t)config->mbufs * (device_frame_bytes(config->mtu_max) + MBUF_BYTES);
	bytes += (uint64_t)config->max_flows * FLOW_BYTES;
	bytes += (uint64_t)config->max_peers * PEER_BYTES;
	bytes += (uint64_t)config->workers * WORKER_BYTES;
	bytes += (uint64_t)config->max_rules * 2 * RULE_BYTES;
	return bytes / MB + 1 < LEAST_MB ? LEAST_MB : (unsigned)(bytes / MB + 1);
}

/* One thread per CPU where there are enough of them; else all float over all, so that the
 * scheduler can even them out. */
static int map_lcores(const struct args *args, char *out, size_t size)
{
	unsigned threads = args->config.workers + 1;
	char all[EAL_TEXT_MAX] = "";
	size_t used = 0, all_used = 0;
	int cpu = -1;
	cpu_set_t set;

	if (args->lcores != NULL)
		return snprintf(out, size, "%s", args->lcores) < (int)size ? 0 : -ENAMETOOLONG;
	if (sched_getaffinity(0, sizeof(set), &set) != 0)
		return -errno;
	for (int i = 0; i < CPU_SETSIZE && all_used < sizeof(all); i++) {
		if (CPU_ISSET(i, &set))
			all_used += (size_t)snprintf(all + all_used, sizeof(all) - all_used, "%s%d",
				all_used == 0 ? "" : ",", i);
	}
	for (unsigned thread = 0; thread < threads && used < size; thread++) {
		const char *comma = thread == 0 ? "" : ",";

		if (args->config.cores_shared) {
			used += (size_t)snprintf(
				out + used, size - used, "%s%u@(%s)", comma, thread, all);
			continue;
		}
		do
			cpu++;
		while (!CPU_ISSET(cpu, &set));
		used += (size_t)snprintf(out + used, size - used, "%s%u@%d", comma, thread, cpu);
	}
	return used < size && all_used < sizeof(all) ? 0 : -ENAMETOOLONG;
}

static void add(struct eal_args *eal, const char *arg)
{
	if (eal->argc < EAL_ARGS_MAX)
		eal->argv[eal->argc++] = arg;
}

int eal_build_args(const struct args *args, bool huge, struct eal_args *eal)
{
	int rc;

	memset(eal, 0, sizeof(*eal));
	rc = map_lcores(args, eal->lcores, sizeof(eal->lcores));
	if (rc != 0)
		return rc;
	snprintf(eal->memory, sizeof(eal->memory), "%u", eal_memory_mb(args));
	add(eal, "sallyport-dataplane");
	if (huge) {
		add(eal, "--in-memory");
	} else {
		add(eal, "--no-huge");
		add(eal, "--no-shconf");
	}
	add(eal, "-m");
	add(eal, eal->memory);
	add(eal, "--lcores");
	add(eal, eal->lcores);
	add(eal, "--no-telemetry");
	add(eal, "--force-max-simd-bitwidth=512");
	if (!args->allow_pci) {
		add(eal, "--iova-mode=va");
		add(eal, "--no-pci");
		return 0;
	}
	/*
	 * EAL would take every card that is bound to a driver of DPDK's, whoever it is for. With a
	 * list of those allowed it takes only these, here none; a port's is added when the port is
	 * set. By which addresses cards reach memory is left to EAL, too, which looks: with an
	 * IOMMU by virtual ones, under uio_pci_generic by physical ones.
	 */
	add(eal, "--allow");
	add(eal, NO_CARD);
	return 0;
}

/* Free hugepages of the default size, in megabytes. */
static uint64_t free_huge_mb(void)
{
	FILE *file = fopen("/proc/meminfo", "re");
	unsigned long pages = 0, kb = 0;
	char line[128];

	if (file == NULL)
		return 0;
	while (fgets(line, sizeof(line), file) != NULL) {
		if (sscanf(line, "HugePages_Free: %lu", &pages) == 1)
			continue;
		if (sscanf(line, "Hugepagesize: %lu", &kb) == 1)
			continue;
	}
	fclose(file);
	return (uint64_t)pages * kb / 1024;
}

static bool want_huge(const struct args *args)
{
	if (args->hugepages != ARGS_HUGEPAGES_AUTO)
		return args->hugepages == ARGS_HUGEPAGES_ON;
	return free_huge_mb() >= eal_memory_mb(args);
}

/* EAL's own usage text is about options that we do not have. */
static void print_no_usage(const char *program)
{
}

int eal_start(const struct args *args)
{
	bool huge = want_huge(args);
	struct eal_args eal;
	int rc = eal_build_args(args, huge, &eal);

	if (rc != 0)
		return rc;
	rte_openlog_stream(stderr);
	rte_set_application_usage_hook(print_no_usage);
	rte_log_set_global_level(args->log == LOG_LEVEL_DEBUG ? RTE_LOG_INFO : RTE_LOG_WARNING);
	if (rte_eal_init(eal.argc, (char **)eal.argv) < 0) {
		log_error(eal, "cannot start with %s MB of %s: %s", eal.memory,
			huge ? "hugepages" : "memory", rte_strerror(rte_errno));
		return rte_errno != 0 ? -rte_errno : -EINVAL;
	}
	/* EAL connects to the system logger, which we do not use. */
	closelog();
	log_info(eal, "%s MB in %s, threads %s", eal.memory, huge ? "hugepages" : "ordinary pages",
		eal.lcores);
	return 0;
}
