/* SPDX-License-Identifier: BSD-3-Clause */
/* Memory, buses, cards, cores, clock, limits. */
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timex.h>
#include <unistd.h>

#include "control/bind/bind.h"
#include "control/doctor/doctor_priv.h"

enum {
	HUGEPAGES_MIB = 512,     /* enough for one port and its buffers */
	FILES_MIN = 1024,        /* descriptors of the data plane */
	CLOCK_ERROR_US = 500000, /* more than half a second is no clock */
};

/* The next port on a PCI device, from *i on; NULL at the end. */
static const struct model_port *next_pci_port(const struct doctor *d, size_t *i, char address[16])
{
	const struct model *m = d->machine->model;

	while (m != NULL && *i < m->tables[MODEL_PORT].n) {
		const struct model_port *port = model_port_at(m, (*i)++);

		if (bind_device_address(port->device, address))
			return port;
	}
	return NULL;
}

static bool has_pci_port(const struct doctor *d)
{
	char address[16];
	size_t i = 0;

	return next_pci_port(d, &i, address) != NULL;
}

/* Calls `each` with the names in a directory below the root; how many there were. */
static unsigned list(const struct doctor *d, const char *path,
	void (*each)(const struct doctor *d, const char *name, void *arg), void *arg)
{
	char full[PATH_MAX];
	struct dirent *entry;
	unsigned n = 0;
	DIR *dir;

	snprintf(full, sizeof(full), "%s%s", d->machine->root, path);
	dir = opendir(full);
	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		if (each != NULL)
			each(d, entry->d_name, arg);
		n++;
	}
	if (dir != NULL)
		closedir(dir);
	return n;
}

static void add_pages(const struct doctor *d, const char *name, void *arg)
{
	unsigned long long size_kib;
	char line[32];

	if (sscanf(name, "hugepages-%llukB", &size_kib) == 1 &&
		doctor_line(
			d, line, sizeof(line), "/sys/kernel/mm/hugepages/%s/nr_hugepages", name))
		*(unsigned long long *)arg += strtoull(line, NULL, 10) * size_kib / 1024;
}

static void check_hugepages(struct doctor *d)
{
	unsigned long long mib = 0;

	list(d, "/sys/kernel/mm/hugepages", add_pages, &mib);
	if (mib >= HUGEPAGES_MIB)
		doctor_say(d, DOCTOR_OK, NULL, "%llu MiB", mib);
	else if (has_pci_port(d))
		doctor_say(d, DOCTOR_FAIL,
			"echo 512 >/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages",
			"%llu MiB: a network card under DPDK wants %d MiB or more", mib,
			HUGEPAGES_MIB);
	else
		doctor_say(d, DOCTOR_OK, NULL, "%llu MiB; no port needs any", mib);
}

/* The driver of a PCI device, "" if none; false if there is no such device. */
static bool driver_of(const struct doctor *d, const char *address, char driver[64])
{
	char path[PATH_MAX], target[PATH_MAX];
	ssize_t n;

	driver[0] = '\0';
	snprintf(path, sizeof(path), "%s/sys/bus/pci/devices/%s", d->machine->root, address);
	if (access(path, F_OK) < 0)
		return false;
	snprintf(path, sizeof(path), "%s/sys/bus/pci/devices/%s/driver", d->machine->root, address);
	n = readlink(path, target, sizeof(target) - 1);
	if (n > 0) {
		target[n] = '\0';
		snprintf(
			driver, 64, "%.63s", strrchr(target, '/') + (strrchr(target, '/') != NULL));
	}
	return true;
}

/* Every port on a card has that under uio, which needs no IOMMU. */
static bool has_uio_only(const struct doctor *d)
{
	char address[16], driver[64];
	bool only = has_pci_port(d);
	size_t i = 0;

	while (next_pci_port(d, &i, address) != NULL)
		only &= driver_of(d, address, driver) &&
			(strcmp(driver, "uio_pci_generic") == 0 || strcmp(driver, "igb_uio") == 0);
	return only;
}

