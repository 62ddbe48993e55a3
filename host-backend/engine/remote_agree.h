/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * engine/remote_agree.h - a page that some members have in a newer version than others: those get
 * it as well, and then all of them answer alike.
 */
#ifndef RMNIC_ENGINE_REMOTE_AGREE_H
#define RMNIC_ENGINE_REMOTE_AGREE_H

#include "engine/store_remote_internal.h"

struct rmnic_remote_agree {
	struct rmnic_remote *store;
	const struct rmnic_rmp_member *member;
	unsigned int from; /* who has it */
	uint8_t lacking;   /* a bit a member that is still to get it */
	uint64_t rpn;
	uint64_t version;
	uint32_t crc;
	bool running;
	bool asked;        /* an answer is to come */
	bool read;         /* the page is here */
	bool failed;
	uint16_t status;   /* of the last answer */
	uint32_t word;     /* of a filled page; little-endian */
	bool filled;
	struct rmnic_rmp_call call;
	uint64_t page[RMNIC_PAGE_SIZE / 8];
};

/* member, from, lacking, rpn, version and crc are set. */
void rmnic_remote_agree_begin(struct rmnic_remote_agree *a);
/* Asks the next member. False: it is over, and `failed` says how. */
bool rmnic_remote_agree_next(struct rmnic_remote_agree *a);

#endif /* RMNIC_ENGINE_REMOTE_AGREE_H */
