/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A death is a step before which the process ends. The state block and the guest's memory are
 * copied there and the process runs on to a place where it can be taken down in order; nothing
 * that it sends after the step leaves it, and the two are put back as they were.
 */
#include "rings.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "engine/internal.h"
#include "engine/step.h"

#define GUEST_BASE  0x100000u
#define GUEST_SIZE  (128u * 4096)
#define QUIET_STEPS 400 /* a death comes at one of the next so many steps */

static struct sim *current; /* of the hook; one run at a time */

/* --- The host ------------------------------------------------------------------------------------ */

void *driver_at(struct sim *s, uint64_t addr)
{
	return s->rings->guest + (addr - GUEST_BASE);
}

static bool map(void *host, uint64_t addr, uint32_t len, bool write, struct rmnic_mapping *out)
{
	if (addr < GUEST_BASE || addr - GUEST_BASE >= GUEST_SIZE ||
	    len > GUEST_SIZE - (addr - GUEST_BASE))
		return false;
	*out = (struct rmnic_mapping){ .ptr = driver_at(host, addr), .addr = addr, .len = len,
				       .write = write };
	return true;
}

static void unmap(void *host, struct rmnic_mapping *m, uint32_t written)
{
	(void)host;
	(void)m;
	(void)written;
}

static void written(void *host, const struct rmnic_mapping *m, uint32_t offset, uint32_t len)
{
	(void)host;
	(void)m;
	(void)offset;
	(void)len;
}

static void irq(void *host, uint16_t vector)
{
	struct sim *s = host;

	(void)vector;
	if (sim_below(s, 1000) >= s->rings->lost)
		s->rings->raised = true;
}

static uint64_t now_ns(void *host)
{
	const struct memnet *net = &((struct sim *)host)->w.net;

	return net->now + net->ends[((struct sim *)host)->w.backend].skew;
}

static void membarrier(void *host)
{
	(void)host;
}

static void refused(void *host, enum rmnic_refusal why, uint16_t qid, uint16_t cid, uint64_t value)
{
	sim_fail(host, "the device refuses command %u of pair %u: %s, value %#llx", cid, qid,
		 rmnic_refusal_names[why], (unsigned long long)value);
}

static void fatal(void *host, uint32_t error)
{
	sim_fail(host, "the device is FATAL, error %u", error);
}

static const struct rmnic_host_ops ops = {
	.map = map,
	.unmap = unmap,
	.written = written,
	.irq = irq,
	.now_ns = now_ns,
	.membarrier = membarrier,
	.refused = refused,
	.fatal = fatal,
};

/* --- Life and death ------------------------------------------------------------------------------- */

static bool not_from_the_dead(void *arg, struct memnet_packet *p)
{
	struct sim *s = arg;

	return p->from != s->w.backend;
}

static void step(void)
{
	struct rings *r = current->rings;

	if (r->doomed || !r->die_in || --r->die_in)
		return;
	r->doomed = true;
	memcpy(r->saved_guest, r->guest, GUEST_SIZE);
	memcpy(r->saved_state, current->w.state, current->w.state_size);
	if (current->w.spill) {
		memspill_die(&current->spill);
		current->spill.dead = true;
	}
	current->w.net.filter = not_from_the_dead;
	current->w.net.filter_arg = current;
	current->w.net.ends[current->w.backend].open = NULL; /* nor does anything go with what was sent before */
}

void rings_kill(struct sim *s)
{
	struct rings *r = s->rings;

	if (r->dev) {
		r->dev->state = RMNIC_DEV_DISABLED; /* it does nothing in the end, least of all in order */
		rmnic_dev_destroy(r->dev);
		r->dev = NULL;
	}
	cluster_stop(&s->w);
	s->w.net.filter = NULL;
	s->spill.dead = false;
	if (r->doomed) {
		memcpy(r->guest, r->saved_guest, GUEST_SIZE);
		memcpy(s->w.state, r->saved_state, s->w.state_size);
	}
	r->doomed = r->asleep = r->slept = false;
	r->die_in = 0;
	r->deaths++;
	memnet_thaw(&s->w.net, s->w.backend);
	/* A successor may die as well, in the middle of taking over. */
	if (s->faults && sim_below(s, 3) == 0)
		r->die_in = 1 + (unsigned int)sim_below(s, 100);
	if (!sim_start(s, cluster_start))
		return;
	faults_backend_up(s);
	if (rings_dead(s)) /* in the middle of it: before anybody looks at what it left */
		return;
	if (s->faults && sim_one_of(s, 8))
		driver_reset(s); /* while nobody was there */
}

bool rings_dead(struct sim *s)
{
	if (!s->rings->doomed)
		return false;
	sim_event(s, "the backend dies at a step");
	rings_kill(s);
	return true;
}