static void check_iommu(struct doctor *d)
{
	static const char fix[] =
		"add intel_iommu=on iommu=pt (AMD: iommu=pt) to the kernel's command line and "
		"restart; in a virtual machine without one: modprobe uio_pci_generic, and "
		"sallyport bind with --driver uio_pci_generic";
	unsigned n = list(d, "/sys/class/iommu", NULL, NULL);
	char unsafe[8];

	doctor_line(d, unsafe, sizeof(unsafe),
		"/sys/module/vfio/parameters/enable_unsafe_noiommu_mode");
	if (n > 0)
		doctor_say(d, DOCTOR_OK, NULL, "%u found", n);
	else if (!has_pci_port(d))
		doctor_say(d, DOCTOR_OK, NULL, "none; no port needs one");
	else if (unsafe[0] == 'Y' || unsafe[0] == '1' || has_uio_only(d))
		doctor_say(d, DOCTOR_WARN,
			"add intel_iommu=on iommu=pt (AMD: iommu=pt) to the kernel's command line",
			"none; the cards' drivers run without: a card can write to all of the "
			"memory");
	else
		doctor_say(d, DOCTOR_FAIL, fix, "none: vfio-pci will not hand out a network card");
}

static void check_drivers(struct doctor *d)
{
	static const char *const good[] = {"vfio-pci", "uio_pci_generic", "igb_uio", "mlx4_core",
		"mlx5_core", "hv_netvsc", "mana"};
	const struct model_port *port;
	char address[16], driver[64], fix[96], line[16];
	size_t i = 0, k;

	while ((port = next_pci_port(d, &i, address)) != NULL) {
		snprintf(fix, sizeof(fix), "sallyport bind %s --driver vfio-pci --confirm 60s",
			address);
		if (!driver_of(d, address, driver)) {
			doctor_say(d, DOCTOR_FAIL, "lspci -D | grep -i net",
				"port %s: there is no PCI device %s", port->object.name, address);
			continue;
		}
		for (k = 0; k < sizeof(good) / sizeof(good[0]); k++) {
			if (strcmp(driver, good[k]) == 0)
				break;
		}
		doctor_line(d, line, sizeof(line), "/sys/bus/pci/devices/%s/numa_node", address);
		if (k < sizeof(good) / sizeof(good[0]))
			doctor_say(d, DOCTOR_OK, NULL, "port %s: %s is %s's, memory node %s",
				port->object.name, address, driver,
				line[0] == '\0' || line[0] == '-' ? "any" : line);
		else
			doctor_say(d, DOCTOR_FAIL, fix, "port %s: %s is %s's, not DPDK's",
				port->object.name, address,
				driver[0] == '\0' ? "no driver" : driver);
	}
}

/* How many CPUs a list such as "0-3,8" names. */
static unsigned count_cpus(const char *text)
{
	unsigned first, last, n = 0;
	int length;

	while (sscanf(text, "%u%n", &first, &length) == 1) {
		text += length;
		last = first;
		if (*text == '-' && sscanf(text, "-%u%n", &last, &length) == 1)
			text += length;
		n += last >= first ? last - first + 1 : 0;
		if (*text != ',')
			break;
		text++;
	}
	return n;
}

static void check_cores(struct doctor *d)
{
	const struct model *m = d->machine->model;
	char online[256], isolated[256], fix[320];
	unsigned n, workers = m == NULL ? 0 : m->dataplane.workers;

	doctor_line(d, online, sizeof(online), "/sys/devices/system/cpu/online");
	doctor_line(d, isolated, sizeof(isolated), "/sys/devices/system/cpu/isolated");
	n = count_cpus(online);
	if (n == 0)
		doctor_say(d, DOCTOR_SKIP, NULL, "unknown");
	else if (workers >= n && n > 1)
		doctor_say(d, DOCTOR_WARN, "lower dataplane.workers",
			"%u workers on %u cores: none is left for the rest of the system", workers,
			n);
	else if (m != NULL && m->dataplane.idle == MODEL_IDLE_POLL && isolated[0] == '\0') {
		snprintf(fix, sizeof(fix),
			"add isolcpus=1-%u nohz_full=1-%u to the kernel's command line", n - 1,
			n - 1);
		doctor_say(d, DOCTOR_WARN, fix,
			"%u online, none isolated: other work will interrupt polling workers", n);
	} else {
		doctor_say(d, DOCTOR_OK, NULL, "%u online, isolated: %s", n,
			isolated[0] == '\0' ? "none" : isolated);
	}
}

