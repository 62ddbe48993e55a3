/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * engine/rmp_rtt.h - how long an answer takes, when to send again, when to ask elsewhere.
 */
#ifndef RMNIC_ENGINE_RMP_RTT_H
#define RMNIC_ENGINE_RMP_RTT_H

#include <stdint.h>

#define RMNIC_RTO_MIN_NS     UINT64_C(1000000)    /* a peer that shares its core sleeps for so long */
#define RMNIC_RTO_INITIAL_NS UINT64_C(20000000)
#define RMNIC_RTO_MAX_NS     UINT64_C(500000000)
#define RMNIC_RTT_BUCKETS    96                   /* four to each power of two of microseconds */

/* Of one server, one for each lane. Zeroed: nothing is known. */
struct rmnic_rtt {
	uint64_t srtt;   /* ns; 0: no sample yet */
	uint64_t rttvar; /* ns */
	uint32_t count;  /* of samples in the histogram, halved now and then */
	uint16_t bucket[RMNIC_RTT_BUCKETS];
};

/* A stamp is the low 24 bits of the clock in microseconds. */
uint32_t rmnic_rtt_stamp(uint64_t now_ns);
/* Time since stamp; right for answers that took less than 16 s. */
uint64_t rmnic_rtt_since(uint32_t stamp, uint64_t now_ns);
void rmnic_rtt_sample(struct rmnic_rtt *rtt, uint64_t ns);
/* How long to wait for the answer to attempt number `attempt`, from 0; doubles each time. */
uint64_t rmnic_rtt_timeout(const struct rmnic_rtt *rtt, uint32_t attempt);
/* The 99th percentile, rounded up; 0: too few samples to say. */
uint64_t rmnic_rtt_p99(const struct rmnic_rtt *rtt);

#endif /* RMNIC_ENGINE_RMP_RTT_H */