static void enable(struct sim *s)
{
	struct rings *r = s->rings;
	const struct rmnic_dev_enabling e = {
		.aq_sq = r->pair[0].sq, .aq_cq = r->pair[0].cq, .aq_rec = r->pair[0].rec,
		.aq_depth = r->pair[0].depth, .generation = r->generation,
	};
	struct rmnic_dev_config c = {
		.ops = &ops, .host = s, .store = s->w.store, .max_qpairs = RINGS_PAIRS - 1,
		.max_depth = RINGS_DEPTH, .vectors = 1, .slab_pages = CLUSTER_SLAB,
		.capacity = s->model.npages, .max_capacity = s->model.npages, .block = &r->block,
	};
	uint32_t error;

	memcpy(c.uuid, s->w.cfg.device, 16);
	if (rmnic_state_attach(&r->block, s->w.state, s->w.state_size, s->w.cfg.device))
		abort();
	if (!r->dev)
		r->dev = rmnic_dev_create(&c);
	if (!r->dev)
		abort();
	r->asleep = false;
	error = rmnic_dev_enable_recorded(r->dev, &e);
	if (error)
		sim_fail(s, "the device cannot be enabled: error %u, %s", error,
			 rmnic_dev_why(r->dev) ? rmnic_dev_why(r->dev) : "the guest's fault");
}

/* When it wakes by itself: at a deadline, and soon where eventfds get lost (USER-12). */
static uint64_t wake_up_at(struct sim *s)
{
	uint64_t at = rmnic_dev_deadline(s->rings->dev);
	uint64_t store = rmnic_store_remote_deadline(s->w.store);
	uint64_t skew = s->w.net.ends[s->w.backend].skew;

	if (store < at)
		at = store;
	if (at != UINT64_MAX)
		at = at > skew ? at - skew : 0;
	return s->rings->lost && s->w.net.now + MS < at ? s->w.net.now + MS : at;
}

static bool wakes(struct sim *s)
{
	struct rings *r = s->rings;

	if (s->w.net.ends[s->w.backend].frozen)
		return false;
	if (r->asleep && s->w.net.now < r->wake_at &&
	    s->w.net.ends[s->w.backend].received == r->heard)
		return false;
	if (r->slept && r->dev)
		rmnic_dev_sleep_end(r->dev);
	r->asleep = r->slept = false;
	return true;
}

static void go_to_sleep(struct sim *s)
{
	struct rings *r = s->rings;

	if (!r->sleeps || !r->dev || r->doomed)
		return;
	if (s->faults && sim_one_of(s, 4)) { /* a command comes just now, and rings no bell */
		driver_begin(s);
		driver_run(s);
	}
	if (!rmnic_dev_sleep_begin(r->dev))
		return;
	r->asleep = r->slept = true;
	r->wake_at = wake_up_at(s);
	r->heard = s->w.net.ends[s->w.backend].received;
}

void rings_poll(struct sim *s)
{
	struct rings *r = s->rings;

	if (s->failure[0] || !wakes(s))
		return;
	if (!r->dev && rmnic_store_remote_status(s->w.store, NULL) == RMNIC_REMOTE_READY)
		enable(s);
	for (unsigned int i = 0; r->dev && !r->doomed && i < 1000 && rmnic_dev_poll(r->dev); i++)
		;
	if (!rings_dead(s))
		go_to_sleep(s);
}

void rings_fault(struct sim *s)
{
	struct rings *r = s->rings;

	switch (sim_below(s, 8)) {
	case 0:
		sim_event(s, "the backend dies");
		rings_kill(s);
		break;
	case 1: /* stopped, and started again */
		if (!r->dev)
			break;
		sim_event(s, "suspended");
		rmnic_dev_suspend(r->dev);
		if (!rings_dead(s))
			enable(s);
		break;
	case 2:
		sim_event(s, "the guest resets the device");
		if (r->dev)
			rmnic_dev_disable(r->dev);
		rings_dead(s); /* in the middle of it; the guest's reset takes place all the same */
		driver_reset(s);
		if (r->dev)
			enable(s);
		break;
	default:
		r->die_in = 1 + (unsigned int)sim_below(s, QUIET_STEPS);
	}
	rings_dead(s);
}

/* --- Beginning and end ------------------------------------------------------------------------------ */

void rings_init(struct sim *s)
{
	struct rings *r = calloc(1, sizeof(*r));

	if (!r)
		abort();
	r->guest = calloc(1, GUEST_SIZE);
	r->saved_guest = malloc(GUEST_SIZE);
	r->saved_state = malloc(s->w.state_size);
	if (!r->guest || !r->saved_guest || !r->saved_state)
		abort();
	s->rings = r;
	r->sleeps = sim_one_of(s, 2);
	r->irqs = sim_one_of(s, 2);
	r->lost = sim_one_of(s, 3) ? (unsigned int)sim_below(s, 300) : 0;
	current = s;
	rmnic_step_hook = step;
	driver_reset(s);
}

void rings_fini(struct sim *s)
{
	struct rings *r = s->rings;

	rmnic_step_hook = NULL;
	if (!r)
		return;
	rmnic_dev_destroy(r->dev);
	free(r->saved_state);
	free(r->saved_guest);
	free(r->guest);
	free(r);
	s->rings = NULL;
}

void rings_audit(struct sim *s)
{
	struct rings *r = s->rings;

	for (uint32_t i = 0; i < r->block.nqueues; i++)
		for (uint32_t cid = 0; cid < r->block.queues[i].depth; cid++)
			if (r->block.flights[i * r->block.depth + cid].state)
				sim_fail(s, "command %u of pair %u has ended and is in flight for a successor",
					 cid, i);
	/* STATE-16: redriven and held, or settled. */
	for (uint64_t rpn = 0; rpn < r->block.npages; rpn++)
		if (rmnic_state_page(&r->block, rpn) & RMNIC_STATE_PAGE_WRITING)
			sim_fail(s, "page %" PRIu64 " is said to be written, and nobody writes it", rpn);
}
