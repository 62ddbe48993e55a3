/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A spill file by io_uring. Entries are told to the kernel once a round, all of them together; their
 * ends are fetched in the same call and wake a worker that sleeps.
 */
#include <errno.h>
#include <linux/falloc.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "daemon/spill_internal.h"

#define ENTRIES 512

/* What an end is of, when it is not of a struct rmnic_spill_io. */
static char room_tag, punch_tag;

static int refused(struct rmnic_error *err, int error)
{
	if (error == EPERM || error == ENOSYS || error == EACCES)
		return rmnic_error_set(err, "spill_dir: io_uring is not allowed here (%s): set "
				       "kernel.io_uring_disabled=0, or have the container's seccomp "
				       "profile allow it", strerror(error));
	return rmnic_error_set(err, "spill_dir: io_uring: %s", strerror(error));
}

int rmnic_spill_ring_check(struct rmnic_error *err)
{
	struct io_uring ring;
	int ret = io_uring_queue_init(2, &ring, 0);

	if (ret)
		return refused(err, -ret);
	io_uring_queue_exit(&ring);
	return 0;
}

int rmnic_spill_ring_open(struct rmnic_spill *s, struct rmnic_error *err)
{
	struct io_uring_params params = { .flags = IORING_SETUP_CQSIZE,
					  .cq_entries = RMNIC_SPILL_IN_FLIGHT };
	int ret;

	s->event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (s->event < 0)
		return rmnic_error_set(err, "an eventfd for the spill file: %s", strerror(errno));
	ret = io_uring_queue_init_params(ENTRIES, &s->ring, &params);
	if (ret)
		return refused(err, -ret);
	s->ring_open = true;
	ret = io_uring_register_eventfd(&s->ring, s->event);
	return ret ? refused(err, -ret) : 0;
}

void rmnic_spill_ring_close(struct rmnic_spill *s)
{
	if (s->ring_open)
		io_uring_queue_exit(&s->ring);
	if (s->event >= 0)
		close(s->event);
}

static void tell_kernel(struct rmnic_spill *s)
{
	int sent = io_uring_submit(&s->ring);

	s->unsent -= sent > 0 ? (uint32_t)sent : 0;
}

bool rmnic_spill_ring_begin(struct rmnic_spill *s, const struct rmnic_spill_job *job)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&s->ring);
	uint32_t len = (uint32_t)job->len;

	if (!sqe) {
		tell_kernel(s);
		sqe = io_uring_get_sqe(&s->ring);
	}
	if (!sqe)
		return false;
	switch (job->what) {
	case RMNIC_SPILL_READ:
		io_uring_prep_read(sqe, s->fd, job->io->data, len, job->offset);
		break;
	case RMNIC_SPILL_WRITE:
		io_uring_prep_write(sqe, s->fd, job->io->data, len, job->offset);
		break;
	case RMNIC_SPILL_ROOM:
		io_uring_prep_fallocate(sqe, s->fd, 0, (off_t)job->offset, (off_t)job->len);
		break;
	case RMNIC_SPILL_PUNCH:
		io_uring_prep_fallocate(sqe, s->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
					(off_t)job->offset, (off_t)job->len);
		break;
	}
	if (job->io)
		io_uring_sqe_set_data(sqe, job->io);
	else
		io_uring_sqe_set_data(sqe, job->what == RMNIC_SPILL_ROOM ? &room_tag : &punch_tag);
	s->unsent++;
	return true;
}

static void ended(struct rmnic_spill *s, void *data, int res)
{
	struct rmnic_spill_io *io = data;

	if (data == &room_tag)
		rmnic_spill_ended(s, RMNIC_SPILL_ROOM, NULL, res);
	else if (data == &punch_tag)
		rmnic_spill_ended(s, RMNIC_SPILL_PUNCH, NULL, res);
	else
		rmnic_spill_ended(s, io->write ? RMNIC_SPILL_WRITE : RMNIC_SPILL_READ, io, res);
}

bool rmnic_spill_ring_collect(struct rmnic_spill *s)
{
	struct io_uring_cqe *cqe;
	bool work;

	if (s->unsent)
		tell_kernel(s);
	work = s->unsent != 0; /* the kernel is short of something: again, at once */
	/* As many as there are now: what their ends begin is for the next round. */
	for (unsigned int n = io_uring_cq_ready(&s->ring); n; n--) {
		void *data;
		int res;

		if (io_uring_peek_cqe(&s->ring, &cqe))
			break;
		data = io_uring_cqe_get_data(cqe);
		res = cqe->res;
		io_uring_cqe_seen(&s->ring, cqe);
		ended(s, data, res);
		work = true;
	}
	return work;
}
