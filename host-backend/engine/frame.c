/* SPDX-License-Identifier: BSD-3-Clause */
#include "engine/frame.h"

#include <string.h>

#include "rmnic/device.h"

/*
 * References are few and short-lived, so they are kept apart, in a table hashed by frame:
 * the metadata of a page at rest stays at 16 bytes (RULES A2).
 */
struct rmnic_frame_ref {
	struct rmnic_frames *fs;
	struct rmnic_frame_ref *next; /* in the bucket, or of the free ones */
	uint32_t frame;
	uint32_t count;
	bool gone; /* the frame was let go meanwhile */
};

/* Where a granule is. Frames come from PARTIAL ones first, so that others become EMPTY. */
enum granule_list { PARTIAL, EMPTY, FULL, OUT, LISTS };

struct granule {
	uint32_t prev, next; /* in its list; NONE: there is none */
	uint16_t free;
	uint8_t list;
	bool touched; /* some of it was used since it was last empty and given back */
};

/*
 * Which frames are free stands in a bitmap and not in the frames: memory that is not in use is
 * not touched, and can be given back to the system by the granule.
 */
struct rmnic_frames {
	struct rmnic_env env;
	uint8_t *pages;
	uint32_t count;
	uint32_t granules;
	uint32_t total; /* of the granules that are not OUT */
	uint32_t free;
	uint32_t touched;
	uint32_t first[LISTS];
	uint32_t last_empty; /* fresh granules go to the end of their list */
	struct granule *granule;
	uint64_t *free_bit; /* GRANULE / 64 words a granule */
	uint32_t held;
	uint32_t buckets; /* a power of two */
	struct rmnic_frame_ref *free_ref;
	struct rmnic_frame_ref *refs;
	struct rmnic_frame_ref **bucket;
};

/* --- Granules ----------------------------------------------------------------------------- */

static uint32_t size_of(const struct rmnic_frames *fs, uint32_t g)
{
	uint32_t left = fs->count - g * RMNIC_FRAME_GRANULE;

	return left < RMNIC_FRAME_GRANULE ? left : RMNIC_FRAME_GRANULE;
}

static void list_take(struct rmnic_frames *fs, uint32_t g)
{
	struct granule *x = &fs->granule[g];

	if (x->prev != RMNIC_FRAME_NONE)
		fs->granule[x->prev].next = x->next;
	else
		fs->first[x->list] = x->next;
	if (x->next != RMNIC_FRAME_NONE)
		fs->granule[x->next].prev = x->prev;
	else if (x->list == EMPTY)
		fs->last_empty = x->prev;
}

/* The one function that says where a granule is. */
static void granule_move(struct rmnic_frames *fs, uint32_t g, enum granule_list to)
{
	struct granule *x = &fs->granule[g];

	list_take(fs, g);
	x->list = (uint8_t)to;
	x->prev = RMNIC_FRAME_NONE;
	x->next = fs->first[to];
	if (to == EMPTY && !x->touched && fs->last_empty != RMNIC_FRAME_NONE) {
		x->prev = fs->last_empty;
		x->next = RMNIC_FRAME_NONE;
		fs->granule[x->prev].next = g;
		fs->last_empty = g;
		return;
	}
	if (x->next != RMNIC_FRAME_NONE)
		fs->granule[x->next].prev = g;
	else if (to == EMPTY)
		fs->last_empty = g;
	fs->first[to] = g;
}

static void set_touched(struct rmnic_frames *fs, struct granule *x, bool touched)
{
	fs->touched += (uint32_t)touched - x->touched;
	x->touched = touched;
}

/* All granules, OUT; the last one may be smaller. */
static void granules_init(struct rmnic_frames *fs)
{
	for (int i = 0; i < LISTS; i++)
		fs->first[i] = RMNIC_FRAME_NONE;
	fs->last_empty = RMNIC_FRAME_NONE;
	for (uint32_t g = fs->granules; g-- > 0;) {
		struct granule *x = &fs->granule[g];

		x->list = OUT;
		x->prev = RMNIC_FRAME_NONE;
		x->next = fs->first[OUT];
		if (x->next != RMNIC_FRAME_NONE)
			fs->granule[x->next].prev = g;
		fs->first[OUT] = g;
	}
}

