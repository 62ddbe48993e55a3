/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * engine/frame.h - page frames of a memory server, and who still transmits from them.
 *
 * A frame holds the bytes of one page. It is never written while anybody may read it: new
 * content goes to a fresh frame (RMP-20, RULES A11). A frame that was let go while datagrams
 * still refer to it comes back to the pool with the last of them.
 */
#ifndef RMNIC_ENGINE_FRAME_H
#define RMNIC_ENGINE_FRAME_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/env.h"

#define RMNIC_FRAME_NONE UINT32_MAX

struct rmnic_frames;

/* A reference of a datagram under way. Its address is the release argument. */
struct rmnic_frame_ref;

/*
 * pages: count * 4096 bytes that stay the caller's. max_refs: datagrams with a piece of a
 * frame that can be under way at a time. NULL: out of memory.
 */
struct rmnic_frames *rmnic_frames_create(const struct rmnic_env *env, void *pages, uint32_t count,
					 uint32_t max_refs);
void rmnic_frames_destroy(struct rmnic_frames *fs);

/* RMNIC_FRAME_NONE: none is free. */
uint32_t rmnic_frame_get(struct rmnic_frames *fs);
/* Lets go of a frame; it may be transmitted from still. */
void rmnic_frame_put(struct rmnic_frames *fs, uint32_t frame);
uint8_t *rmnic_frame_data(const struct rmnic_frames *fs, uint32_t frame);

/* Before a transmit from frame; NULL: max_refs are under way. */
struct rmnic_frame_ref *rmnic_frame_hold(struct rmnic_frames *fs, uint32_t frame);
/* After it. ref: a struct rmnic_frame_ref *; fits struct rmnic_tx's release. */
void rmnic_frame_release(void *ref);

/* Frames that can be got now. */
uint32_t rmnic_frames_free(const struct rmnic_frames *fs);
uint32_t rmnic_frames_held(const struct rmnic_frames *fs);

#endif /* RMNIC_ENGINE_FRAME_H */
