/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A device is moved by three writes (Documentation/ABI/testing/sysfs-bus-pci): driver_override
 * says which driver may have it, the driver's `unbind` lets it go, `drivers_probe` gives it to
 * whoever may. Without an override the kernel's table of ids decides, which is the way back.
 */
#include "control/bind/bind_priv.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const dpdk_drivers[] = {"vfio-pci", "uio_pci_generic", "igb_uio"};

void bind_path(const struct bind_place *place, char path[PATH_MAX], const char *format, ...)
{
	size_t used = (size_t)snprintf(path, PATH_MAX, "%s", place->root);
	va_list args;

	va_start(args, format);
	vsnprintf(path + used, PATH_MAX - used, format, args);
	va_end(args);
}

bool bind_parse_address(const char *text, char address[BIND_ADDRESS_MAX])
{
	unsigned domain = 0, bus, device, function;
	int end = -1;

	if (sscanf(text, "%4x:%2x:%2x.%1x%n", &domain, &bus, &device, &function, &end) != 4 ||
		end < 0 || text[end] != '\0') {
		domain = 0;
		end = -1;
		if (sscanf(text, "%2x:%2x.%1x%n", &bus, &device, &function, &end) != 3 || end < 0 ||
			text[end] != '\0')
			return false;
	}
	if (device > 31 || function > 7 || !isxdigit((unsigned char)text[0]))
		return false;
	snprintf(address, BIND_ADDRESS_MAX, "%04x:%02x:%02x.%x", domain & 0xffff, bus & 0xff,
		device, function);
	return true;
}

bool bind_device_address(const char *device, char address[BIND_ADDRESS_MAX])
{
	size_t length = strcspn(device, ",");
	char text[BIND_ADDRESS_MAX];

	if (length >= sizeof(text))
		return false;
	memcpy(text, device, length);
	text[length] = '\0';
	return bind_parse_address(text, address);
}

/* The first line; "" if there is none. */
static void read_line(const char *path, char *line, size_t size)
{
	FILE *file = fopen(path, "re");

	line[0] = '\0';
	if (file != NULL && fgets(line, (int)size, file) == NULL)
		line[0] = '\0';
	if (file != NULL)
		fclose(file);
	line[strcspn(line, "\n")] = '\0';
}

/* The last part of what a link points to; "" if there is none. */
static void read_target(const char *path, char name[BIND_NAME_MAX])
{
	char target[PATH_MAX];
	ssize_t n = readlink(path, target, sizeof(target) - 1);
	const char *slash;

	name[0] = '\0';
	if (n <= 0)
		return;
	target[n] = '\0';
	slash = strrchr(target, '/');
	snprintf(name, BIND_NAME_MAX, "%.63s", slash == NULL ? target : slash + 1);
}

/* Adds the names in a folder `net`; a card with two ports has two. */
static void add_interfaces(struct bind_card *card, const char *path)
{
	struct dirent *entry;
	size_t used = strlen(card->interfaces);
	DIR *dir = opendir(path);

	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] != '.' &&
			used + strlen(entry->d_name) + 2 < sizeof(card->interfaces))
			used += (size_t)snprintf(card->interfaces + used,
				sizeof(card->interfaces) - used, "%s%s", used == 0 ? "" : " ",
				entry->d_name);
	}
	if (dir != NULL)
		closedir(dir);
}

/* Below the device itself, or below the virtio device that is on it. */
static void read_interfaces(const struct bind_place *place, struct bind_card *card)
{
	char path[PATH_MAX];
	struct dirent *entry;
	DIR *dir;

	bind_path(place, path, "/sys/bus/pci/devices/%s/net", card->address);
	add_interfaces(card, path);
	bind_path(place, path, "/sys/bus/pci/devices/%s", card->address);
	dir = opendir(path);
	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		if (strncmp(entry->d_name, "virtio", 6) != 0)
			continue;
		bind_path(place, path, "/sys/bus/pci/devices/%s/%s/net", card->address,
			entry->d_name);
		add_interfaces(card, path);
	}
	if (dir != NULL)
		closedir(dir);
}

int bind_look(const struct bind_place *place, const char *address, struct bind_card *card)
{
	char path[PATH_MAX], vendor[16], device[16], class[16];

	memset(card, 0, sizeof(*card));
	snprintf(card->address, sizeof(card->address), "%s", address);
	bind_path(place, path, "/sys/bus/pci/devices/%s", address);
	if (access(path, F_OK) < 0)
		return -ENOENT;
	bind_path(place, path, "/sys/bus/pci/devices/%s/class", address);
	read_line(path, class, sizeof(class));
	card->is_network = strncmp(class, "0x02", 4) == 0;
	bind_path(place, path, "/sys/bus/pci/devices/%s/vendor", address);
	read_line(path, vendor, sizeof(vendor));
	bind_path(place, path, "/sys/bus/pci/devices/%s/device", address);
	read_line(path, device, sizeof(device));
	if (strlen(vendor) > 2 && strlen(device) > 2)
		snprintf(card->ids, sizeof(card->ids), "%s:%s", vendor + 2, device + 2);
	bind_path(place, path, "/sys/bus/pci/devices/%s/driver", address);
	read_target(path, card->driver);
	bind_path(place, path, "/sys/bus/pci/devices/%s/driver_override", address);
	read_line(path, card->override, sizeof(card->override));
	if (strcmp(card->override, "(null)") == 0)
		card->override[0] = '\0';
	read_interfaces(place, card);
	card->seconds_left = bind_trial_left(place, address);
	return 0;
}