uint32_t rmnic_frames_out(const struct rmnic_frames *fs)
{
	return fs->first[OUT];
}

uint32_t rmnic_frames_add(struct rmnic_frames *fs, uint32_t g)
{
	struct granule *x = &fs->granule[g];
	uint64_t *bits = &fs->free_bit[(uint64_t)g * (RMNIC_FRAME_GRANULE / 64)];

	x->free = (uint16_t)size_of(fs, g);
	for (uint32_t i = 0; i < x->free; i++)
		bits[i / 64] |= 1ull << (i % 64);
	fs->total += x->free;
	fs->free += x->free;
	granule_move(fs, g, EMPTY);
	return x->free;
}

uint32_t rmnic_frames_take(struct rmnic_frames *fs)
{
	uint32_t g = fs->last_empty; /* one that is not touched, if there is any */
	struct granule *x;

	if (g == RMNIC_FRAME_NONE)
		return RMNIC_FRAME_NONE;
	x = &fs->granule[g];
	fs->total -= x->free;
	fs->free -= x->free;
	memset(&fs->free_bit[(uint64_t)g * (RMNIC_FRAME_GRANULE / 64)], 0, RMNIC_FRAME_GRANULE / 8);
	set_touched(fs, x, false);
	x->free = 0;
	granule_move(fs, g, OUT);
	return g;
}

uint32_t rmnic_frames_cool(struct rmnic_frames *fs)
{
	uint32_t g = fs->first[EMPTY];

	if (g == RMNIC_FRAME_NONE || !fs->granule[g].touched)
		return RMNIC_FRAME_NONE;
	set_touched(fs, &fs->granule[g], false);
	granule_move(fs, g, EMPTY);
	return g;
}

uint32_t rmnic_frames_total(const struct rmnic_frames *fs)
{
	return fs->total;
}

uint32_t rmnic_frames_touched(const struct rmnic_frames *fs)
{
	return fs->touched * RMNIC_FRAME_GRANULE;
}

/* --- Frames --------------------------------------------------------------------------------- */

struct rmnic_frames *rmnic_frames_create(const struct rmnic_env *env, void *pages, uint32_t count,
					 uint32_t lent, uint32_t max_refs)
{
	struct rmnic_frames *fs = env->ops->alloc(env->arg, sizeof(*fs));

	if (!fs)
		return NULL;
	fs->env = *env;
	fs->pages = pages;
	fs->count = count;
	fs->granules = count / RMNIC_FRAME_GRANULE + (count % RMNIC_FRAME_GRANULE != 0);
	for (fs->buckets = 16; fs->buckets < max_refs; fs->buckets *= 2)
		;
	fs->refs = env->ops->alloc(env->arg, sizeof(*fs->refs) * (max_refs ? max_refs : 1));
	fs->bucket = env->ops->alloc(env->arg, sizeof(*fs->bucket) * fs->buckets);
	fs->granule = env->ops->alloc(env->arg, sizeof(*fs->granule) * fs->granules);
	fs->free_bit = env->ops->alloc(env->arg, (size_t)fs->granules * (RMNIC_FRAME_GRANULE / 8));
	if (!fs->refs || !fs->bucket || !fs->granule || !fs->free_bit) {
		rmnic_frames_destroy(fs);
		return NULL;
	}
	for (uint32_t i = 0; i < max_refs; i++) {
		fs->refs[i].fs = fs;
		fs->refs[i].next = fs->free_ref;
		fs->free_ref = &fs->refs[i];
	}
	granules_init(fs);
	while (fs->total < lent && fs->first[OUT] != RMNIC_FRAME_NONE)
		rmnic_frames_add(fs, fs->first[OUT]);
	return fs;
}

