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

struct rmnic_frames {
	struct rmnic_env env;
	uint8_t *pages;
	uint32_t count;
	uint32_t first_free; /* a free frame's first word is the next one's number */
	uint32_t free;
	uint32_t fresh; /* frames from here on were never used: their memory is untouched */
	uint32_t held;
	uint32_t buckets; /* a power of two */
	struct rmnic_frame_ref *free_ref;
	struct rmnic_frame_ref *refs;
	struct rmnic_frame_ref **bucket;
};

struct rmnic_frames *rmnic_frames_create(const struct rmnic_env *env, void *pages, uint32_t count,
					 uint32_t max_refs)
{
	struct rmnic_frames *fs = env->ops->alloc(env->arg, sizeof(*fs));

	if (!fs)
		return NULL;
	fs->env = *env;
	fs->pages = pages;
	fs->count = count;
	fs->free = count;
	fs->first_free = RMNIC_FRAME_NONE;
	for (fs->buckets = 16; fs->buckets < max_refs; fs->buckets *= 2)
		;
	fs->refs = env->ops->alloc(env->arg, sizeof(*fs->refs) * (max_refs ? max_refs : 1));
	fs->bucket = env->ops->alloc(env->arg, sizeof(*fs->bucket) * fs->buckets);
	if (!fs->refs || !fs->bucket) {
		rmnic_frames_destroy(fs);
		return NULL;
	}
	for (uint32_t i = 0; i < max_refs; i++) {
		fs->refs[i].fs = fs;
		fs->refs[i].next = fs->free_ref;
		fs->free_ref = &fs->refs[i];
	}
	return fs;
}

void rmnic_frames_destroy(struct rmnic_frames *fs)
{
	if (!fs)
		return;
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
	uint32_t frame = fs->first_free;

	if (frame != RMNIC_FRAME_NONE)
		memcpy(&fs->first_free, rmnic_frame_data(fs, frame), sizeof(fs->first_free));
	else if (fs->fresh < fs->count)
		frame = fs->fresh++;
	else
		return RMNIC_FRAME_NONE;
	fs->free--;
	return frame;
}

static void give_back(struct rmnic_frames *fs, uint32_t frame)
{
	memcpy(rmnic_frame_data(fs, frame), &fs->first_free, sizeof(fs->first_free));
	fs->first_free = frame;
	fs->free++;
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
