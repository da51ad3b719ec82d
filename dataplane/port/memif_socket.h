/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The socket file of a memif server. Its driver does not remove the file that a process which was
 * killed has left, and then cannot bind it again: the port would stay away after every crash.
 */
#pragma once

#include <stdbool.h>

/* Removes the socket file that a device of this text (DPDK's devargs) is going to make, if nobody
 * listens on it. Other files, and sockets in use, stay. True if one was removed. Main thread. */
bool memif_socket_forget(const char *devargs);
