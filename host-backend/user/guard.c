/* SPDX-License-Identifier: BSD-3-Clause */
#include "user/guard.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>

/*
 * Written under the lock, read by the handler, which may interrupt anything. A row is there while
 * its end is not 0: that is written last, and first when the row is given up.
 */
static struct guarded {
	_Atomic uintptr_t start, end;
	_Atomic size_t granule;
} table[RMNIC_GUARD_MAX];
static atomic_uint used; /* rows that were ever in use: the first ones */
static atomic_uint_fast64_t faults;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static const struct guarded *find(uintptr_t addr)
{
	unsigned int n = atomic_load_explicit(&used, memory_order_acquire);

	for (unsigned int i = 0; i < n; i++)
		/* Acquire: pairs with the release store of end in rmnic_guard_add(). */
		if (addr < atomic_load_explicit(&table[i].end, memory_order_acquire) &&
		    addr >= table[i].start)
			return &table[i];
	return NULL;
}

/*
 * Only what is safe in a handler: atomics, and mmap(), which is a plain system call. What was not
 * guarded faults again, and then ends the process as it would have at first.
 */
static void on_sigbus(int signal, siginfo_t *info, void *context)
{
	uintptr_t addr = (uintptr_t)info->si_addr;
	const struct guarded *g = find(addr);

	(void)context;
	if (g) {
		size_t granule = g->granule;
		void *at = (void *)(addr - addr % granule);

		if (mmap(at, granule, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == at) {
			atomic_fetch_add(&faults, 1);
			return;
		}
	}
	sigaction(signal, &(struct sigaction){ .sa_handler = SIG_DFL }, NULL);
}

bool rmnic_guard_install(void)
{
	struct sigaction action = { .sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO };

	sigemptyset(&action.sa_mask);
	return sigaction(SIGBUS, &action, NULL) == 0;
}

bool rmnic_guard_add(void *start, size_t len, size_t granule)
{
	unsigned int i = 0;

	pthread_mutex_lock(&lock);
	while (i < RMNIC_GUARD_MAX && table[i].end)
		i++;
	if (i < RMNIC_GUARD_MAX) {
		table[i].start = (uintptr_t)start;
		table[i].granule = granule;
		atomic_store_explicit(&table[i].end, (uintptr_t)start + len, memory_order_release);
		if (i >= used)
			atomic_store_explicit(&used, i + 1, memory_order_release);
	}
	pthread_mutex_unlock(&lock);
	return i < RMNIC_GUARD_MAX;
}

void rmnic_guard_remove(void *start)
{
	pthread_mutex_lock(&lock);
	for (unsigned int i = 0; i < used; i++)
		if (table[i].end && table[i].start == (uintptr_t)start)
			table[i].end = 0;
	pthread_mutex_unlock(&lock);
}

uint64_t rmnic_guard_faults(void)
{
	return atomic_load(&faults);
}
