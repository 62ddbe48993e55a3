/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The generator in the backend's own lcore: rmnicd's engine, store and ports in this process, the
 * generator called once a round. What is measured is the path of a page without a wake-up or a
 * change of thread at the generator's end.
 */
#include <errno.h>
#include <fcntl.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "daemon/backend.h"
#include "engine/le.h"
#include "tools/bench/load.h"
#include "tools/bench/options.h"
#include "tools/bench/state.h"

struct inside {
	struct bench_link link;
	struct rmnic_config config;
	sd_event *event;
	struct rmnic_backend backend;
	bool opened;
	struct bench_state state;
	struct rmnic_vdev *vdev;
	struct rmnic_vdev_reply reply;
	bool done, ended;
	uint32_t fatal;
	uint64_t timeout_us;
	int kick_fd;
	/* The run under way; the worker's between the two posts. */
	struct bench_load *load;
	struct rmnic_error *err;
	enum bench_step step;
	sem_t over;
};

/* --- The device's answers ------------------------------------------------------------------------------- */

static void on_done(void *arg, const struct rmnic_vdev_reply *reply)
{
	struct inside *in = arg;

	in->reply = *reply;
	in->done = true;
}

static void on_fatal(void *arg, uint32_t error, uint32_t generation)
{
	(void)generation;
	((struct inside *)arg)->fatal = error;
}

static void on_lost(void *arg, uint16_t status, const char *why)
{
	struct inside *in = arg;

	in->reply = (struct rmnic_vdev_reply){ .status = status };
	rmnic_error_set(&in->reply.text, "%s", why);
	in->done = true;
}

static void on_ended(void *arg)
{
	((struct inside *)arg)->ended = true;
}

static const struct rmnic_vdev_ops vdev_ops = {
	.done = on_done,
	.fatal = on_fatal,
	.lost = on_lost,
	.ended = on_ended,
};

/* Runs the control thread's loop until *flag. 0, or -1 with err. */
static int await(struct inside *in, const bool *flag, const char *what, struct rmnic_error *err)
{
	uint64_t limit = bench_now() / 1000 + in->timeout_us;

	while (!*flag) {
		int ret = sd_event_run(in->event, 100000);

		if (ret < 0)
			return rmnic_error_set(err, "event loop: %s", strerror(-ret));
		if (bench_now() / 1000 > limit)
			return rmnic_error_set(err, "%s: no answer within %llu s", what,
					       (unsigned long long)(in->timeout_us / 1000000));
	}
	return 0;
}

static int answered(struct inside *in, const char *what, struct rmnic_error *err)
{
	if (await(in, &in->done, what, err))
		return -1;
	in->done = false;
	return in->reply.status ? rmnic_error_set(err, "%s was refused: %s", what, in->reply.text.text) : 0;
}

/* --- The link --------------------------------------------------------------------------------------------- */

static int inside_enable(struct bench_link *link, const struct bench_enabling *e,
			 struct rmnic_error *err)
{
	struct inside *in = (struct inside *)link;
	struct rmnic_user_enable enable = {
		.drv_features = rmnic_le64_put(e->features),
		.aq_sq = rmnic_le64_put(e->sq),
		.aq_cq = rmnic_le64_put(e->cq),
		.aq_rec = rmnic_le64_put(e->rec),
		.aq_depth = rmnic_le32_put(e->depth),
		.generation = rmnic_le32_put(1),
	};

	rmnic_vdev_enable(in->vdev, &enable);
	if (answered(in, "enabling", err))
		return -1;
	return in->reply.dev_error ? rmnic_error_set(err, "the device refused to be enabled: error %u",
						     in->reply.dev_error) : 0;
}

static void inside_kick(struct bench_link *link)
{
	uint64_t one = 1;

	/* It only says "look"; one that is there already says it as well. */
	if (write(((struct inside *)link)->kick_fd, &one, sizeof(one)) < 0)
		return;
}

static bool inside_turn(struct bench_link *link)
{
	return !((struct inside *)link)->fatal;
}

/* In the worker, once a round. */
static bool poller(void *arg)
{
	struct inside *in = arg;

	if (in->step == BENCH_STEP_END || in->step == BENCH_STEP_BAD)
		return false;
	in->step = bench_load_step(in->load, in->err);
	if (in->step == BENCH_STEP_BUSY || in->step == BENCH_STEP_IDLE)
		return in->step == BENCH_STEP_BUSY;
	sem_post(&in->over);
	return true;
}

static int inside_run(struct bench_link *link, struct bench_load *load, struct rmnic_error *err)
{
	struct inside *in = (struct inside *)link;

	in->load = load;
	in->err = err;
	in->step = BENCH_STEP_BUSY;
	rmnic_worker_poller(in->backend.workers[0], poller, in);
	/* Ends by the load's own limits or by a signal, which the load sees too. */
	while (sem_wait(&in->over))
		;
	rmnic_worker_poller(in->backend.workers[0], NULL, NULL);
	return in->step == BENCH_STEP_END ? 0 : -1;
}

