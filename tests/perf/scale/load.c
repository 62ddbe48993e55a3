/* SPDX-License-Identifier: BSD-3-Clause */
#include "load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rmnic/device.h"

#define WORDS (RMNIC_PAGE_SIZE / 8)

struct place {
	struct rmnic_page_op op; /* first: done() is given it */
	struct scale_load *load;
	struct worker *worker;
	struct place *next;      /* free ones of the worker */
	uint64_t began;
	uint64_t page[WORDS];
};

struct worker {
	const struct scale_job *job;
	struct worker *next; /* of those that can go on */
	bool ready;
	uint32_t begun, ended;
	struct place *free;
};

struct scale_load {
	struct scale_fleet *fleet;
	struct scale_times *times;
	bool out;
	uint32_t nworkers, left; /* with pages to come */
	struct worker *workers;
	struct worker *ready;
	struct place *places;
};

/* --- Times ------------------------------------------------------------------------------------ */

void scale_times_add(struct scale_times *t, uint64_t ns)
{
	if (t->count == t->room) {
		t->room = t->room ? 2 * t->room : 1024;
		t->ns = realloc(t->ns, t->room * sizeof(*t->ns));
		if (!t->ns) {
			fprintf(stderr, "scale: no memory for times\n");
			exit(2);
		}
	}
	t->ns[t->count++] = ns;
}

static int by_size(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

void scale_times_sort(struct scale_times *t)
{
	if (t->count)
		qsort(t->ns, t->count, sizeof(*t->ns), by_size);
}

double scale_times_us(const struct scale_times *t, double share)
{
	uint64_t i = (uint64_t)(share * (double)t->count);

	if (!t->count)
		return 0;
	return (double)t->ns[i < t->count ? i : t->count - 1] / 1000;
}

void scale_times_free(struct scale_times *t)
{
	free(t->ns);
	memset(t, 0, sizeof(*t));
}

/* --- Pages --------------------------------------------------------------------------------------- */

uint64_t scale_load_slab_page(uint64_t slab, uint32_t i)
{
	/* Odd, so that no page comes twice before all have come. */
	return slab * SCALE_SLAB_PAGES + (uint64_t)i * 97 % SCALE_SLAB_PAGES;
}

uint64_t scale_load_page(const struct scale_device *d, uint32_t k)
{
	uint64_t slabs = d->pages / SCALE_SLAB_PAGES;

	return scale_load_slab_page(k % slabs, (uint32_t)(k / slabs));
}

static uint64_t word_of(const struct scale_device *d, uint64_t rpn, uint32_t i)
{
	return (((uint64_t)d->index + 1) << 40 ^ rpn) * 0x9e3779b97f4a7c15ull + i * 0xd1b54a32d192ed03ull;
}

static void page_make(uint64_t *page, const struct scale_device *d, uint64_t rpn)
{
	for (uint32_t i = 0; i < WORDS; i++)
		page[i] = word_of(d, rpn, i);
}

static bool page_is(const uint64_t *page, const struct scale_device *d, uint64_t rpn)
{
	for (uint32_t i = 0; i < WORDS; i++)
		if (page[i] != word_of(d, rpn, i))
			return false;
	return true;
}

/* --- Operations -------------------------------------------------------------------------------------- */

static void go_on(struct worker *w, struct scale_load *load)
{
	if (w->ready || !w->free || w->begun == w->job->count)
		return;
	w->ready = true;
	w->next = load->ready;
	load->ready = w;
}

static void ended(struct place *p, uint16_t status)
{
	struct scale_load *load = p->load;
	struct worker *w = p->worker;

	scale_times_add(load->times, load->fleet->net.now - p->began);
	if (status != RMNIC_SC_OK)
		load->times->failed++;
	else if (!load->out && !page_is(p->page, w->job->device, p->op.rpn))
		load->times->wrong++;
	p->next = w->free;
	w->free = p;
	load->left -= ++w->ended == w->job->count;
	go_on(w, load);
}

static void done(struct rmnic_page_op *op, uint16_t status)
{
	ended((struct place *)op, status);
}

static void begin(struct scale_load *load, struct worker *w)
{
	struct scale_device *d = w->job->device;
	struct place *p = w->free;
	uint16_t status;

	w->free = p->next;
	p->op.rpn = w->job->rpn[w->begun++];
	p->began = load->fleet->net.now;
	if (load->out) {
		page_make(p->page, d, p->op.rpn);
		status = d->store->ops->page_out(d->store, &p->op);
	} else {
		memset(p->page, 0, 64);
		status = d->store->ops->page_in(d->store, &p->op);
	}
	scale_net_wake(&load->fleet->net, d->end);
	if (status != RMNIC_STORE_PENDING)
		ended(p, status);
}

void scale_load_feed(struct scale_load *load)
{
	while (load->ready) {
		struct worker *w = load->ready;

		load->ready = w->next;
		w->ready = false;
		while (w->free && w->begun < w->job->count)
			begin(load, w);
	}
}

bool scale_load_over(const struct scale_load *load)
{
	return !load->left;
}

void scale_load_run(struct scale_load *load)
{
	for (scale_load_feed(load); !scale_load_over(load); scale_load_feed(load))
		scale_net_step(&load->fleet->net, UINT64_MAX - 1);
	scale_load_end(load);
}

/* --- A load ---------------------------------------------------------------------------------------------- */

struct scale_load *scale_load_begin(struct scale_fleet *f, const struct scale_job *jobs, uint32_t njobs,
				    bool out, struct scale_times *times)
{
	struct scale_load *load = calloc(1, sizeof(*load));

	if (load) {
		load->workers = calloc(njobs, sizeof(*load->workers));
		load->places = calloc((size_t)njobs * SCALE_LOAD_DEPTH, sizeof(*load->places));
	}
	if (!load || !load->workers || !load->places) {
		fprintf(stderr, "scale: no memory for pages\n");
		exit(2);
	}
	load->fleet = f;
	load->times = times;
	load->out = out;
	load->nworkers = load->left = njobs;
	for (uint32_t i = 0; i < njobs; i++) {
		struct worker *w = &load->workers[i];

		w->job = &jobs[i];
		for (uint32_t k = 0; k < SCALE_LOAD_DEPTH; k++) {
			struct place *p = &load->places[i * SCALE_LOAD_DEPTH + k];

			p->load = load;
			p->worker = w;
			p->op.data = p->page;
			p->op.done = done;
			p->next = w->free;
			w->free = p;
		}
		load->left -= !w->job->count;
		go_on(w, load);
	}
	return load;
}

void scale_load_end(struct scale_load *load)
{
	for (uint32_t i = 0; i < load->nworkers; i++) {
		struct worker *w = &load->workers[i];
		struct rmnic_store *store = w->job->device->store;

		for (uint32_t k = 0; w->begun != w->ended && k < SCALE_LOAD_DEPTH; k++)
			store->ops->cancel(store, &load->places[i * SCALE_LOAD_DEPTH + k].op);
	}
	free(load->places);
	free(load->workers);
	free(load);
}
