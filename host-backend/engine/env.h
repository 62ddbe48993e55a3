/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * engine/env.h - time, chance, memory and the network, as RMP's two ends are given them.
 *
 * The engine makes no system call: whoever embeds it fills in these tables, so that the same
 * code runs on DPDK and under a virtual clock. Nothing here may block.
 */
#ifndef RMNIC_ENGINE_ENV_H
#define RMNIC_ENGINE_ENV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rmnic_env_ops {
	/* Monotonic, ns. */
	uint64_t (*now_ns)(void *arg);
	uint64_t (*random)(void *arg);
	/* Zeroed, aligned to 64 bytes; NULL: none. Called while things are created only. */
	void *(*alloc)(void *arg, size_t bytes);
	void (*free)(void *arg, void *memory);
};

struct rmnic_env {
	const struct rmnic_env_ops *ops;
	void *arg;
};

static inline uint64_t rmnic_env_now(const struct rmnic_env *env)
{
	return env->ops->now_ns(env->arg);
}

/* Where a datagram comes from or goes to. IPv4 addresses are mapped (::ffff:a.b.c.d). */
struct rmnic_addr {
	uint8_t ip[16];
	uint16_t port; /* host order */
};

/* Page-in and page-out have ports of their own at the server (RMP-27). */
enum rmnic_lane { RMNIC_LANE_IN, RMNIC_LANE_OUT, RMNIC_LANES };

/*
 * A datagram going out: a header (and small body), then optionally a piece of a page. The
 * first part is copied before send returns. The piece is only referenced: whoever sends it
 * may do so without a copy, and calls release(release_arg) once, during send or later from
 * the polling thread, when the piece will not be looked at again (a retransmission by the
 * hardware included).
 */
struct rmnic_tx {
	const void *head;
	const void *data; /* NULL: none */
	uint32_t head_len;
	uint32_t data_len;
	void (*release)(void *release_arg);
	void *release_arg;
	/* Bytes of a datagram that it may share with others to the same address; 0: it goes alone. */
	uint32_t join;
};

struct rmnic_net_ops {
	/*
	 * lane: the local port to send from. False: not sent, nothing is referenced and
	 * release is not called; the sender's timers see to it.
	 */
	bool (*send)(void *arg, enum rmnic_lane lane, const struct rmnic_addr *to,
		     const struct rmnic_tx *tx);
};

struct rmnic_net {
	const struct rmnic_net_ops *ops;
	void *arg;
};

/* A datagram that came in; valid during the call it is passed to. */
struct rmnic_rx {
	struct rmnic_addr from;
	enum rmnic_lane lane; /* the local port it came to */
	bool congestion;      /* marked on its way (ECN) */
	const void *data;
	uint32_t len;
};

#endif /* RMNIC_ENGINE_ENV_H */
