/* SPDX-License-Identifier: BSD-3-Clause */
/* What goes wrong, and how it heals. */
#include <inttypes.h>
#include <string.h>

#include "engine/le.h"
#include "rings.h"

const char *const fault_names[FAULT_COUNT] = {
#define X(id, name, run) name,
	FAULTS(X)
#undef X
};

/* A server that runs; its number, or CLUSTER_SERVERS. */
static unsigned int any_server(struct sim *s)
{
	unsigned int i = (unsigned int)sim_below(s, s->w.nservers);

	return s->w.servers[i].server && !s->servers[i].thaw_at ? i : CLUSTER_SERVERS;
}

/* Mostly short, so that much happens; sometimes longer than anybody waits. */
static uint64_t for_a_while(struct sim *s)
{
	return s->w.net.now + sim_below(s, (sim_one_of(s, 10) ? 3000 : 200) * MS) + 1;
}

static void kill_server(struct sim *s, bool memory)
{
	unsigned int i = any_server(s);

	if (i == CLUSTER_SERVERS)
		return;
	sim_event(s, "server %u dies, %s memory", i, memory ? "keeps" : "loses");
	if (!memory)
		oracle_going(s, i, 0, s->model.npages);
	cluster_server_stop(&s->w, i, memory);
	s->servers[i].up_at = for_a_while(s);
	if (!memory)
		oracle_doom_all(s);
}

static void fault_crash(struct sim *s)
{
	kill_server(s, true);
}

static void fault_lose(struct sim *s)
{
	kill_server(s, false);
}

static void fault_cut(struct sim *s)
{
	unsigned int end = s->w.servers[sim_below(s, s->w.nservers)].end;
	unsigned int way = (unsigned int)sim_below(s, 3);

	s->w.net.cut[s->w.backend][end] = way != 1;
	s->w.net.cut[end][s->w.backend] = way != 0;
	s->heal_at = for_a_while(s);
	sim_event(s, "cable of end %u cut, way %u", end, way);
}

static void fault_stop(struct sim *s)
{
	unsigned int i = any_server(s);

	if (i == CLUSTER_SERVERS)
		return;
	s->w.net.ends[s->w.servers[i].end].frozen = true;
	s->servers[i].thaw_at = for_a_while(s);
	sim_event(s, "server %u is stopped", i);
}

static void fault_slow(struct sim *s)
{
	unsigned int i = (unsigned int)sim_below(s, s->w.nservers);

	s->w.net.ends[s->w.servers[i].end].slow_ns = sim_below(s, 20 * MS);
	s->servers[i].fast_at = for_a_while(s);
	sim_event(s, "server %u is slow", i);
}

/* A bit of a page, of a word that fills one, or of a checksum. */
static void fault_rot(struct sim *s)
{
	unsigned int i = (unsigned int)sim_below(s, s->w.nservers);
	struct rmnic_memstore *ms = s->w.servers[i].store;
	struct rmnic_mem_slab *slab = ms ? &ms->slabs[sim_below(s, ms->cfg.max_slabs)] : NULL;
	uint32_t page = (uint32_t)sim_below(s, CLUSTER_SLAB), bit = (uint32_t)sim_below(s, 4096 * 8);
	struct rmnic_page_meta *meta;

	if (!slab || !slab->handle || slab->dying)
		return;
	meta = &slab->meta[page];
	memnet_settle(&s->w.net, s->w.servers[i].end); /* what is on its way was read already */
	oracle_going(s, i, slab->number * CLUSTER_SLAB + page, 1);
	if ((meta->vstate & RMNIC_RMP_PAGE_STORED) && !sim_one_of(s, 4))
		rmnic_frame_data(ms->frames, meta->body)[bit / 8] ^= (uint8_t)(1u << bit % 8);
	else if ((meta->vstate & RMNIC_RMP_PAGE_FILLED) && sim_one_of(s, 2))
		meta->body ^= rmnic_le32_put(1u << bit % 32);
	else
		meta->crc ^= 1u << bit % 32;
	s->rots[s->nrots++ % ROTS] = (struct sim_rot){
		.server = i, .handle = slab->handle, .page = page, .body = meta->body,
		.crc = meta->crc, .version = meta->vstate >> RMNIC_RMP_VERSION_SHIFT,
	};
	sim_event(s, "server %u: page %" PRIu64 " is damaged at rest", i,
		  slab->number * CLUSTER_SLAB + page);
	if (slab->number < s->block.nslabs)
		oracle_doom(s, slab->number);
}

