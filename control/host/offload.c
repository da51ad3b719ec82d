/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/host/offload.h"

#include <errno.h>
#include <linux/bpf.h>
#include <linux/ethtool.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "control/host/host.h"

static int call_bpf(int command, union bpf_attr *attr)
{
	long result = syscall(SYS_bpf, command, attr, sizeof(*attr));

	return result < 0 ? -errno : (int)result;
}

static bool is_veth(const char *device)
{
	struct ethtool_drvinfo info = {.cmd = ETHTOOL_GDRVINFO};
	struct ifreq request = {.ifr_data = (void *)&info};
	int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool veth;

	if (sock < 0)
		return false;
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", device);
	veth = ioctl(sock, SIOCETHTOOL, &request) == 0 && strcmp(info.driver, "veth") == 0;
	close(sock);
	return veth;
}

/* return XDP_PASS; its descriptor or -errno. `flags`: BPF_F_*. */
static int load(uint32_t flags)
{
	static const struct bpf_insn code[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = XDP_PASS},
		{.code = BPF_JMP | BPF_EXIT},
	};
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.prog_type = BPF_PROG_TYPE_XDP;
	attr.insns = (uint64_t)(uintptr_t)code;
	attr.insn_cnt = sizeof(code) / sizeof(code[0]);
	attr.license = (uint64_t)(uintptr_t) "BSD";
	attr.prog_flags = flags;
	memcpy(attr.prog_name, OFFLOAD_PROGRAM, sizeof(OFFLOAD_PROGRAM));
	_Static_assert(sizeof(OFFLOAD_PROGRAM) <= BPF_OBJ_NAME_LEN, "a program's name is short");
	return call_bpf(BPF_PROG_LOAD, &attr);
}

static int take_error(struct sockaddr_nl *from, struct nlmsgerr *error, void *context)
{
	*(int *)context = error->error;
	return NL_STOP;
}

static int take_id(struct nl_msg *message, void *context)
{
	struct nlattr *attributes[IFLA_MAX + 1], *xdp[IFLA_XDP_MAX + 1];

	if (nlmsg_parse(nlmsg_hdr(message), sizeof(struct ifinfomsg), attributes, IFLA_MAX, NULL) <
			0 ||
		attributes[IFLA_XDP] == NULL ||
		nla_parse_nested(xdp, IFLA_XDP_MAX, attributes[IFLA_XDP], NULL) < 0 ||
		xdp[IFLA_XDP_PROG_ID] == NULL)
		return NL_OK;
	*(uint32_t *)context = nla_get_u32(xdp[IFLA_XDP_PROG_ID]);
	return NL_OK;
}

/* Sends and frees; `id`, if any, is set from the answer. 0 or the kernel's -errno. */
static int request(struct nl_msg *message, uint32_t *id)
{
	struct nl_sock *sock = nl_socket_alloc();
	int kernel_error = 0, error = -NLE_NOMEM;

	if (sock == NULL)
		goto out;
	nl_socket_modify_err_cb(sock, NL_CB_CUSTOM, take_error, &kernel_error);
	if (id != NULL)
		nl_socket_modify_cb(sock, NL_CB_VALID, NL_CB_CUSTOM, take_id, id);
	error = nl_connect(sock, NETLINK_ROUTE);
	if (error == 0)
		error = nl_send_auto(sock, message);
	if (error >= 0)
		error = nl_recvmsgs_default(sock); /* the answer, */
	if (error >= 0 && id != NULL)
		error = nl_wait_for_ack(sock); /* and that it is complete */
	nl_socket_free(sock);
out:
	nlmsg_free(message);
	if (kernel_error < 0)
		return kernel_error;
	return error < 0 ? -EIO : 0;
}

static struct nl_msg *link_message(int type, const char *device)
{
	struct ifinfomsg info = {.ifi_index = (int)if_nametoindex(device)};
	struct nl_msg *message;

	if (info.ifi_index == 0)
		return NULL;
	message = nlmsg_alloc_simple(type, NLM_F_REQUEST | NLM_F_ACK);
	if (message != NULL)
		nlmsg_append(message, &info, sizeof(info), NLMSG_ALIGNTO);
	return message;
}

/* program -1: none. expected -1: there must be none yet. */
static int set_program(const char *device, int program, int expected)
{
	uint32_t flags = XDP_FLAGS_DRV_MODE |
			 (expected < 0 ? XDP_FLAGS_UPDATE_IF_NOEXIST : XDP_FLAGS_REPLACE);
	struct nl_msg *message = link_message(RTM_SETLINK, device);
	struct nlattr *nest;

	if (message == NULL)
		return -ENODEV;
	nest = nla_nest_start(message, IFLA_XDP);
	if (nest == NULL || nla_put_s32(message, IFLA_XDP_FD, program) < 0 ||
		nla_put_u32(message, IFLA_XDP_FLAGS, flags) < 0 ||
		(expected >= 0 && nla_put_s32(message, IFLA_XDP_EXPECTED_FD, expected) < 0)) {
		nlmsg_free(message);
		return -ENOMEM;
	}
	nla_nest_end(message, nest);
	return request(message, NULL);
}

/* The descriptor of our program on the device: -ENOENT if there is none, -EBUSY if it is another's,
 * or -errno. */
static int own_program(const char *device)
{
	struct nl_msg *message = link_message(RTM_GETLINK, device);
	struct bpf_prog_info info = {0};
	union bpf_attr attr;
	uint32_t id = 0;
	int error, program;

	if (message == NULL)
		return -ENODEV;
	error = request(message, &id);
	if (error < 0)
		return error;
	if (id == 0)
		return -ENOENT;
	memset(&attr, 0, sizeof(attr));
	attr.prog_id = id;
	program = call_bpf(BPF_PROG_GET_FD_BY_ID, &attr);
	if (program < 0)
		return program;
	memset(&attr, 0, sizeof(attr));
	attr.info.bpf_fd = (uint32_t)program;
	attr.info.info_len = sizeof(info);
	attr.info.info = (uint64_t)(uintptr_t)&info;
	error = call_bpf(BPF_OBJ_GET_INFO_BY_FD, &attr);
	if (error == 0 && strncmp(info.name, OFFLOAD_PROGRAM, sizeof(info.name)) == 0)
		return program;
	close(program);
	return error < 0 ? error : -EBUSY;
}

int offload_attach(const char *device)
{
	int program, error;

	if (!is_veth(device))
		return 0;
	program = own_program(device); /* an earlier process left it */
	if (program >= 0)
		close(program);
	/* which one it is can only be seen with CAP_SYS_ADMIN; any has the effect */
	if (program == -EPERM)
		return 0;
	if (program != -ENOENT)
		return program < 0 ? program : 0;
	/* Frames of several buffers, or the far end's MTU would be limited to a page (Linux 5.18).
	 */
	program = load(BPF_F_XDP_HAS_FRAGS);
	if (program == -EINVAL)
		program = load(0);
	if (program < 0)
		return program;
	error = set_program(device, program, -1);
	close(program); /* the device holds it */
	return error;
}

int offload_detach(const char *device)
{
	int program = own_program(device), error;

	if (program == -ENOENT || program == -EBUSY || program == -ENODEV)
		return 0;
	if (program < 0)
		return program;
	error = set_program(device, -1, program);
	close(program);
	return error;
}

bool host_device_wire_sized(const char *device)
{
	int program;

	if (!is_veth(device))
		return true;
	program = own_program(device);
	if (program >= 0)
		close(program);
	return program != -ENOENT; /* anybody's program has the effect */
}
