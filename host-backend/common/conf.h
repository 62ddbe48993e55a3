/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * common/conf.h - settings, from a file and from arguments, by one table.
 *
 * A program describes its settings once; --help, the file's keys and the arguments all come
 * from that table. A setting "udp-port" is `--udp-port 7611` as an argument and `udp_port =
 * 7611` in the file (libconfig's syntax, @include allowed). Arguments win over the file. A
 * list is given by repeating the argument, `--port eth0,mtu=9000 --port eth1`, and in the file
 * by the setting's `plural`: `ports = ( "eth0,mtu=9000", { device = "eth1"; } )`; given as
 * arguments it replaces the file's.
 *
 * Values go into a structure of the program's. A reload parses into a second one; what is
 * wrong with it is known before anything changes.
 */
#ifndef RMNIC_COMMON_CONF_H
#define RMNIC_COMMON_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

/* What the value is, and the C type of the field at `offset`. */
enum rmnic_conf_type {
	RMNIC_CONF_BOOL,    /* bool; as an argument alone it means true */
	RMNIC_CONF_UINT,    /* uint64_t, min to max */
	RMNIC_CONF_SIZE,    /* uint64_t, bytes, min to max: "64M", "4G" (powers of 1024); a
			     * string in the file */
	RMNIC_CONF_STRING,  /* const char *, not empty; NULL when it was not given */
	RMNIC_CONF_ENUM,    /* int, the index in `names` */
	RMNIC_CONF_IPV4,    /* const char *, "10.0.0.1" */
	RMNIC_CONF_SUBNET,  /* const char *, "10.0.0.1/24" */
	RMNIC_CONF_ADDRESS, /* struct rmnic_conf_address, "10.0.0.1" or "10.0.0.1:7611" */
	RMNIC_CONF_UUID,    /* struct rmnic_conf_uuid */
	RMNIC_CONF_CPUS,    /* const char *, "2-5,7" */
	RMNIC_CONF_LIST,    /* struct rmnic_conf_list of `item` */
	RMNIC_CONF_MORE,    /* const char *, the path of a file with more of the list `name` in
			     * `plural`'s place; read with each reload */
};

struct rmnic_conf_address {
	uint32_t ip;   /* host order; 0: not given */
	uint16_t port; /* 0: not given */
};

struct rmnic_conf_uuid {
	uint8_t byte[16];
	bool given;
};

struct rmnic_conf_list {
	void *items; /* structures of the item's table */
	size_t count;
};

struct rmnic_conf_table;

struct rmnic_conf_setting {
	const char *name;  /* "udp-port" */
	enum rmnic_conf_type type;
	size_t offset;     /* in the program's structure */
	uint64_t min, max; /* UINT and SIZE; LIST: how many items */
	const char *def;   /* as it would be typed; NULL: none (0, false, NULL, empty) */
	const char *metavar; /* for --help: "PATH" */
	const char *help;  /* one sentence or two, no full stop at the end */
	const char *const *names; /* ENUM: NULL at the end */
	const char *plural;       /* LIST: its key in the file; MORE: the key of the list */
	const struct rmnic_conf_table *item; /* LIST */
	bool reload;       /* a reload may change it */
};

/* Of a list's item the first setting is the one that is given without its name. */
struct rmnic_conf_table {
	const struct rmnic_conf_setting *settings;
	size_t count;
	size_t size; /* of the structure */
};

struct rmnic_conf_program {
	const char *name;    /* "rmnicd" */
	const char *summary; /* for --help: what it does, in a sentence or a few */
	const char *footer;  /* for --help, after the settings: examples, files; may be NULL */
	struct rmnic_conf_table table;
};

enum rmnic_conf_result {
	RMNIC_CONF_OK,
	RMNIC_CONF_DONE, /* --help, --version or --check was asked for and answered: exit(0) */
	RMNIC_CONF_BAD,  /* err says what: exit(2). values need no free */
};

/*
 * Reads the file that --config names, if it is there, and the arguments, into *values, whose
 * content does not matter before and which is of table.size bytes. argv stays as it is, so the
 * same call serves a reload.
 */
enum rmnic_conf_result rmnic_conf_parse(const struct rmnic_conf_program *program, int argc,
					char *const *argv, void *values,
					struct rmnic_error *err);
/* Gives back strings and lists. Of values that are all zero, too. */
void rmnic_conf_free(const struct rmnic_conf_table *table, void *values);
/*
 * The name of the first setting that differs and that a reload may not change; NULL: there is
 * none.
 */
const char *rmnic_conf_fixed(const struct rmnic_conf_table *table, const void *a,
			     const void *b);
/* Whether this setting differs. */
bool rmnic_conf_differs(const struct rmnic_conf_table *table, const char *name, const void *a,
			const void *b);

/* One item from text, as rmnicctl passes it on: "10.0.0.1:7611,label=a". 0, or -1 with err. */
int rmnic_conf_item_parse(const struct rmnic_conf_table *item, const char *text, void *values,
			  struct rmnic_error *err);

/* "4G" to bytes; false: it is no size. */
bool rmnic_size_parse(const char *text, uint64_t *out);
/* The shortest exact form: "4G", "1536M", "4097". Returns buf. */
const char *rmnic_size_format(uint64_t bytes, char *buf, size_t len);
bool rmnic_uuid_parse(const char *text, uint8_t out[16]);
/* 36 characters and a NUL. Returns buf. */
const char *rmnic_uuid_format(const uint8_t uuid[16], char buf[37]);
/* "10.0.0.1", or "10.0.0.1:7611" with a port other than 0. Returns buf. */
const char *rmnic_address_format(struct rmnic_conf_address address, char buf[24]);

#endif /* RMNIC_COMMON_CONF_H */
