/* SPDX-License-Identifier: BSD-3-Clause */
/* Cards of a machine that is laid out here; what the kernel does with a write is done by obey(). */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "control/bind/bind.h"

#define CARD    "0000:3b:00.0"
#define SIBLING "0000:3b:00.1"
#define DISK    "0000:00:1f.2"

static char root[] = "/tmp/sp-bind-XXXXXX";
static char run_dir[64];
static const char *refusing; /* a driver that will not take anything */

static const char *at(const char *path)
{
	static char full[4][PATH_MAX];
	static unsigned next;

	next = (next + 1) % 4;
	stpcpy(stpcpy(full[next], root), path);
	return full[next];
}

static void put(const char *path, const char *text)
{
	char command[PATH_MAX + 32];
	FILE *file;

	snprintf(command, sizeof(command), "mkdir -p \"$(dirname %s)\"", at(path));
	assert_int_equal(system(command), 0);
	file = fopen(at(path), "we");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static void make_dir(const char *path)
{
	char command[PATH_MAX + 16];

	snprintf(command, sizeof(command), "mkdir -p %s", at(path));
	assert_int_equal(system(command), 0);
}

static const char *card_file(const char *address, const char *name)
{
	static char path[PATH_MAX];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/%s", address, name);
	return path;
}

static void add_card(const char *address, const char *class, const char *driver)
{
	char target[PATH_MAX];

	put(card_file(address, "class"), class);
	put(card_file(address, "vendor"), "0x8086\n");
	put(card_file(address, "device"), "0x1572\n");
	put(card_file(address, "driver_override"), "(null)\n");
	snprintf(target, sizeof(target), "../../drivers/%s", driver);
	unlink(at(card_file(address, "driver")));
	assert_int_equal(symlink(target, at(card_file(address, "driver"))), 0);
}

/* What the kernel does with these writes. */
static int obey(const char *path, const char *text, void *context)
{
	const char *name = strrchr(path, '/') + 1;
	char override[64] = "", target[PATH_MAX];
	FILE *file;

	if (strcmp(name, "unbind") == 0)
		return unlink(at(card_file(text, "driver"))) < 0 ? -ENODEV : 0;
	if (strcmp(name, "driver_override") == 0) {
		file = fopen(path, "we");
		fputs(text, file);
		fclose(file);
		return 0;
	}
	assert_string_equal(name, "drivers_probe");
	file = fopen(at(card_file(text, "driver_override")), "re");
	if (fscanf(file, "%63s", override) != 1 || strcmp(override, "(null)") == 0)
		strcpy(override, "i40e");
	fclose(file);
	if (refusing != NULL && strcmp(override, refusing) == 0)
		return 0; /* as the kernel: the probe's failure is in its log */
	snprintf(target, sizeof(target), "../../drivers/%s", override);
	return symlink(target, at(card_file(text, "driver"))) < 0 ? -errno : 0;
}

static struct bind_place place = {.root = root, .run_dir = run_dir, .write = obey};

static int lay_out(void **state)
{
	char command[PATH_MAX + 16];

	refusing = NULL;
	place.ssh = NULL;
	snprintf(command, sizeof(command), "rm -rf %s/*", root);
	assert_int_equal(system(command), 0);
	make_dir("/sys/bus/pci/drivers/i40e");
	make_dir("/sys/bus/pci/drivers/vfio-pci");
	make_dir("/sys/bus/pci/drivers/uio_pci_generic");
	make_dir("/sys/fs/cgroup");
	add_card(CARD, "0x020000\n", "i40e");
	add_card(DISK, "0x010601\n", "ahci");
	make_dir(card_file(CARD, "net/ens1"));
	make_dir(card_file(CARD, "iommu_group/devices/" CARD));
	put("/proc/net/route", "Iface Destination Gateway Flags RefCnt Use Metric Mask\n");
	return 0;
}

static struct bind_card look(const char *address)
{
	struct bind_card card;

	assert_int_equal(bind_look(&place, address, &card), 0);
	return card;
}

static void expect_override(const char *expected)
{
	struct bind_card card = look(CARD);

	assert_string_equal(card.override, expected);
}

static void test_addresses(void **state)
{
	static const struct {
		const char *text, *address;
	} cases[] = {
		{"0000:3b:00.0", CARD},
		{"3b:00.0", CARD},
		{"0001:3B:1f.7", "0001:3b:1f.7"},
		{"3b:20.0", NULL},
		{"3b:00.8", NULL},
		{"3b:00", NULL},
		{"../3b:00.0", NULL},
		{"3b:00.0/x", NULL},
		{"", NULL},
	};
	char address[BIND_ADDRESS_MAX];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(
			bind_parse_address(cases[i].text, address), cases[i].address != NULL);
		if (cases[i].address != NULL)
			assert_string_equal(address, cases[i].address);
	}
}

