/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/mailbox.h"

#include <errno.h>
#include <rte_ring.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define RING_SIZE 4096
#define BURST     32

struct rmnic_mailbox {
	struct rte_ring *ring;
	int fd;
};

struct rmnic_mailbox *rmnic_mailbox_create(const char *name, struct rmnic_error *err)
{
	struct rmnic_mailbox *box = calloc(1, sizeof(*box));

	if (!box) {
		rmnic_error_set(err, "no memory for the mailbox %s", name);
		return NULL;
	}
	box->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	box->ring = rte_ring_create(name, RING_SIZE, SOCKET_ID_ANY, RING_F_SC_DEQ);
	if (box->fd < 0 || !box->ring) {
		rmnic_error_set(err, "cannot make the mailbox %s: %s", name, strerror(errno));
		rmnic_mailbox_destroy(box);
		return NULL;
	}
	return box;
}

void rmnic_mailbox_destroy(struct rmnic_mailbox *box)
{
	if (!box)
		return;
	rte_ring_free(box->ring);
	if (box->fd >= 0)
		close(box->fd);
	free(box);
}

void rmnic_mailbox_post(struct rmnic_mailbox *box, struct rmnic_msg *msg)
{
	uint64_t one = 1;
	ssize_t n;

	/* INVARIANT: the ring holds every message there is, so this ends at once. */
	while (rte_ring_mp_enqueue(box->ring, msg))
		;
	do
		n = write(box->fd, &one, sizeof(one));
	while (n < 0 && errno == EINTR);
}

bool rmnic_mailbox_run(struct rmnic_mailbox *box)
{
	void *msg[BURST];
	unsigned int n;

	if (rte_ring_empty(box->ring))
		return false;
	n = rte_ring_sc_dequeue_burst(box->ring, msg, BURST, NULL);
	for (unsigned int i = 0; i < n; i++)
		((struct rmnic_msg *)msg[i])->run(msg[i]);
	return n != 0;
}

int rmnic_mailbox_fd(const struct rmnic_mailbox *box)
{
	return box->fd;
}

void rmnic_mailbox_clear(struct rmnic_mailbox *box)
{
	uint64_t count;
	ssize_t n = read(box->fd, &count, sizeof(count));

	(void)n; /* nothing to read is as good */
}
