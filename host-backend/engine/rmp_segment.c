/* SPDX-License-Identifier: BSD-3-Clause */
#include "engine/rmp_segment.h"

#include <string.h>

#define IP6_UDP 48
/* Of two stamps 24 bits wide, the newer is less than half the range ahead. */
#define STAMP_HALF 0x800000u
#define STAMP_MASK 0xffffffu

uint32_t rmnic_segment_size(uint32_t mtu)
{
	uint32_t size = mtu - IP6_UDP - RMNIC_RMP_HDR_SIZE - RMNIC_RMP_TAG_SIZE;

	size -= size % RMNIC_RMP_SEG_ALIGN;
	return size < RMNIC_PAGE_SIZE ? size : RMNIC_PAGE_SIZE;
}

uint32_t rmnic_segment_join(bool agreed, uint8_t type, uint32_t segment)
{
	type &= (uint8_t)~RMNIC_RMP_REPLY;
	/* The one comes before the agreement, the other measures what it takes to arrive alone. */
	if (!agreed || type == RMNIC_RMP_HELLO || type == RMNIC_RMP_PROBE)
		return 0;
	return RMNIC_RMP_HDR_SIZE + segment;
}

/* Marks units [first, first + n). False: one of them was marked already; nothing changed. */
static bool mark(uint64_t *got, uint32_t first, uint32_t n)
{
	for (int pass = 0; pass < 2; pass++) {
		for (uint32_t at = first; at < first + n;) {
			uint32_t bit = at % 64;
			uint32_t run = 64 - bit < first + n - at ? 64 - bit : first + n - at;
			uint64_t mask = (run == 64 ? ~0ull : (1ull << run) - 1) << bit;

			if (pass == 0 && (got[at / 64] & mask))
				return false;
			if (pass == 1)
				got[at / 64] |= mask;
			at += run;
		}
	}
	return true;
}

enum rmnic_segment_fate rmnic_segment_add(struct rmnic_segments *s,
					  const struct rmnic_rmp_msg *msg, bool *restarted)
{
	uint32_t units = msg->payload_len / RMNIC_RMP_SEG_ALIGN;

	*restarted = false;
	if (s->started && msg->stamp != s->stamp) {
		if (((msg->stamp - s->stamp) & STAMP_MASK) >= STAMP_HALF)
			return RMNIC_SEGMENT_DUPLICATE;
		memset(s, 0, sizeof(*s));
		*restarted = true;
	}
	s->started = true;
	s->stamp = msg->stamp;
	if (!mark(s->got, msg->offset / RMNIC_RMP_SEG_ALIGN, units))
		return RMNIC_SEGMENT_DUPLICATE;
	s->units += units;
	return s->units == RMNIC_SEGMENT_UNITS ? RMNIC_SEGMENT_LAST : RMNIC_SEGMENT_NEW;
}
