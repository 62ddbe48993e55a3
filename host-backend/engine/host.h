/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * engine/host.h - what the engine asks of whatever it runs in.
 *
 * The engine makes no system call. Guest memory, time and interrupts come in through this
 * table, so that the same code runs inside QEMU, inside rmnicd and under a virtual clock.
 * All functions are called in the thread that polls the device, none may block.
 */
#ifndef RMNIC_ENGINE_HOST_H
#define RMNIC_ENGINE_HOST_H

#include <stdbool.h>
#include <stdint.h>

/* Guest memory in use by the engine. opaque belongs to the host. */
struct rmnic_mapping {
	void *ptr;
	uint64_t addr;
	uint32_t len;
	bool write;
	void *opaque;
};

/* Why an entry or a register value was turned down; one counter and one trace event each. */
enum rmnic_refusal {
#define RMNIC_REFUSALS(X)                                                              \
	X(INVALID_OPCODE, "invalid_opcode")     /* opcode unknown on this kind of queue */ \
	X(RESERVED_FIELD, "reserved_field")     /* a reserved field or flag is not zero */ \
	X(MISALIGNED, "misaligned")             /* an address or list is not aligned */    \
	X(LIST_CROSSES_PAGE, "list_crosses_page")                                          \
	X(NOT_RAM, "not_ram")                   /* the translator refused the address */   \
	X(BAD_LENGTH, "bad_length")             /* npages is 0 or above the limit */       \
	X(RPN_RANGE, "rpn_range")               /* beyond the capacity */                  \
	X(BAD_QID, "bad_qid")                                                              \
	X(WRONG_CLASS, "wrong_class")                                                      \
	X(BAD_CID, "bad_cid")                   /* not below the depth */                  \
	X(CID_IN_FLIGHT, "cid_in_flight")                                                  \
	X(BAD_VECTOR, "bad_vector")                                                        \
	X(BAD_DEPTH, "bad_depth")                                                          \
	X(BAD_QCLASS, "bad_qclass")                                                        \
	X(BAD_SQ_TAIL, "bad_sq_tail")           /* fatal */                                \
	X(BAD_CQ_HEAD, "bad_cq_head")           /* fatal */                                \
	X(BAD_FEATURES, "bad_features")         /* fatal: enable refused */                \
	X(BAD_AQ, "bad_aq")                     /* fatal: enable refused */                \
	X(BAD_REGISTER, "bad_register")         /* unknown offset, size or read-only */
#define X(id, name) RMNIC_REFUSAL_##id,
	RMNIC_REFUSALS(X)
#undef X
	RMNIC_REFUSAL_COUNT
};

struct rmnic_host_ops {
	/*
	 * The one translation of guest addresses (C2): yields directly accessible RAM of
	 * len bytes from addr in one piece, or returns false and maps nothing. The memory
	 * stays valid until unmap, also when the guest's memory map changes. ptr is aligned
	 * as addr is, up to 4096.
	 */
	bool (*map)(void *host, uint64_t addr, uint32_t len, bool write,
		    struct rmnic_mapping *out);
	/* written: bytes from the mapping's start that were changed; 0 for none. */
	void (*unmap)(void *host, struct rmnic_mapping *mapping, uint32_t written);
	/* Bytes at offset were changed in a mapping that stays (rings, doorbell records). */
	void (*written)(void *host, const struct rmnic_mapping *mapping, uint32_t offset,
			uint32_t len);
	/* Raise MSI-X vector; never called with RMNIC_NO_VECTOR. */
	void (*irq)(void *host, uint16_t vector);
	/* Monotonic, ns. */
	uint64_t (*now_ns)(void *host);
	/* Full barrier on every CPU that runs the guest or the engine (E1). */
	void (*membarrier)(void *host);
	/* For tracing and logs; the engine has counted it already. value: what was wrong. */
	void (*refused)(void *host, enum rmnic_refusal why, uint16_t qid, uint16_t cid,
			uint64_t value);
	/* A command was fetched / completed; for tracing. May be NULL. */
	void (*fetched)(void *host, uint16_t qid, uint16_t cid, uint8_t opcode, uint64_t rpn,
			uint32_t npages);
	void (*completed)(void *host, uint16_t qid, uint16_t cid, uint16_t status,
			  uint64_t latency_ns);
	/*
	 * A turn of page-outs is over and more may follow in this poll: what is more urgent may be done
	 * now (what the network brought, other devices' page-ins). Must not poll this device. May be
	 * NULL.
	 */
	void (*turn)(void *host);
	/* The device went fatal with RMNIC_ERR_*: the host sets STATUS and EVENT. */
	void (*fatal)(void *host, uint32_t error);
};

#endif /* RMNIC_ENGINE_HOST_H */
