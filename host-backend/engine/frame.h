/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * engine/frame.h - page frames of a memory server, and who still transmits from them.
 *
 * A frame holds the bytes of one page. It is never written while anybody may read it: new
 * content goes to a fresh frame (RMP-20, RULES A11). A frame that was let go while datagrams
 * still refer to it comes back to the pool with the last of them.
 *
 * Frames come and go by the granule: the unit in which memory is taken from the system and given
 * back to it, a huge page's size.
 */
#ifndef RMNIC_ENGINE_FRAME_H
#define RMNIC_ENGINE_FRAME_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/env.h"

#define RMNIC_FRAME_NONE    UINT32_MAX
#define RMNIC_FRAME_GRANULE 512u /* frames: 2 MiB */

struct rmnic_frames;

/* A reference of a datagram under way. Its address is the release argument. */
struct rmnic_frame_ref;

/*
 * pages: count * 4096 bytes of address space that stay the caller's; the granules of the first
 * `lent` frames are memory, the others can be added. max_refs: datagrams with a piece of a frame
 * that can be under way at a time. NULL: out of memory.
 */
struct rmnic_frames *rmnic_frames_create(const struct rmnic_env *env, void *pages, uint32_t count,
					 uint32_t lent, uint32_t max_refs);
void rmnic_frames_destroy(struct rmnic_frames *fs);

/* A granule that is not in the pool; RMNIC_FRAME_NONE: all are. */
uint32_t rmnic_frames_out(const struct rmnic_frames *fs);
/* Adds it, which is memory by now. Its frames. */
uint32_t rmnic_frames_add(struct rmnic_frames *fs, uint32_t granule);
/* Takes a granule without content out of the pool; RMNIC_FRAME_NONE: each has some. */
uint32_t rmnic_frames_take(struct rmnic_frames *fs);
/*
 * A granule that is in the pool, has no content and had some: its memory may be emptied, now.
 * RMNIC_FRAME_NONE: there is none.
 */
uint32_t rmnic_frames_cool(struct rmnic_frames *fs);

/* RMNIC_FRAME_NONE: none is free. */
uint32_t rmnic_frame_get(struct rmnic_frames *fs);
/* Lets go of a frame; it may be transmitted from still. */
void rmnic_frame_put(struct rmnic_frames *fs, uint32_t frame);
uint8_t *rmnic_frame_data(const struct rmnic_frames *fs, uint32_t frame);

/* Before a transmit from frame; NULL: max_refs are under way. */
struct rmnic_frame_ref *rmnic_frame_hold(struct rmnic_frames *fs, uint32_t frame);
/* After it. ref: a struct rmnic_frame_ref *; fits struct rmnic_tx's release. */
void rmnic_frame_release(void *ref);

/* Frames in the pool, used or free. */
uint32_t rmnic_frames_total(const struct rmnic_frames *fs);
/* Frames of granules that were used since they were last emptied. */
uint32_t rmnic_frames_touched(const struct rmnic_frames *fs);
/* Frames that can be got now. */
uint32_t rmnic_frames_free(const struct rmnic_frames *fs);
uint32_t rmnic_frames_held(const struct rmnic_frames *fs);

#endif /* RMNIC_ENGINE_FRAME_H */
