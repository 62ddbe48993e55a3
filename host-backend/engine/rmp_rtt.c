/* SPDX-License-Identifier: BSD-3-Clause */
#include "engine/rmp_rtt.h"

#define STAMP_MASK 0xffffffu
#define MIN_SAMPLES 64     /* below, a percentile says little */
#define MAX_SAMPLES 16384  /* then the past is halved */

uint32_t rmnic_rtt_stamp(uint64_t now_ns)
{
	return (uint32_t)(now_ns / 1000) & STAMP_MASK;
}

uint64_t rmnic_rtt_since(uint32_t stamp, uint64_t now_ns)
{
	return (uint64_t)((rmnic_rtt_stamp(now_ns) - stamp) & STAMP_MASK) * 1000;
}

/* Four buckets to a power of two: a quarter is the error. */
static unsigned int bucket_of(uint64_t ns)
{
	uint64_t us = ns / 1000 + 4;
	unsigned int log = 63 - (unsigned int)__builtin_clzll(us);
	unsigned int b = (log - 2) * 4 + (unsigned int)((us >> (log - 2)) & 3);

	return b < RMNIC_RTT_BUCKETS ? b : RMNIC_RTT_BUCKETS - 1;
}

static uint64_t bucket_end(unsigned int b)
{
	return (((uint64_t)(b % 4 + 5) << (b / 4)) - 4) * 1000;
}

void rmnic_rtt_sample(struct rmnic_rtt *rtt, uint64_t ns)
{
	/* RFC 6298's estimator. */
	if (!rtt->srtt) {
		rtt->srtt = ns ? ns : 1;
		rtt->rttvar = ns / 2;
	} else {
		uint64_t off = ns > rtt->srtt ? ns - rtt->srtt : rtt->srtt - ns;

		rtt->rttvar = rtt->rttvar - rtt->rttvar / 4 + off / 4;
		rtt->srtt = rtt->srtt - rtt->srtt / 8 + ns / 8;
		rtt->srtt += !rtt->srtt;
	}
	rtt->bucket[bucket_of(ns)]++;
	if (++rtt->count < MAX_SAMPLES)
		return;
	rtt->count = 0;
	for (unsigned int i = 0; i < RMNIC_RTT_BUCKETS; i++) {
		rtt->bucket[i] /= 2;
		rtt->count += rtt->bucket[i];
	}
}

uint64_t rmnic_rtt_timeout(const struct rmnic_rtt *rtt, uint32_t attempt)
{
	uint64_t rto = rtt->srtt ? rtt->srtt + 4 * rtt->rttvar : RMNIC_RTO_INITIAL_NS;

	if (rto < RMNIC_RTO_MIN_NS)
		rto = RMNIC_RTO_MIN_NS;
	for (; attempt && rto < RMNIC_RTO_MAX_NS; attempt--)
		rto *= 2;
	return rto < RMNIC_RTO_MAX_NS ? rto : RMNIC_RTO_MAX_NS;
}

uint64_t rmnic_rtt_p99(const struct rmnic_rtt *rtt)
{
	uint32_t above = 0;

	if (rtt->count < MIN_SAMPLES)
		return 0;
	for (unsigned int i = RMNIC_RTT_BUCKETS; i-- > 0;) {
		above += rtt->bucket[i];
		if (above * 100 > rtt->count)
			return bucket_end(i);
	}
	return 0;
}
