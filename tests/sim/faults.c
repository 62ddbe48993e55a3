/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "rings.h"

static void restart_backend(struct sim *s)
{
	if (s->rings) {
		rings_fault(s);
		return;
	}
	cluster_stop(&s->w);
	if (!cluster_start(&s->w)) {
		sim_fail(s, "the backend does not start: %s", s->w.why);
		return;
	}
	s->restarts++;
	sim_event(s, "backend of epoch %u", s->w.epoch);
	s->stalled = true; /* the guest waits */
}

static void crash_server(struct sim *s, bool memory)
{
	unsigned int i = (unsigned int)sim_below(s, s->w.nservers);

	if (!s->w.servers[i].server)
		return;
	sim_event(s, "server %u dies, %s memory", i, memory ? "keeps" : "loses");
	cluster_server_stop(&s->w, i, memory);
	s->up_at[i] = s->w.net.now + sim_below(s, 400 * MS);
	s->crashes++;
}

static void cut_cable(struct sim *s)
{
	unsigned int end_ = s->w.servers[sim_below(s, s->w.nservers)].end;
	unsigned int way = (unsigned int)sim_below(s, 3);

	s->w.net.cut[s->w.backend][end_] = way != 1;
	s->w.net.cut[end_][s->w.backend] = way != 0;
	s->heal_at = s->w.net.now + sim_below(s, 300 * MS);
	sim_event(s, "cable of end %u cut, way %u", end_, way);
}

void faults_heal(struct sim *s, bool all)
{
	for (unsigned int i = 0; i < s->w.nservers; i++)
		if (!s->w.servers[i].server && (all || s->up_at[i] <= s->w.net.now)) {
			cluster_server_start(&s->w, i);
			sim_event(s, "server %u is back", i);
		}
	if (all || (s->heal_at && s->heal_at <= s->w.net.now)) {
		memset(s->w.net.cut, 0, sizeof(s->w.net.cut));
		s->heal_at = 0;
	}
}

void faults_draw(struct sim *s)
{
	uint64_t what = sim_below(s, 40000);

	if (what < s->crash)
		crash_server(s, true);
	else if ((what -= s->crash) < s->backend_crash)
		restart_backend(s);
	else if ((what -= s->backend_crash) < s->cut)
		cut_cable(s);
	else if (what - s->cut < s->lose)
		crash_server(s, false);
}
