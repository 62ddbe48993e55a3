/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of common/conf.h share. */
#ifndef RMNIC_COMMON_CONF_INTERNAL_H
#define RMNIC_COMMON_CONF_INTERNAL_H

#include "common/conf.h"

#define RMNIC_CONF_KEY_MAX 64

/* For messages: "rmnicd.conf:4: " and "udp_port", or "" and "--udp-port". */
struct rmnic_conf_where {
	const char *prefix;
	const char *name;
};

/* A type whose value is a string that belongs to the structure. */
bool rmnic_conf_is_string(enum rmnic_conf_type type);
void *rmnic_conf_field(const struct rmnic_conf_setting *setting, void *values);
const void *rmnic_conf_field_const(const struct rmnic_conf_setting *setting,
				   const void *values);

/* Sets one value from text; what was there is given back. Not for lists. 0, or -1 with err. */
int rmnic_conf_value_set(const struct rmnic_conf_setting *setting, void *values,
			 const char *text, struct rmnic_conf_where where,
			 struct rmnic_error *err);
void rmnic_conf_value_free(const struct rmnic_conf_setting *setting, void *values);
/* Fills in the defaults of a structure that is all zero. */
int rmnic_conf_defaults(const struct rmnic_conf_table *table, void *values,
			struct rmnic_error *err);

/* A new last item, with its defaults; NULL: err. */
void *rmnic_conf_list_grow(const struct rmnic_conf_setting *setting, void *values,
			   struct rmnic_error *err);
void rmnic_conf_list_clear(const struct rmnic_conf_setting *setting, void *values);
/* "a,b=c" into an item that has its defaults. prefix: for messages. */
int rmnic_conf_item_text(const struct rmnic_conf_table *item, const char *text, void *values,
			 const char *prefix, struct rmnic_error *err);

/* The setting's key in the file. Returns buf. */
const char *rmnic_conf_key(const struct rmnic_conf_setting *setting,
			   char buf[RMNIC_CONF_KEY_MAX]);
/* only: the one setting the file may have; NULL: all of the table. */
int rmnic_conf_file_read(const struct rmnic_conf_table *table, const char *path,
			 const struct rmnic_conf_setting *only, void *values,
			 struct rmnic_error *err);
/* -1, err: a number in the file is larger than libconfig reads. name: of the file, for err. */
int rmnic_conf_numbers_check(const char *path, const char *name, struct rmnic_error *err);
void rmnic_conf_help(const struct rmnic_conf_program *program);

#endif /* RMNIC_COMMON_CONF_INTERNAL_H */