int bind_each(const struct bind_place *place, void (*each)(const struct bind_card *card, void *arg),
	void *arg)
{
	char path[PATH_MAX], address[BIND_ADDRESS_MAX];
	struct dirent **entries;
	struct bind_card card;
	int n;

	bind_path(place, path, "/sys/bus/pci/devices");
	n = scandir(path, &entries, NULL, alphasort);
	if (n < 0)
		return errno == ENOENT ? 0 : -errno; /* a machine without a PCI bus */
	for (int i = 0; i < n; i++) {
		if (bind_parse_address(entries[i]->d_name, address) &&
			bind_look(place, address, &card) == 0 && card.is_network)
			each(&card, arg);
		free(entries[i]);
	}
	free(entries);
	return 0;
}

static int write_text(const struct bind_place *place, const char *path, const char *text)
{
	int fd, rc = 0;

	if (place->write != NULL)
		return place->write(path, text, place->context);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		rc = -errno;
	close(fd);
	return rc;
}

static bool is_dpdk(const char *driver)
{
	for (size_t i = 0; i < sizeof(dpdk_drivers) / sizeof(dpdk_drivers[0]); i++) {
		if (strcmp(dpdk_drivers[i], driver) == 0)
			return true;
	}
	return false;
}

/* vfio-pci hands out whole groups of devices: what else is in it must not be the kernel's. */
static bool fits_vfio(
	const struct bind_place *place, const struct bind_card *card, char text[BIND_TEXT_MAX])
{
	char path[PATH_MAX], line[16], driver[BIND_NAME_MAX];
	struct dirent *entry;
	bool fits = true;
	DIR *dir;

	bind_path(place, path, "/sys/bus/pci/devices/%s/iommu_group/devices", card->address);
	dir = opendir(path);
	if (dir == NULL) {
		bind_path(place, path, "/sys/module/vfio/parameters/enable_unsafe_noiommu_mode");
		read_line(path, line, sizeof(line));
		fits = line[0] == 'Y' || line[0] == '1';
		if (!fits)
			snprintf(text, BIND_TEXT_MAX,
				"there is no IOMMU: add intel_iommu=on iommu=pt to the kernel's "
				"command line, or take --driver uio_pci_generic");
		return fits;
	}
	while (fits && (entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] == '.' || strcmp(entry->d_name, card->address) == 0)
			continue;
		bind_path(place, path, "/sys/bus/pci/devices/%s/class", entry->d_name);
		read_line(path, line, sizeof(line));
		bind_path(place, path, "/sys/bus/pci/devices/%s/driver", entry->d_name);
		read_target(path, driver);
		/* Bridges (0x0604) may stay the kernel's. */
		fits = driver[0] == '\0' || is_dpdk(driver) || strncmp(line, "0x0604", 6) == 0;
		if (!fits)
			snprintf(text, BIND_TEXT_MAX,
				"%.12s is in the same IOMMU group and is %s's: vfio-pci takes the "
				"whole group or nothing",
				entry->d_name, driver);
	}
	closedir(dir);
	return fits;
}

/* One move, and whether the kernel has done it. */
static int move(const struct bind_place *place, const char *address, const char *from,
	const char *driver, const char *override)
{
	char path[PATH_MAX], now[BIND_NAME_MAX];
	int rc;

	bind_path(place, path, "/sys/bus/pci/devices/%s/driver_override", address);
	rc = write_text(place, path, override);
	if (rc == 0 && from[0] != '\0') {
		bind_path(place, path, "/sys/bus/pci/drivers/%s/unbind", from);
		rc = write_text(place, path, address);
	}
	if (rc == 0 && driver[0] != '\0') {
		bind_path(place, path, "/sys/bus/pci/drivers_probe");
		rc = write_text(place, path, address);
	}
	bind_path(place, path, "/sys/bus/pci/devices/%s/driver", address);
	read_target(path, now);
	return rc < 0 ? rc : strcmp(now, driver) == 0 ? 0 : -EIO;
}

int bind_restore(const struct bind_place *place, const struct bind_card *was)
{
	/* An empty write is none; a newline clears. */
	const char *override = was->override[0] == '\0' ? "\n" : was->override;
	struct bind_card now;
	int rc = bind_look(place, was->address, &now);

	return rc < 0 ? rc : move(place, was->address, now.driver, was->driver, override);
}

int bind_move(const struct bind_place *place, const struct bind_card *card, const char *driver,
	char text[BIND_TEXT_MAX])
{
	struct bind_carried *carried;
	char path[PATH_MAX];
	int rc;

	text[0] = '\0';
	if (strcmp(card->driver, driver) == 0)
		return -EALREADY;
	bind_path(place, path, "/sys/bus/pci/drivers/%s", driver);
	if (access(path, F_OK) < 0) {
		snprintf(text, BIND_TEXT_MAX, "driver %s is not loaded: modprobe %s", driver,
			driver);
		return -ENODEV;
	}
	if (strcmp(driver, "vfio-pci") == 0 && !fits_vfio(place, card, text))
		return -EPERM;
	carried = bind_carried_remember(place, card);
	rc = move(place, card->address, card->driver, driver, is_dpdk(driver) ? driver : "\n");
	if (rc == 0)
		goto out;
	if (bind_restore(place, card) == 0) {
		bind_carried_restore(place, carried);
		snprintf(text, BIND_TEXT_MAX, "%s does not take %s: %s; it is %s's as before",
			driver, card->address, strerror(-rc),
			card->driver[0] == '\0' ? "nobody" : card->driver);
	} else {
		snprintf(text, BIND_TEXT_MAX,
			"%s does not take %s: %s; nor did %s take it back: dmesg says more", driver,
			card->address, strerror(-rc), card->driver);
	}
	rc = rc == -EACCES || rc == -EPERM ? -EPERM : -EIO;
out:
	bind_carried_forget(&carried);
	return rc;
}
