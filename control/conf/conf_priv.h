/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How nodes of the tree become values of the model. A mapping is described by a table of fields;
 * each field has a function that reads its node into a place of the object. Every function
 * reports what is wrong and goes on, so that one pass finds everything.
 */
#pragma once

#include <limits.h>

#include "control/conf/conf.h"
#include "control/conf/tree.h"

struct conf_reader {
	struct pool *pool; /* the model's */
	struct model *model;
	struct diag *diag;
	struct conf_node *root;
	const char *state_dir; /* NULL = do not look at key files */
};

struct conf_word {
	const char *word; /* NULL ends a table */
	int value;
};

/* What the schema must know of readers that are no more than a function to others. */
enum conf_shape {
	CONF_SHAPE_VALUE,  /* as the reader says */
	CONF_SHAPE_NAMED,  /* a mapping from names to mappings of the kind's fields */
	CONF_SHAPE_LIST,   /* a list of mappings of `fields` */
	CONF_SHAPE_OR_ANY, /* a mapping of `fields`, or the word any */
	CONF_SHAPE_BOOL,   /* true or false */
	CONF_SHAPE_FIELDS, /* a mapping of `fields` */
	CONF_SHAPE_VERSION,
	CONF_SHAPE_FILE, /* text: the name of a file */
};

struct conf_field {
	const char *key; /* NULL ends a table */
	void (*read)(struct conf_reader *r, const struct conf_node *node,
		const struct conf_field *field, void *out);
	size_t offset; /* of the value in the object */
	bool required;
	long min, max;                   /* numbers; max also for the length of text */
	enum model_kind kind;            /* references */
	const struct conf_word *words;   /* words */
	const struct conf_field *fields; /* nested mappings */
	enum conf_shape shape;
};

/* The mapping's values into *object; false if the node is no mapping. */
bool conf_read_map(struct conf_reader *r, const struct conf_node *node,
	const struct conf_field *fields, void *object);

/* For field tables; `out` is the address of the value. */
#define CONF_READER(name)                                                                          \
	void conf_read_##name(struct conf_reader *r, const struct conf_node *node,                 \
		const struct conf_field *field, void *out)

CONF_READER(fields);      /* a nested mapping, by field->fields */
CONF_READER(source);      /* struct model_source: a mapping by field->fields, or the word any */
CONF_READER(text);        /* const char * */
CONF_READER(name);        /* const char *, the name of an object or interface (max) */
CONF_READER(bool);        /* bool */
CONF_READER(u16);         /* uint16_t */
CONF_READER(u32);         /* uint32_t */
CONF_READER(word);        /* int, by field->words */
CONF_READER(allow);       /* bool: allow or deny */
CONF_READER(key);         /* struct key */
CONF_READER(addr);        /* struct addr */
CONF_READER(addrs);       /* struct model_addrs */
CONF_READER(prefixes);    /* struct model_prefixes */
CONF_READER(ifaddrs);     /* struct model_ifaddrs */
CONF_READER(endpoint);    /* struct endpoint */
CONF_READER(flow_end);    /* struct endpoint, port 0 if there is none */
CONF_READER(secret);      /* const char *, ${file:/path} or ${credential:name} */
CONF_READER(refs);        /* struct model_refs, a list of names of field->kind */
CONF_READER(ref);         /* struct model_refs, one name */
CONF_READER(ref_or_deny); /* struct model_refs, one name, or the word deny */
CONF_READER(port_range);  /* struct model_port_range, untouched after an error */
CONF_READER(port_ranges); /* struct model_port_ranges */
CONF_READER(key_file);    /* const char *, the name of a key's file */

CONF_READER(named);        /* into the model: names with objects of field->kind (objects.c) */
CONF_READER(policies);     /* into the model (lists.c) */
CONF_READER(egress_rules); /* struct model_egress_rules (lists.c) */
CONF_READER(tests);        /* struct model_tests (lists.c) */

/* Where conf_key_file_read() looks. 0, -ENAMETOOLONG, -ENOKEY (no directory of credentials). */
int conf_key_file_path(const char *state_dir, const char *name, char path[PATH_MAX])
	__attribute__((warn_unused_result));
bool conf_key_file_exists(const char *state_dir, const char *name);

/*
 * The key in the file that `key` of the mapping names, where the reader looks at files; reports
 * what is wrong with it. *out is untouched if there is none. The caller wipes it.
 */
void conf_take_key_file(struct conf_reader *r, const struct conf_node *node, const char *key,
	bool secret, struct key *out);

/* Reports where a mapping has both of two keys for the same secret. */
void conf_check_one_secret(
	struct conf_reader *r, const struct conf_node *node, const char *key, const char *key_file);

/*
 * What peer->endpoint_text means: 192.0.2.1:51820 or [2001:db8::1]:51820 into endpoint,
 * office.example:51820 into endpoint_name and endpoint_port.
 */
void conf_finish_endpoint(
	struct conf_reader *r, const struct conf_node *node, struct model_peer *peer);

/* True for ${file:/path} and ${credential:name}. */
bool conf_is_secret_ref(const char *text);

/* Sets kind and one name. */
void conf_add_ref(struct conf_reader *r, struct model_refs *refs, const char *name);

/* The text of a scalar that is not one of YAML's traps; NULL after reporting. */
const char *conf_scalar(struct conf_reader *r, const struct conf_node *node, const char *wanted);

/* True if the node is a list; reports otherwise. */
bool conf_is_list(struct conf_reader *r, const struct conf_node *node, const char *wanted);

void conf_report(struct conf_reader *r, enum diag_code code, const struct conf_node *node,
	const char *hint, const char *format, ...) __attribute__((format(printf, 5, 6)));

/* Tables of fields: of the whole file (sections.c), of objects (objects.c), of items (lists.c). */
const struct conf_field *conf_root_fields(void);
const struct conf_field *conf_object_fields(enum model_kind kind);
extern const struct conf_field conf_policy_fields[], conf_egress_rule_fields[], conf_test_fields[];

/* An object of the kind, or an item of a list of mappings, that nobody has set; in the pool. */
const void *conf_object_defaults(struct pool *pool, enum model_kind kind);
const void *conf_item_defaults(struct pool *pool, const struct conf_field *field);

/* One tree of all files, NULL if one of them is no YAML. */
struct conf_node *conf_merge(struct pool *pool, const struct conf_files *files, struct diag *diag);

/* The whole file: the one function of sections.c that conf.c calls. */
void conf_read_root(struct conf_reader *r, const struct conf_node *root);
