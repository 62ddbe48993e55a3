/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * engine/step.h - where a death may cut: before each store that a successor, or the guest, reads.
 *
 * Built with RMNIC_STEPS (unit tests and simulator) the hook is called there, and may leave by
 * longjmp() and never come back, as a process that was killed. Otherwise it is nothing.
 */
#ifndef RMNIC_ENGINE_STEP_H
#define RMNIC_ENGINE_STEP_H

#include <stdint.h>

#ifdef RMNIC_STEPS
extern void (*rmnic_step_hook)(void);
#define RMNIC_STEP()                       \
	do {                               \
		if (rmnic_step_hook)       \
			rmnic_step_hook(); \
	} while (0)
#else
#define RMNIC_STEP() ((void)0)
#endif

/*
 * A store that publishes: to a successor all that was stored before it is there too. The release
 * keeps earlier stores before it; the fence, which costs nothing, keeps the compiler from moving
 * later ones up. The CPU's order does not matter between a process and one that comes after it.
 */
#define RMNIC_PUBLISH(at, value)                                  \
	do {                                                      \
		RMNIC_STEP();                                     \
		__atomic_store_n(at, value, __ATOMIC_RELEASE);    \
		__atomic_signal_fence(__ATOMIC_SEQ_CST);          \
	} while (0)

#endif /* RMNIC_ENGINE_STEP_H */
