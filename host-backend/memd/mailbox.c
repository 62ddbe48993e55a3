/* SPDX-License-Identifier: BSD-3-Clause */
#include "memd/mailbox.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct call {
	void (*fn)(void *arg);
	void *arg;
	sem_t done;
};

struct memd_mailbox {
	pthread_mutex_t one; /* asks at a time */
	_Atomic(struct call *) call;
	int fd;
};

struct memd_mailbox *memd_mailbox_create(struct rmnic_error *err)
{
	struct memd_mailbox *box = calloc(1, sizeof(*box));

	if (!box) {
		rmnic_error_set(err, "no memory for the mailbox");
		return NULL;
	}
	pthread_mutex_init(&box->one, NULL);
	box->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (box->fd >= 0)
		return box;
	rmnic_error_set(err, "an eventfd: %m");
	free(box);
	return NULL;
}

void memd_mailbox_destroy(struct memd_mailbox *box)
{
	if (!box)
		return;
	close(box->fd);
	pthread_mutex_destroy(&box->one);
	free(box);
}

int memd_mailbox_fd(const struct memd_mailbox *box)
{
	return box->fd;
}

void memd_mailbox_call(struct memd_mailbox *box, void (*fn)(void *arg), void *arg)
{
	struct call call = { .fn = fn, .arg = arg };
	const uint64_t one = 1;

	sem_init(&call.done, 0, 0);
	pthread_mutex_lock(&box->one);
	/* Pairs with the exchange in memd_mailbox_run(). */
	atomic_store_explicit(&box->call, &call, memory_order_release);
	/* An eventfd that is full is readable as well. */
	(void)!write(box->fd, &one, sizeof(one));
	while (sem_wait(&call.done))
		; /* a signal came */
	pthread_mutex_unlock(&box->one);
	sem_destroy(&call.done);
}

bool memd_mailbox_run(struct memd_mailbox *box)
{
	struct call *call;

	if (!atomic_load_explicit(&box->call, memory_order_relaxed))
		return false;
	/* Pairs with the store in memd_mailbox_call(). */
	call = atomic_exchange_explicit(&box->call, NULL, memory_order_acquire);
	call->fn(call->arg);
	sem_post(&call->done);
	return true;
}
