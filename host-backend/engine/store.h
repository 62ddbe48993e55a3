/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * engine/store.h - where pages are kept: the interface between the queue engine and a store.
 *
 * A store keeps 4 KiB pages by remote page number (rpn). An operation on one page either
 * ends at once with an RMNIC_SC_* status or returns RMNIC_STORE_PENDING and ends later by
 * op->done(). The store never keeps a pointer to the page's bytes beyond the operation.
 */
#ifndef RMNIC_ENGINE_STORE_H
#define RMNIC_ENGINE_STORE_H

#include <stdbool.h>
#include <stdint.h>

#define RMNIC_STORE_PENDING 0xffff

struct rmnic_store;

/* One page of a command. Owned by the caller until the operation has ended. */
struct rmnic_page_op {
	uint64_t rpn;
	uint64_t next; /* likely to be read after it, in range: a store may have it at hand by then */
	void *data; /* 4 KiB of guest memory; may change under the store's eyes (B5) */
	void (*done)(struct rmnic_page_op *op, uint16_t status);
};

struct rmnic_store_counters {
	uint64_t same_filled;  /* pages out that were kept as a word */
	uint64_t in_unwritten; /* pages in answered as zeros: never written or freed */
	uint64_t stored;       /* pages of the store in use now */
	uint64_t corrupt;      /* pages whose checksum did not match */
};

struct rmnic_store_ops {
	uint16_t (*page_out)(struct rmnic_store *store, struct rmnic_page_op *op);
	uint16_t (*page_in)(struct rmnic_store *store, struct rmnic_page_op *op);
	/*
	 * Forgets an operation that is pending: when it returns, op->data is no longer touched
	 * and op->done() will not be called. A page going out is then old, new or
	 * INDETERMINATE. NULL: the store never answers PENDING.
	 */
	void (*cancel)(struct rmnic_store *store, struct rmnic_page_op *op);
	/* Pages rpn .. rpn + n - 1 are given back / become zeros. Always in range. */
	uint16_t (*free)(struct rmnic_store *store, uint64_t rpn, uint32_t n);
	uint16_t (*zero)(struct rmnic_store *store, uint64_t rpn, uint32_t n);
	uint16_t (*flush)(struct rmnic_store *store);
	/*
	 * Housekeeping that can wait (giving freed memory back to the system). Bounded work a
	 * call; true: there is more.
	 */
	bool (*idle)(struct rmnic_store *store);
	/* What it keeps is saved with the machine: idle() is not called while the device is paused. */
	bool saved;
	void (*counters)(const struct rmnic_store *store, struct rmnic_store_counters *out);
	/*
	 * Page-outs of rpn .. rpn + n - 1 that an earlier life of the device left half way will not
	 * be redriven: those pages become INDETERMINATE, but for what is under way now. Always in
	 * range. NULL: the store leaves none half way.
	 */
	void (*settle)(struct rmnic_store *store, uint64_t rpn, uint64_t n);
};

struct rmnic_store {
	const struct rmnic_store_ops *ops;
};

#endif /* RMNIC_ENGINE_STORE_H */