/* Virtio cards have theirs one device further down; a card with two ports has two. */
static void test_interfaces(void **state)
{
	struct bind_card card;
	char text[BIND_TEXT_MAX];

	make_dir(card_file(CARD, "virtio1/net/eth0"));
	card = look(CARD);
	assert_string_equal(card.interfaces, "ens1 eth0");
	put("/proc/net/route", "eth0 00000000 010200C0 0003 0 0 0 00000000 0 0 0\n");
	assert_true(bind_is_needed(&place, &card, text));
	put("/proc/net/route", "eth 00000000 010200C0 0003 0 0 0 00000000 0 0 0\n");
	assert_false(bind_is_needed(&place, &card, text));
}

static void count_cards(const struct bind_card *card, void *arg)
{
	assert_string_equal(card->address, CARD);
	assert_string_equal(card->ids, "8086:1572");
	assert_string_equal(card->interfaces, "ens1");
	(*(unsigned *)arg)++;
}

static void test_there_and_back(void **state)
{
	struct bind_card card = look(CARD);
	char text[BIND_TEXT_MAX];
	unsigned n = 0;

	assert_int_equal(bind_each(&place, count_cards, &n), 0);
	assert_int_equal(n, 1); /* the disk is none */
	assert_string_equal(card.driver, "i40e");
	assert_int_equal(bind_move(&place, &card, "i40e", text), -EALREADY);
	assert_int_equal(bind_move(&place, &card, "vfio-pci", text), 0);
	expect_override("vfio-pci");
	card = look(CARD);
	assert_string_equal(card.driver, "vfio-pci");
	assert_int_equal(bind_move(&place, &card, "i40e", text), 0);
	expect_override("");
	assert_string_equal(look(CARD).driver, "i40e");
}

static void test_refusals(void **state)
{
	struct bind_card card = look(CARD);
	char text[BIND_TEXT_MAX], command[PATH_MAX + 16];

	assert_int_equal(bind_move(&place, &card, "igb_uio", text), -ENODEV);
	assert_string_equal(text, "driver igb_uio is not loaded: modprobe igb_uio");

	refusing = "uio_pci_generic";
	assert_int_equal(bind_move(&place, &card, "uio_pci_generic", text), -EIO);
	assert_non_null(strstr(text, "it is i40e's as before"));
	assert_string_equal(look(CARD).driver, "i40e");
	expect_override("");

	add_card(SIBLING, "0x020000\n", "i40e");
	make_dir(card_file(CARD, "iommu_group/devices/" SIBLING));
	assert_int_equal(bind_move(&place, &card, "vfio-pci", text), -EPERM);
	assert_non_null(strstr(text, SIBLING " is in the same IOMMU group and is i40e's"));
	put(card_file(SIBLING, "class"), "0x060400\n");
	assert_int_equal(bind_move(&place, &card, "vfio-pci", text), 0);

	lay_out(NULL);
	snprintf(command, sizeof(command), "rm -r %s", at(card_file(CARD, "iommu_group")));
	assert_int_equal(system(command), 0);
	assert_int_equal(bind_move(&place, &card, "vfio-pci", text), -EPERM);
	assert_non_null(strstr(text, "there is no IOMMU"));
	put("/sys/module/vfio/parameters/enable_unsafe_noiommu_mode", "Y\n");
	assert_int_equal(bind_move(&place, &card, "vfio-pci", text), 0);
}

