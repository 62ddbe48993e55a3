/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * engine/rmp_segment.h - a page in as many datagrams as the path's MTU makes necessary.
 */
#ifndef RMNIC_ENGINE_RMP_SEGMENT_H
#define RMNIC_ENGINE_RMP_SEGMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/rmp_codec.h"

#define RMNIC_SEGMENT_UNITS (RMNIC_PAGE_SIZE / RMNIC_RMP_SEG_ALIGN)

/*
 * The most payload a datagram may have on a path of this MTU, counted for IPv6 and with
 * room for a cipher's tag, so that neither changes how a page is cut (RMP-12).
 */
uint32_t rmnic_segment_size(uint32_t mtu);

/*
 * RMP-41: bytes of a datagram that a message of type may share with others where both ends take that
 * (agreed) and a datagram carries `segment` bytes of a page; 0: it goes alone.
 */
uint32_t rmnic_segment_join(bool agreed, uint8_t type, uint32_t segment);

/* A page being put together. Zeroed: empty, of no attempt. */
struct rmnic_segments {
	uint64_t got[RMNIC_SEGMENT_UNITS / 64]; /* a bit each RMNIC_RMP_SEG_ALIGN bytes */
	uint32_t units;                         /* bits set */
	uint32_t stamp;                         /* of the attempt */
	bool started;
};

enum rmnic_segment_fate {
	RMNIC_SEGMENT_NEW,       /* copy it */
	RMNIC_SEGMENT_LAST,      /* copy it: with it the page is whole */
	RMNIC_SEGMENT_DUPLICATE, /* (partly) there already, or of an older attempt: drop it */
};

/*
 * Decides about a segment whose shape the decoder found right. *restarted: what came before
 * belonged to an older attempt and is void (RMP-24).
 */
enum rmnic_segment_fate rmnic_segment_add(struct rmnic_segments *s,
					  const struct rmnic_rmp_msg *msg, bool *restarted);

#endif /* RMNIC_ENGINE_RMP_SEGMENT_H */