static int inside_stats(struct bench_link *link, struct rmnic_stats *out, struct rmnic_error *err)
{
	struct inside *in = (struct inside *)link;

	rmnic_vdev_stats(in->vdev);
	if (answered(in, "statistics", err))
		return -1;
	*out = in->reply.stats;
	return 0;
}

static void inside_close(struct bench_link *link)
{
	struct inside *in = (struct inside *)link;
	struct rmnic_error err;

	if (in->vdev) {
		rmnic_vdev_end(in->vdev, true);
		if (await(in, &in->ended, "ending the device", &err))
			fprintf(stderr, "rmnic-bench: %s\n", err.text);
	}
	if (in->opened)
		rmnic_backend_close(&in->backend);
	bench_state_destroy(&in->state);
	if (in->kick_fd >= 0)
		close(in->kick_fd);
	sd_event_unref(in->event);
	sem_destroy(&in->over);
	free(in);
}

static const struct bench_link_ops inside_ops = {
	.enable = inside_enable,
	.kick = inside_kick,
	.turn = inside_turn,
	.run = inside_run,
	.stats = inside_stats,
	.close = inside_close,
};

/* --- Setting up ------------------------------------------------------------------------------------------- */

/* rmnicd's own defaults, and what we were told. */
static int configure(struct inside *in, const struct bench_options *o, struct rmnic_error *err)
{
	char *argv[] = { (char *)"rmnicd", (char *)"--config=/dev/null", NULL };

	if (rmnic_conf_parse(&rmnic_config_program, 2, argv, &in->config, err) != RMNIC_CONF_OK)
		return -1;
	in->config.ports = o->ports;
	in->config.servers = o->servers;
	in->config.poll = o->poll;
	in->config.memory_mib = o->memory_mib;
	in->config.no_huge = o->no_huge;
	in->config.cpus = o->cpus;
	in->config.lcores = 1;
	return 0;
}

static int make_device(struct inside *in, const struct bench_shape *shape, struct rmnic_error *err)
{
	struct rmnic_user_device device;
	struct rmnic_user_state state = { .size = 0 };
	uint16_t status;

	if (bench_state_create(&in->state, shape, err))
		return -1;
	bench_state_device(&in->state, shape, ++in->link.epoch, RMNIC_VDEV_FEATURES, &device);
	/* The device unmaps what it is given; ours stays. */
	state.size = in->state.size;
	state.map = mmap(NULL, state.size, PROT_READ | PROT_WRITE, MAP_SHARED, in->state.fd, 0);
	if (state.map == MAP_FAILED)
		return rmnic_error_set(err, "mapping the state block: %s", strerror(errno));
	in->vdev = rmnic_vdev_create(&in->backend, &device, &state, &vdev_ops, in, &status, err);
	return in->vdev ? answered(in, "the device", err) : -1;
}

static int hand_over(struct inside *in, const struct bench_guest *guest, struct rmnic_error *err)
{
	int ram = fcntl(guest->fd, F_DUPFD_CLOEXEC, 0);
	int kick;

	in->kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	kick = fcntl(in->kick_fd, F_DUPFD_CLOEXEC, 0);
	if (ram < 0 || kick < 0)
		return rmnic_error_set(err, "descriptors: %s", strerror(errno));
	rmnic_vdev_mem_add(in->vdev, BENCH_GUEST_BASE, guest->size, 0, ram);
	if (answered(in, "the guest's memory", err))
		return -1;
	rmnic_vdev_kick(in->vdev, kick);
	return answered(in, "the doorbell", err);
}

struct bench_link *bench_link_inside(const struct bench_options *options,
				     const struct bench_shape *shape,
				     const struct bench_guest *guest, struct rmnic_error *err)
{
	struct inside *in = calloc(1, sizeof(*in));

	if (!in) {
		rmnic_error_set(err, "out of memory");
		return NULL;
	}
	in->link = (struct bench_link){ .ops = &inside_ops, .kind = "inside", .backend = "this process",
					.features = RMNIC_VDEV_FEATURES };
	in->state.fd = in->kick_fd = -1;
	in->timeout_us = options->timeout_s * 1000000;
	sem_init(&in->over, 0, 0);
	if (sd_event_new(&in->event) < 0) {
		rmnic_error_set(err, "no event loop can be made");
	} else if (!configure(in, options, err)) {
		in->opened = true;
		if (!rmnic_backend_open(&in->backend, &in->config, in->event, err) &&
		    !make_device(in, shape, err) && !hand_over(in, guest, err))
			return &in->link;
	}
	inside_close(&in->link);
	return NULL;
}
