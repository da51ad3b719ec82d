/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Frames of wire size from virtual links. The far end of a veth hands over what its TCP made, up
 * to 64 KiB in one piece; a packet socket's ring cuts that and the port has to drop it. While a
 * native XDP program is on our end the kernel takes segmentation offload from the far one, in
 * whatever namespace it is, so a program that passes everything is attached to ours.
 *
 * The program is known by its name; one that somebody else attached is left alone (it has the same
 * effect, and an af_xdp port attaches one of its own).
 *
 * On the event loop's thread. Needs CAP_NET_ADMIN, and CAP_BPF where the kernel asks for it.
 */
#pragma once

#include <stdbool.h>

#define OFFLOAD_PROGRAM "sp_wire_sized"

/*
 * Before GRO is switched off: attaching switches it on. Does nothing to a device that is no veth.
 * 0, -EBUSY if another program is there, or -errno.
 */
int offload_attach(const char *device);

/* Takes the program off the device if it is ours. 0, also if there is nothing to do, or -errno. */
int offload_detach(const char *device);