static void check_memory(struct doctor *d)
{
	const struct model *m = d->machine->model;
	char line[128], path[PATH_MAX];
	unsigned long long kib, mib = 0, wanted = m == NULL ? 0 : m->dataplane.memory_mib;
	FILE *file;

	snprintf(path, sizeof(path), "%s/proc/meminfo", d->machine->root);
	file = fopen(path, "re");
	while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
		if (sscanf(line, "MemAvailable: %llu kB", &kib) == 1)
			mib = kib / 1024;
	}
	if (file != NULL)
		fclose(file);
	if (mib == 0)
		return;
	if (!d->machine->running && mib < wanted)
		doctor_say(d, DOCTOR_FAIL, "lower dataplane.memory_mib",
			"%llu MiB available, the data plane is to have %llu", mib, wanted);
	else
		doctor_say(d, DOCTOR_OK, NULL, "%llu MiB available", mib);
}

static void check_clock(struct doctor *d)
{
	struct timex state = {0};
	int code = adjtimex(&state);

	if (code < 0)
		doctor_say(d, DOCTOR_SKIP, NULL, "unknown");
	else if ((code == TIME_ERROR || state.status & STA_UNSYNC) &&
		 state.maxerror > CLOCK_ERROR_US)
		doctor_say(d, DOCTOR_WARN, "timedatectl set-ntp true",
			"not kept by a time server: logs tell the wrong time, and a clock that "
			"jumps back keeps peers out until it has caught up");
	else
		doctor_say(d, DOCTOR_OK, NULL, "kept by a time server");
}

struct found_process {
	char pid[16];
};

static void find_dataplane(const struct doctor *d, const char *name, void *arg)
{
	struct found_process *found = arg;
	char line[32];

	if (name[0] < '0' || name[0] > '9' ||
		!doctor_line(d, line, sizeof(line), "/proc/%s/comm", name))
		return;
	if (strncmp("sallyport-dataplane", line, 15) == 0 && strlen(line) == 15)
		snprintf(found->pid, sizeof(found->pid), "%.15s", name);
}

static void check_limits(struct doctor *d)
{
	struct found_process found = {""};
	char path[PATH_MAX], line[128], soft[24];
	unsigned long files = FILES_MIN;
	FILE *file;

	list(d, "/proc", find_dataplane, &found);
	snprintf(path, sizeof(path), "%s/proc/%s/limits", d->machine->root, found.pid);
	file = found.pid[0] == '\0' ? NULL : fopen(path, "re");
	if (file == NULL) {
		doctor_say(d, DOCTOR_SKIP, NULL, "no data plane runs");
		return;
	}
	while (fgets(line, sizeof(line), file) != NULL) {
		if (sscanf(line, "Max open files %23s", soft) == 1 && soft[0] != 'u')
			files = strtoul(soft, NULL, 10);
	}
	fclose(file);
	if (files < FILES_MIN)
		doctor_say(d, DOCTOR_FAIL, "LimitNOFILE=65536 in the unit of sallyport-dataplane",
			"the data plane may open %lu files, it wants %d", files, FILES_MIN);
	else
		doctor_say(d, DOCTOR_OK, NULL, "the data plane may open %lu files or more", files);
}

const struct doctor_check doctor_machine_checks[] = {
	{"hugepages", "hugepages", check_hugepages},
	{"iommu", "IOMMU", check_iommu},
	{"drivers", "drivers of network cards", check_drivers},
	{"cores", "cores", check_cores},
	{"memory", "memory", check_memory},
	{"clock", "clock", check_clock},
	{"limits", "limits", check_limits},
	{NULL, NULL, NULL},
};