/* 192.0.2.0/24 by ens1, the default route by another; of sshd's sessions one is from 192.0.2.9. */
static void test_the_way_in(void **state)
{
	static const char head[] = "Iface Destination Gateway Flags RefCnt Use Metric Mask\n",
			  on_link[] = "ens1 000200C0 00000000 0001 0 0 0 00FFFFFF 0 0 0\n",
			  other[] = "ens9 00000000 010200C0 0003 0 0 0 00000000 0 0 0\n",
			  session[] = "  0: 050200C0:0016 090200C0:C350 01 00000000:00000000\n",
			  elsewhere[] = "  0: 050200C0:0016 09030308:C350 01 00000000:00000000\n",
			  waiting[] = "  0: 050200C0:0016 090200C0:C350 06 00000000:00000000\n",
			  web[] = "  0: 050200C0:01BB 090200C0:C350 01 00000000:00000000\n";
	static const struct {
		const char *routes, *routes6, *tcp, *tcp6, *ssh, *why;
	} cases[] = {
		{other, "", session, "", NULL, NULL}, /* answers leave by ens9 */
		{on_link, "", session, "", NULL, "the SSH session of 192.0.2.9 comes in"},
		{on_link, "", elsewhere, "", NULL, NULL},
		{on_link, "", waiting, "", NULL, NULL},
		{on_link, "", web, "", NULL, NULL},
		{on_link, "", web, "", "192.0.2.9 50000 192.0.2.5 443", "SSH session of 192.0.2.9"},
		{on_link, "", "", "", "203.0.113.9 50000 192.0.2.5 22", NULL},
		{on_link, "", "",
			"  0: 0000000000000000FFFF0000050200C0:0016 "
			"0000000000000000FFFF0000090200C0:C350 01 0\n",
			NULL, "192.0.2.9 comes in"},
		{"ens1 00000000 010200C0 0003 0 0 0 00000000 0 0 0\n", "", "", "", NULL,
			"the default route leaves by it (ens1)"},
		{"br0 00000000 010200C0 0003 0 0 0 00000000 0 0 0\n", "", "", "", NULL,
			"the default route leaves by it"},
		{"",
			"00000000000000000000000000000000 00 00000000000000000000000000000000 00 "
			"fe800000000000000000000000000001 00000400 00000001 00000000 00000003 "
			"ens1\n",
			"", "", NULL, "the default route"},
		{"",
			"20010db8000000000000000000000000 20 00000000000000000000000000000000 00 "
			"00000000000000000000000000000000 00000400 00000001 00000000 00000003 "
			"ens1\n",
			"",
			"  0: B80D0120000000000000000005000000:0016 "
			"B80D0120000000000000000009000000:C350 01 0\n",
			NULL, "2001:db8::"},
	};
	struct bind_card card = look(CARD);
	char text[BIND_TEXT_MAX], routes[512];

	make_dir("/sys/class/net/br0/lower_bond0");
	make_dir("/sys/class/net/bond0/lower_ens1");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		bool needed;

		snprintf(routes, sizeof(routes), "%s%s", head, cases[i].routes);
		put("/proc/net/route", routes);
		put("/proc/net/ipv6_route", cases[i].routes6);
		put("/proc/net/tcp", cases[i].tcp);
		put("/proc/net/tcp6", cases[i].tcp6);
		place.ssh = cases[i].ssh;
		text[0] = '\0';
		needed = bind_is_needed(&place, &card, text);
		if (needed != (cases[i].why != NULL))
			print_message("case %zu: %s\n", i, text);
		assert_int_equal(needed, cases[i].why != NULL);
		if (needed)
			assert_non_null(strstr(text, cases[i].why));
	}
}

/* The process that waits, which becomes this one's child when its own parent ends. */
static void await_watcher(void)
{
	int status;

	while (waitpid(-1, &status, 0) < 0)
		assert_int_equal(errno, EINTR);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void test_back_though_the_session_dies(void **state)
{
	struct bind_card card = look(CARD);
	char text[BIND_TEXT_MAX], line[8] = "";
	int ready[2];
	pid_t login;
	FILE *file;

	put("/sys/fs/cgroup/cgroup.procs", "");
	put(card_file(CARD, "driver_override"), "i40e\n"); /* somebody's own */
	card = look(CARD);
	assert_int_equal(pipe(ready), 0);
	login = fork();
	if (login == 0) {
		setsid();
		if (bind_trial(&place, &card, 1) < 0 ||
			bind_move(&place, &card, "vfio-pci", text) < 0 ||
			write(ready[1], "x", 1) != 1)
			_exit(1);
		pause();
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], line, 1), 1);
	close(ready[0]);
	kill(-login, SIGHUP);
	kill(-login, SIGKILL);
	assert_int_equal(waitpid(login, NULL, 0), login);
	await_watcher();
	assert_string_equal(look(CARD).driver, "i40e");
	expect_override("i40e");
	assert_int_equal(look(CARD).seconds_left, 0);
	file = fopen(at("/sys/fs/cgroup/cgroup.procs"), "re");
	assert_non_null(fgets(line, sizeof(line), file));
	assert_string_equal(line, "0");
	fclose(file);
}

static void test_confirmed(void **state)
{
	struct bind_card card = look(CARD);
	char text[BIND_TEXT_MAX];

	assert_int_equal(bind_confirm(&place, NULL), 0);
	assert_int_equal(bind_trial(&place, &card, 4), 0);
	assert_int_equal(bind_trial(&place, &card, 4), -EBUSY);
	assert_int_equal(bind_move(&place, &card, "vfio-pci", text), 0);
	assert_in_range(look(CARD).seconds_left, 1, 5);
	assert_int_equal(bind_confirm(&place, SIBLING), 0);
	assert_int_equal(bind_confirm(&place, CARD), 1);
	assert_int_equal(look(CARD).seconds_left, 0);
	await_watcher();
	assert_string_equal(look(CARD).driver, "vfio-pci");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_addresses),
		cmocka_unit_test_setup(test_interfaces, lay_out),
		cmocka_unit_test_setup(test_there_and_back, lay_out),
		cmocka_unit_test_setup(test_refusals, lay_out),
		cmocka_unit_test_setup(test_the_way_in, lay_out),
		cmocka_unit_test_setup(test_back_though_the_session_dies, lay_out),
		cmocka_unit_test_setup(test_confirmed, lay_out),
	};
	char command[64];
	int rc;

	if (mkdtemp(root) == NULL || prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
		return 1;
	snprintf(run_dir, sizeof(run_dir), "%s/run", root);
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	snprintf(command, sizeof(command), "rm -rf %s", root);
	return system(command) != 0 || rc != 0;
}
