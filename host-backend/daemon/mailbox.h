/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * daemon/mailbox.h - messages to one thread: the control thread, or a worker lcore.
 *
 * A message is a structure of its sender's, who leaves it alone until it was run. Posting
 * takes no lock and allocates nothing. The receiver runs what has come between two rounds
 * of its own work, and is woken by an eventfd.
 */
#ifndef RMNIC_DAEMON_MAILBOX_H
#define RMNIC_DAEMON_MAILBOX_H

#include <stdbool.h>

#include "common/error.h"

struct rmnic_mailbox;

struct rmnic_msg {
	void (*run)(struct rmnic_msg *msg); /* in the receiver's thread */
	void *arg;
};

/* name: of the ring, unique in the process. NULL: err. */
struct rmnic_mailbox *rmnic_mailbox_create(const char *name, struct rmnic_error *err);
void rmnic_mailbox_destroy(struct rmnic_mailbox *box);
/*
 * From any thread. A message MUST NOT be posted again before it was run; so a ring has room for
 * all there are (a few for each device, of which there are RMNIC_MAX_DEVICES at most).
 */
void rmnic_mailbox_post(struct rmnic_mailbox *box, struct rmnic_msg *msg);
/* Runs what is there, in the receiver's thread. True: there was something. */
bool rmnic_mailbox_run(struct rmnic_mailbox *box);
/* An eventfd, readable while there may be something; rmnic_mailbox_clear() reads it. */
int rmnic_mailbox_fd(const struct rmnic_mailbox *box);
void rmnic_mailbox_clear(struct rmnic_mailbox *box);

#endif /* RMNIC_DAEMON_MAILBOX_H */
