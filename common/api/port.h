/* SPDX-License-Identifier: BSD-3-Clause */
/* Ports: the devices on which the data plane sends and receives. */
#pragma once

#include "common/api/api.h"
#include "common/base/addr.h"

enum {
	API_PORT_MAX = 64,      /* port ids are 1..API_PORT_MAX - 1; 0 = none */
	API_PORT_NAME_MAX = 12, /* with "sp-" before it still an interface name */
	API_PORT_DEVICE_MAX = 188,
};

struct api_port_set {
	struct api_header header;
	uint16_t port;
	uint16_t mtu;       /* L3 bytes, 1280..9000 */
	uint16_t rx_queues; /* 0 = the data plane decides */
	uint16_t tx_queues;
	uint32_t set_id; /* source set of plain packets that arrive here (wireguard.h) */
	uint32_t zero;
	char name[API_PORT_NAME_MAX];     /* "wan"; its TAP twin is "sp-wan" */
	char device[API_PORT_DEVICE_MAX]; /* DPDK device, "net_af_packet0,iface=wan" */
};

struct api_port_del {
	struct api_header header;
	uint16_t port;
	uint16_t zero[3];
};

struct api_event_port {
	struct api_header header;
	uint16_t port;
	uint8_t link_up;
	uint8_t failed; /* 1: code says why */
	int32_t code;
	uint8_t mac[6];
	uint16_t zero;
};
