/* SPDX-License-Identifier: BSD-3-Clause */
/* What the tables of checks share. */
#pragma once

#include "control/doctor/doctor.h"

struct doctor;

struct doctor_check {
	const char *step, *title; /* NULL ends a table */
	void (*run)(struct doctor *doctor);
};

struct doctor {
	const struct doctor_machine *machine; /* or: */
	const struct doctor_gateway *gateway;
	const struct model_peer *peer; /* may be NULL */
	struct doctor_peer_figures figures;
	const struct doctor_check *check; /* the one that runs */
	json_t *findings;
};

/* Runs a table. A check that says nothing is one that did not apply. */
void doctor_run(struct doctor *doctor, const struct doctor_check *checks);

/* A finding of the running check; fix may be NULL. */
void doctor_say(struct doctor *doctor, enum doctor_state state, const char *fix, const char *format,
	...) __attribute__((format(printf, 4, 5)));

/* The first line of a file below the machine's root, without its end; false if there is none. */
bool doctor_line(const struct doctor *doctor, char *line, size_t size, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* A number in such a file; -1 if there is none. */
long doctor_number(const struct doctor *doctor, const char *path);

extern const struct doctor_check doctor_machine_checks[];
extern const struct doctor_check doctor_network_checks[];
extern const struct doctor_check doctor_firewall_checks[];
extern const struct doctor_check doctor_gateway_checks[];
extern const struct doctor_check doctor_peer_checks[];
