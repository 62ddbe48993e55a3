/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * memd/mailbox.h - one thread asks another to run something between two rounds.
 */
#ifndef RMNIC_MEMD_MAILBOX_H
#define RMNIC_MEMD_MAILBOX_H

#include <stdbool.h>

#include "common/error.h"

struct memd_mailbox;

struct memd_mailbox *memd_mailbox_create(struct rmnic_error *err);
void memd_mailbox_destroy(struct memd_mailbox *box);
/* Has fn(arg) run by the other thread, and waits until it was. From any number of threads. */
void memd_mailbox_call(struct memd_mailbox *box, void (*fn)(void *arg), void *arg);
/* The other thread: runs what was asked for. True: there was something. */
bool memd_mailbox_run(struct memd_mailbox *box);
/* Readable when something was asked for; an eventfd, which the sleeper clears. */
int memd_mailbox_fd(const struct memd_mailbox *box);

#endif /* RMNIC_MEMD_MAILBOX_H */
