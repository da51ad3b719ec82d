/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Keeps the kernel from putting IPv4 fragments together before an af_packet port.
 *
 * DPDK's driver (of 22.11 and 23.11) joins a fanout group with PACKET_FANOUT_FLAG_DEFRAG, also with
 * one queue, and has no argument to do without. The whole that the kernel makes is longer than a
 * frame of the ring, which cuts it, so every datagram that came in fragments would be lost; and
 * their headers would have been judged by somebody else. A socket cannot leave its group and join
 * another one. So the driver's call is met here: a program's own function of that name goes before
 * the library's. All fragments of a datagram still go to one queue, by their addresses.
 */
#include <linux/if_packet.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <string.h>
#include <unistd.h>

enum { FLAGS_SHIFT = 16 }; /* of the mode and its flags in the option's value */

/* Any thread; all but that one flag passes as it is. */
int setsockopt(int fd, int level, int name, const void *value, socklen_t size)
{
	unsigned fanout;

	if (level == SOL_PACKET && name == PACKET_FANOUT && size == sizeof(fanout)) {
		memcpy(&fanout, value, sizeof(fanout));
		fanout &= ~((unsigned)PACKET_FANOUT_FLAG_DEFRAG << FLAGS_SHIFT);
		value = &fanout;
	}
	return (int)syscall(SYS_setsockopt, fd, level, name, value, size);
}