static void fault_starve(struct sim *s)
{
	unsigned int i = (unsigned int)sim_below(s, s->w.nservers + 1);
	unsigned int end = i == s->w.nservers ? s->w.backend : s->w.servers[i].end;

	s->w.net.ends[end].starved_until = s->w.net.now + sim_below(s, 20 * MS);
	sim_event(s, "end %u has no buffers", end);
}

static void fault_replay(struct sim *s)
{
	unsigned int end = sim_one_of(s, 2) ? s->w.backend :
			   s->w.servers[sim_below(s, s->w.nservers)].end;

	memnet_replay(&s->w.net, end);
	sim_event(s, "end %u sends its old frames once more", end);
}

static void fault_drain(struct sim *s)
{
	unsigned int i = (unsigned int)sim_below(s, s->w.nservers);

	if (s->stalled || s->w.servers[i].unknown)
		return;
	s->servers[i].draining = !s->servers[i].draining;
	if (!oracle_suffices(s))
		s->servers[i].draining = false;
	rmnic_store_remote_drain(s->w.store, s->w.servers[i].peer, s->servers[i].draining);
	sim_event(s, "server %u is %s", i, s->servers[i].draining ? "to be emptied" : "in use");
}

static void fault_add(struct sim *s)
{
	for (unsigned int i = 0; i < s->w.nservers; i++)
		if (s->w.servers[i].unknown) {
			cluster_server_add(&s->w, i);
			sim_event(s, "server %u is added", i);
			return;
		}
}

static void fault_pressure(struct sim *s)
{
	unsigned int i = any_server(s);

	if (i != CLUSTER_SERVERS)
		rmnic_rmp_server_pressure(s->w.servers[i].server, sim_one_of(s, 2));
}

static void fault_jump(struct sim *s)
{
	unsigned int i = (unsigned int)sim_below(s, s->w.nservers + 1);
	unsigned int end = i == s->w.nservers ? s->w.backend : s->w.servers[i].end;

	s->w.net.ends[end].skew += sim_one_of(s, 4) ? sim_below(s, 3600 * SECOND) : sim_below(s, SECOND);
	s->w.servers[i % s->w.nservers].awake = true;
	if (i == s->w.nservers)
		s->trouble = s->w.net.now; /* for whom all time-outs have passed */
	sim_event(s, "the clock of end %u moves on at once", end);
}

/* What a new backend is told by whoever runs it. */
static void tell(struct sim *s)
{
	for (unsigned int i = 0; i < s->w.nservers; i++)
		if (s->servers[i].draining)
			rmnic_store_remote_drain(s->w.store, s->w.servers[i].peer, true);
	s->trouble = s->w.net.now;
	s->wake_at = 0;
	sim_event(s, "backend of epoch %u", s->w.epoch);
}

void faults_backend_up(struct sim *s)
{
	tell(s);
}

static void fault_backend(struct sim *s)
{
	if (s->rings && s->wake_at) {
		rings_kill(s);
		return;
	}
	if (s->rings) {
		rings_fault(s);
		return;
	}
	cluster_stop(&s->w);
	memnet_thaw(&s->w.net, s->w.backend);
	if (!sim_start(s, cluster_start))
		return;
	tell(s);
	s->stalled = true; /* the guest waits */
}

static void fault_pause(struct sim *s)
{
	if (s->wake_at)
		return;
	s->w.net.ends[s->w.backend].frozen = true;
	s->wake_at = for_a_while(s);
	sim_event(s, "the backend is stopped");
}

static void fault_succeed(struct sim *s)
{
	struct sim_op *ops = s->old_ops;

	if (s->stalled || s->wake_at || s->rings || s->w.spill)
		return; /* who has the file open is known to be dead */
	memset(s->junk, 0, sizeof(s->junk));
	s->w.net.ends[s->w.backend].frozen = true;
	s->old_ops = s->ops;
	s->ops = ops;
	memcpy(s->ops, s->old_ops, sizeof(*ops) * MAX_OPS);
	for (unsigned int i = 0; i < MAX_OPS; i++)
		s->ops[i].op.data = s->ops[i].page;
	memset(s->w.net.cut, 0, sizeof(s->w.net.cut));
	if (!sim_start(s, cluster_succeed))
		return;
	memnet_thaw(&s->w.net, s->w.backend);
	s->old_at = UINT64_MAX;
	tell(s);
	s->stalled = true;
}

