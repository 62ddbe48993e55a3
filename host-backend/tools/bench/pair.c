/* SPDX-License-Identifier: BSD-3-Clause */
#include "tools/bench/pair.h"

#include <string.h>

#include "rmnic/ring.h"

int bench_pair_init(struct bench_pair *pair, struct bench_guest *guest, uint16_t qid,
		    uint32_t depth, struct rmnic_error *err)
{
	*pair = (struct bench_pair){
		.guest = guest,
		.qid = qid,
		.depth = depth,
		.sq = bench_guest_alloc(guest, depth * sizeof(struct rmnic_sqe), RMNIC_RING_ALIGN),
		.cq = bench_guest_alloc(guest, depth * sizeof(struct rmnic_cqe), RMNIC_RING_ALIGN),
		.rec = bench_guest_alloc(guest, sizeof(struct rmnic_dbrec), RMNIC_REC_ALIGN),
	};
	if (!pair->sq || !pair->cq || !pair->rec)
		return rmnic_error_set(err, "no guest memory is left for queue pair %u", qid);
	pair->record = bench_guest_at(guest, pair->rec);
	return 0;
}

bool bench_pair_slot(const struct bench_pair *pair, uint16_t *cid)
{
	*cid = (uint16_t)rmnic_ring_slot(pair->tail, pair->depth);
	return !pair->busy[*cid];
}

void bench_pair_put(struct bench_pair *pair, void *sqe)
{
	uint16_t cid = (uint16_t)rmnic_ring_slot(pair->tail++, pair->depth);

	((struct rmnic_sqe *)sqe)->cid = cid;
	memcpy(bench_guest_at(pair->guest, pair->sq + cid * sizeof(struct rmnic_sqe)), sqe,
	       sizeof(struct rmnic_sqe));
	pair->busy[cid] = true;
	pair->in_flight++;
}

bool bench_pair_publish(struct bench_pair *pair)
{
	/* Pairs with the device's acquire load of sq_tail (RING-4). */
	__atomic_store_n(&pair->record->sq_tail, pair->tail, __ATOMIC_RELEASE);
	/* Pairs with the barrier of a device that goes to sleep (RING-9, RING-10). */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return bench_pair_wants_doorbell(pair);
}

bool bench_pair_wants_doorbell(const struct bench_pair *pair)
{
	return __atomic_load_n(&pair->record->need_wakeup, __ATOMIC_RELAXED) != 0;
}

static const struct rmnic_cqe *next_cqe(const struct bench_pair *pair, uint32_t *phase)
{
	uint32_t slot = rmnic_ring_slot(pair->head, pair->depth);
	const struct rmnic_cqe *cqe =
		bench_guest_at(pair->guest, pair->cq + slot * sizeof(struct rmnic_cqe));

	/* Pairs with the device's release store of the phase word (RING-2). */
	*phase = __atomic_load_n(&cqe->phase, __ATOMIC_ACQUIRE);
	return (*phase & RMNIC_CQE_PHASE) == rmnic_ring_phase(pair->head, pair->depth) ? cqe : NULL;
}

enum bench_reap bench_pair_reap(struct bench_pair *pair, struct rmnic_cqe *out,
				struct rmnic_error *err)
{
	uint32_t phase;
	const struct rmnic_cqe *cqe = next_cqe(pair, &phase);

	if (!cqe)
		return BENCH_REAP_NONE;
	*out = *cqe;
	out->phase = phase;
	if (phase >> RMNIC_CQE_QID_SHIFT != pair->qid || (phase & 0xfffe)) {
		rmnic_error_set(err, "queue pair %u: a completion with phase word 0x%x", pair->qid, phase);
		return BENCH_REAP_BAD;
	}
	if (out->cid >= pair->depth || !pair->busy[out->cid]) {
		rmnic_error_set(err, "queue pair %u: command %u was completed and is not in flight "
				"(completed twice?)", pair->qid, out->cid);
		return BENCH_REAP_BAD;
	}
	pair->busy[out->cid] = false;
	pair->in_flight--;
	pair->head++;
	__atomic_store_n(&pair->record->cq_head, pair->head, __ATOMIC_RELEASE);
	return BENCH_REAP_ONE;
}

bool bench_pair_arm(struct bench_pair *pair)
{
	uint32_t phase;

	__atomic_store_n(&pair->record->cq_arm, pair->head, __ATOMIC_RELAXED);
	/* Pairs with the device's barrier between the phase word and its look at cq_arm. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return !next_cqe(pair, &phase);
}
