/* SPDX-License-Identifier: BSD-3-Clause */
#include "memspill.h"

#include <stdlib.h>
#include <string.h>

static struct memspill *to_memspill(void *arg)
{
	return arg;
}

static uint64_t draw(struct memspill *m)
{
	uint64_t x = m->random += 0x9e3779b97f4a7c15ull;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ x >> 27) * 0x94d049bb133111ebull;
	return x ^ x >> 31;
}

static bool chance(struct memspill *m, uint32_t permille)
{
	return permille && draw(m) % 1000 < permille;
}

static void wrong(struct memspill *m, const char *why)
{
	if (!m->wrong++)
		m->why = why;
}

bool memspill_init(struct memspill *m, uint64_t seed, uint64_t places, uint64_t limit)
{
	*m = (struct memspill){ .places = places, .limit = limit, .random = seed,
				.holding = UINT64_MAX };
	m->id = draw(m) | 1;
	m->is_held = calloc(places, 1);
	m->data = calloc(places, sizeof(*m->data));
	return m->is_held && m->data;
}

void memspill_fini(struct memspill *m)
{
	free(m->is_held);
	free(m->data);
}

void memspill_renew(struct memspill *m)
{
	m->id = draw(m) | 1;
	m->held = 0;
	m->holding = UINT64_MAX;
	memset(m->is_held, 0, m->places);
	memset(m->data, 0xdb, m->places * sizeof(*m->data));
}

bool memspill_busy(const struct memspill *m)
{
	return !m->stuck && (m->nios || m->holding != UINT64_MAX);
}

/* --- Input and output --------------------------------------------------------------------------- */

/* Moves the first bytes of it; of a write, what comes after may be the sector's old content. */
static void transfer(struct memspill *m, struct rmnic_spill_io *io, uint32_t bytes)
{
	struct rmnic_spill_place *at = &m->data[io->place];

	if (io->write)
		memcpy(at, io->data, bytes);
	else
		memcpy(io->data, at, bytes);
}

static void finish(struct memspill *m, uint32_t i)
{
	struct rmnic_spill_io *io = m->io[i];
	uint32_t bytes = sizeof(*io->data);

	m->io[i] = m->io[--m->nios];
	if (chance(m, m->short_permille)) {
		bytes = (uint32_t)(draw(m) % sizeof(*io->data));
		m->shorts++;
	}
	transfer(m, io, bytes);
	io->done(io, bytes);
}

static bool mem_poll(void *arg)
{
	struct memspill *m = to_memspill(arg);
	uint32_t n = m->nios;
	bool ended = m->holding != UINT64_MAX;

	if (m->stuck)
		return false;
	/* In any order; what done() begins is for the next call. */
	while (n-- && !m->dead) { /* done() may be what its backend dies of */
		finish(m, (uint32_t)(draw(m) % (n + 1)));
		ended = true;
	}
	return ended;
}

static bool mem_submit(void *arg, struct rmnic_spill_io *io)
{
	struct memspill *m = to_memspill(arg);

	if (m->dead)
		return true;
	if (io->place >= m->places || !m->is_held[io->place]) {
		wrong(m, "a place that is not held is used");
		return false;
	}
	for (uint32_t i = 0; i < m->nios; i++)
		if (io->write && m->io[i]->write && m->io[i]->place == io->place)
			wrong(m, "a place is written twice at a time");
	if (m->nios == MEMSPILL_IOS || (m->nios && chance(m, m->wait_permille)))
		return false;
	m->reads += !io->write;
	m->writes += io->write;
	m->io[m->nios++] = io;
	return true;
}

void memspill_die(struct memspill *m)
{
	for (uint32_t i = 0; i < m->nios; i++) {
		uint32_t bytes = (uint32_t)(draw(m) % (sizeof(*m->data) + 1));

		if (!m->io[i]->write)
			continue;
		if (draw(m) % 2)
			bytes = draw(m) % 2 ? sizeof(*m->data) : 0;
		m->torn += bytes && bytes != sizeof(*m->data);
		transfer(m, m->io[i], bytes);
	}
	m->nios = 0;
	m->holding = UINT64_MAX;
}

/* --- Room ----------------------------------------------------------------------------------------- */

static uint64_t mem_id(void *arg)
{
	return to_memspill(arg)->id;
}

static uint64_t mem_room(void *arg)
{
	const struct memspill *m = to_memspill(arg);

	return m->limit > m->held ? m->limit - m->held : 0;
}

static enum rmnic_spill_hold mem_hold(void *arg, uint64_t first, uint64_t n)
{
	struct memspill *m = to_memspill(arg);
	uint64_t more = 0;

	if (m->dead)
		return RMNIC_SPILL_NONE;
	if (first + n > m->places) {
		wrong(m, "room is wanted beyond the file's end");
		return RMNIC_SPILL_NONE;
	}
	for (uint64_t i = first; i < first + n; i++)
		more += !m->is_held[i];
	if (m->held + more > m->limit)
		return RMNIC_SPILL_NONE;
	if (m->holding != first && chance(m, m->wait_permille)) {
		m->holding = first;
		return RMNIC_SPILL_WAIT;
	}
	m->holding = UINT64_MAX;
	memset(&m->is_held[first], 1, n);
	m->held += more;
	return RMNIC_SPILL_HELD;
}

static bool mem_kept(void *arg, uint64_t first, uint64_t n)
{
	const struct memspill *m = to_memspill(arg);

	return memchr(&m->is_held[first], 1, n) != NULL;
}

static void mem_release(void *arg, uint64_t first, uint64_t n)
{
	struct memspill *m = to_memspill(arg);

	if (m->dead)
		return;
	for (uint32_t i = 0; i < m->nios; i++)
		if (m->io[i]->place >= first && m->io[i]->place < first + n)
			wrong(m, "a place is given back while it is read or written");
	for (uint64_t i = first; i < first + n; i++)
		m->held -= m->is_held[i];
	memset(&m->is_held[first], 0, n);
	memset(&m->data[first], 0, n * sizeof(*m->data));
}

const struct rmnic_spill_ops memspill_ops = {
	.id = mem_id,
	.room = mem_room,
	.hold = mem_hold,
	.kept = mem_kept,
	.release = mem_release,
	.submit = mem_submit,
	.poll = mem_poll,
};
