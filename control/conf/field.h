/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How the tables of fields are written. Each key's value lies in a member of the object that
 * conf_read_map() is given; conf_read_<reader> reads it.
 */
#pragma once

#include <stddef.h>

#include "control/conf/conf_priv.h"

#define FIELD(name, reader, type, member, ...)                                                     \
	{                                                                                          \
		.key = name, .read = conf_read_##reader, .offset = offsetof(struct type, member),  \
		__VA_ARGS__                                                                        \
	}
#define END                                                                                        \
	{                                                                                          \
		.key = NULL                                                                        \
	}

enum { CONF_PATH_BYTES_MAX = 4095 }; /* PATH_MAX less the terminator */