/* The device advertises more; or it was to be more, and is not. What is used keeps its place. */
static void fault_resize(struct sim *s)
{
	uint64_t pages = 1 + sim_below(s, s->model.npages);

	if (s->stalled || s->rings)
		return;
	if (!rmnic_store_remote_reserve(s->w.store, pages))
		sim_fail(s, "%" PRIu64 " pages cannot be wanted", pages);
	s->w.cfg.reserve = pages; /* of a successor */
	sim_event(s, "%" PRIu64 " pages are wanted", pages);
}

static void fault_disk(struct sim *s)
{
	if (!s->w.spill)
		return;
	s->spill.stuck = true;
	s->disk_at = for_a_while(s);
	sim_event(s, "the disk is stuck");
}

void faults_draw(struct sim *s)
{
	static void (*const run[])(struct sim *) = {
#define X(id, name, f) f,
		FAULTS(X)
#undef X
	};
	uint64_t what = sim_below(s, 40000);
	unsigned int i = 0;

	if (what >= s->weights)
		return;
	for (; what >= s->weight[i]; i++)
		what -= s->weight[i];
	s->counts[i]++;
	run[i](s);
}

/* --- Healing -------------------------------------------------------------------------------------- */

/* A new backend does not know the server yet; for so long that may be. */
static bool not_met(struct sim *s, unsigned int i)
{
	struct rmnic_peer_info info;

	if (s->w.servers[i].unknown || s->w.net.now - s->trouble > 2 * SECOND)
		return s->w.servers[i].unknown;
	rmnic_rmp_client_peer(rmnic_store_remote_client(s->w.store), s->w.servers[i].peer, &info);
	return info.state != RMNIC_PEER_READY;
}

static void heal_server(struct sim *s, unsigned int i, bool all)
{
	struct sim_server *v = &s->servers[i];
	struct memnet_end *e = &s->w.net.ends[s->w.servers[i].end];
	bool starts;

	if (!s->w.servers[i].server || e->frozen || e->slow_ns || e->starved_until > s->w.net.now ||
	    s->w.net.cut[s->w.backend][e->index] || s->w.net.cut[e->index][s->w.backend] ||
	    not_met(s, i))
		v->trouble = s->w.net.now;
	if (!s->w.servers[i].server && (all || v->up_at <= s->w.net.now)) {
		s->w.net.fail_alloc = !all && sim_one_of(s, 8) ? 1 + (unsigned int)sim_below(s, 12) : 0;
		starts = cluster_server_start(&s->w, i);
		s->w.net.fail_alloc = 0;
		sim_event(s, "server %u %s", i, starts ? "is back" : "has no memory to start with");
		v->up_at = starts ? 0 : for_a_while(s);
	}
	if (v->thaw_at && (all || v->thaw_at <= s->w.net.now)) {
		v->thaw_at = 0;
		memnet_thaw(&s->w.net, e->index);
		s->w.servers[i].awake = true;
		sim_event(s, "server %u goes on", i);
	}
	if (all || v->fast_at <= s->w.net.now)
		e->slow_ns = 0;
	if (all && s->w.servers[i].server)
		rmnic_rmp_server_pressure(s->w.servers[i].server, false);
	if (all)
		e->starved_until = 0;
}

static void heal_backend(struct sim *s, bool all)
{
	struct cluster_seat *old = cluster_old(&s->w);

	if (s->wake_at || s->w.net.ends[s->w.backend].starved_until > s->w.net.now)
		s->trouble = s->w.net.now;
	if (s->wake_at && (all || s->wake_at <= s->w.net.now)) {
		s->wake_at = 0;
		memnet_thaw(&s->w.net, s->w.backend);
		sim_event(s, "the backend goes on");
	}
	/* QEMU has nobody served before the successor is ready (STATE-20); some may not know of it. */
	if (old && s->old_at == UINT64_MAX && !s->stalled)
		s->old_at = for_a_while(s);
	if (old && s->old_at && s->old_at <= s->w.net.now) {
		s->old_at = 0;
		memnet_thaw(&s->w.net, old->end);
		sim_event(s, "the backend that has a successor goes on");
		guest_old_writes(s);
	}
	if (all)
		s->w.net.ends[s->w.backend].starved_until = 0;
	if (s->spill.stuck)
		s->disk_trouble = s->w.net.now;
	if (all || s->disk_at <= s->w.net.now)
		s->spill.stuck = false;
}

void faults_heal(struct sim *s, bool all)
{
	for (unsigned int i = 0; i < s->w.nservers; i++)
		heal_server(s, i, all);
	heal_backend(s, all);
	if (all || (s->heal_at && s->heal_at <= s->w.net.now)) {
		memset(s->w.net.cut, 0, sizeof(s->w.net.cut));
		s->heal_at = 0;
	}
}