void rmnic_frames_destroy(struct rmnic_frames *fs)
{
	if (!fs)
		return;
	fs->env.ops->free(fs->env.arg, fs->free_bit);
	fs->env.ops->free(fs->env.arg, fs->granule);
	fs->env.ops->free(fs->env.arg, fs->bucket);
	fs->env.ops->free(fs->env.arg, fs->refs);
	fs->env.ops->free(fs->env.arg, fs);
}

uint8_t *rmnic_frame_data(const struct rmnic_frames *fs, uint32_t frame)
{
	return fs->pages + (uint64_t)frame * RMNIC_PAGE_SIZE;
}

uint32_t rmnic_frame_get(struct rmnic_frames *fs)
{
	uint32_t g = fs->first[PARTIAL] != RMNIC_FRAME_NONE ? fs->first[PARTIAL] : fs->first[EMPTY];
	struct granule *x;
	uint64_t *bits;
	uint32_t i = 0, bit;

	if (g == RMNIC_FRAME_NONE)
		return RMNIC_FRAME_NONE;
	x = &fs->granule[g];
	bits = &fs->free_bit[(uint64_t)g * (RMNIC_FRAME_GRANULE / 64)];
	while (!bits[i])
		i++;
	bit = (uint32_t)__builtin_ctzll(bits[i]);
	bits[i] &= bits[i] - 1;
	fs->free--;
	set_touched(fs, x, true);
	if (--x->free == 0)
		granule_move(fs, g, FULL);
	else if (x->list == EMPTY)
		granule_move(fs, g, PARTIAL);
	return g * RMNIC_FRAME_GRANULE + i * 64 + bit;
}

static void give_back(struct rmnic_frames *fs, uint32_t frame)
{
	uint32_t g = frame / RMNIC_FRAME_GRANULE;
	struct granule *x = &fs->granule[g];

	fs->free_bit[frame / 64] |= 1ull << (frame % 64);
	fs->free++;
	x->free++;
	if (x->free == size_of(fs, g))
		granule_move(fs, g, EMPTY);
	else if (x->list == FULL)
		granule_move(fs, g, PARTIAL);
}

static struct rmnic_frame_ref **find(struct rmnic_frames *fs, uint32_t frame)
{
	struct rmnic_frame_ref **at = &fs->bucket[frame * 2654435761u & (fs->buckets - 1)];

	while (*at && (*at)->frame != frame)
		at = &(*at)->next;
	return at;
}

void rmnic_frame_put(struct rmnic_frames *fs, uint32_t frame)
{
	struct rmnic_frame_ref *ref = *find(fs, frame);

	/* RMP-20: not before the last datagram that refers to it has left. */
	if (ref)
		ref->gone = true;
	else
		give_back(fs, frame);
}

struct rmnic_frame_ref *rmnic_frame_hold(struct rmnic_frames *fs, uint32_t frame)
{
	struct rmnic_frame_ref **at = find(fs, frame);
	struct rmnic_frame_ref *ref = *at;

	if (!ref) {
		ref = fs->free_ref;
		if (!ref)
			return NULL;
		fs->free_ref = ref->next;
		ref->next = NULL;
		ref->frame = frame;
		ref->count = 0;
		ref->gone = false;
		*at = ref;
	}
	ref->count++;
	fs->held++;
	return ref;
}

void rmnic_frame_release(void *arg)
{
	struct rmnic_frame_ref *ref = arg;
	struct rmnic_frames *fs = ref->fs;

	fs->held--;
	if (--ref->count)
		return;
	*find(fs, ref->frame) = ref->next;
	if (ref->gone)
		give_back(fs, ref->frame);
	ref->next = fs->free_ref;
	fs->free_ref = ref;
}

uint32_t rmnic_frames_free(const struct rmnic_frames *fs)
{
	return fs->free;
}

uint32_t rmnic_frames_held(const struct rmnic_frames *fs)
{
	return fs->held;
}
