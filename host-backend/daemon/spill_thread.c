/* SPDX-License-Identifier: BSD-3-Clause */
/* A spill file by a thread of its own, which does one job after the other. */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/mailbox.h"
#include "daemon/spill_internal.h"

struct job {
	struct rmnic_msg msg; /* first: there and back */
	struct rmnic_spill *spill;
	struct rmnic_spill_job todo;
	int res;
	struct job *next; /* free ones; the worker's */
};

struct rmnic_spill_thread {
	pthread_t id;
	bool running;
	bool stop; /* the thread's own */
	struct rmnic_mailbox *there, *back;
	struct rmnic_msg ending;
	struct job *free;
	struct job jobs[RMNIC_SPILL_IN_FLIGHT];
};

/* --- In the thread -------------------------------------------------------------------------------- */

static int do_job(int fd, const struct rmnic_spill_job *todo)
{
	const int punch = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
	off_t offset = (off_t)todo->offset;
	ssize_t n = 0;

	switch (todo->what) {
	case RMNIC_SPILL_READ:
		n = pread(fd, todo->io->data, todo->len, offset);
		break;
	case RMNIC_SPILL_WRITE:
		n = pwrite(fd, todo->io->data, todo->len, offset);
		break;
	case RMNIC_SPILL_ROOM:
		n = fallocate(fd, 0, offset, (off_t)todo->len);
		break;
	case RMNIC_SPILL_PUNCH:
		n = fallocate(fd, punch, offset, (off_t)todo->len);
		break;
	}
	return n < 0 ? -errno : (int)n;
}

static void job_back(struct rmnic_msg *msg);

static void job_there(struct rmnic_msg *msg)
{
	struct job *job = (struct job *)msg;

	job->res = do_job(job->spill->fd, &job->todo);
	msg->run = job_back;
	rmnic_mailbox_post(job->spill->thread->back, msg);
}

static void end_there(struct rmnic_msg *msg)
{
	struct rmnic_spill_thread *t = msg->arg;

	t->stop = true;
}

static void *loop(void *arg)
{
	struct rmnic_spill_thread *t = arg;
	struct pollfd fd = { .fd = rmnic_mailbox_fd(t->there), .events = POLLIN };

	while (!t->stop) {
		poll(&fd, 1, -1);
		rmnic_mailbox_clear(t->there);
		while (rmnic_mailbox_run(t->there))
			;
	}
	return NULL;
}

/* --- In the worker ---------------------------------------------------------------------------------- */

static void job_back(struct rmnic_msg *msg)
{
	struct job *job = (struct job *)msg;
	struct rmnic_spill_job todo = job->todo;
	struct rmnic_spill *s = job->spill;

	job->next = s->thread->free;
	s->thread->free = job;
	rmnic_spill_ended(s, todo.what, todo.io, job->res);
}

bool rmnic_spill_thread_begin(struct rmnic_spill *s, const struct rmnic_spill_job *todo)
{
	struct rmnic_spill_thread *t = s->thread;
	struct job *job = t->free;

	if (!job)
		return false;
	t->free = job->next;
	job->spill = s;
	job->todo = *todo;
	job->msg.run = job_there;
	rmnic_mailbox_post(t->there, &job->msg);
	return true;
}

bool rmnic_spill_thread_collect(struct rmnic_spill *s)
{
	return rmnic_mailbox_run(s->thread->back);
}

/* --- Opening ------------------------------------------------------------------------------------------ */

int rmnic_spill_thread_open(struct rmnic_spill *s, struct rmnic_error *err)
{
	static unsigned int number; /* the control thread's: names are unique in the process */
	struct rmnic_spill_thread *t = calloc(1, sizeof(*t));
	char name[32];
	int ret;

	if (!t)
		return rmnic_error_set(err, "no memory for the spill file's thread");
	s->thread = t;
	for (int i = 0; i < RMNIC_SPILL_IN_FLIGHT; i++) {
		t->jobs[i].next = t->free;
		t->free = &t->jobs[i];
	}
	snprintf(name, sizeof(name), "rmnic-spill-%u", number++);
	t->there = rmnic_mailbox_create(name, err);
	snprintf(name, sizeof(name), "rmnic-spill-%u", number++);
	t->back = t->there ? rmnic_mailbox_create(name, err) : NULL;
	if (!t->back)
		return -1;
	s->event = rmnic_mailbox_fd(t->back);
	ret = pthread_create(&t->id, NULL, loop, t);
	if (ret)
		return rmnic_error_set(err, "a thread for the spill file: %s", strerror(ret));
	t->running = true;
	return 0;
}

void rmnic_spill_thread_close(struct rmnic_spill *s)
{
	struct rmnic_spill_thread *t = s->thread;

	if (t->running) {
		t->ending = (struct rmnic_msg){ .run = end_there, .arg = t };
		rmnic_mailbox_post(t->there, &t->ending);
		pthread_join(t->id, NULL);
	}
	rmnic_mailbox_destroy(t->there);
	rmnic_mailbox_destroy(t->back);
	free(t);
}
