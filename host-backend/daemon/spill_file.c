/* SPDX-License-Identifier: BSD-3-Clause */
/* A spill file's life: found or made with its device, removed with it. */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <unistd.h>

#include "common/conf_net.h"
#include "common/log.h"
#include "daemon/spill_internal.h"
#include "engine/crc32c.h"
#include "engine/le.h"

#define LOCK_TRIES 500 /* a millisecond each: what a dead predecessor has under way ends soon */

/* --- The head --------------------------------------------------------------------------------------- */

static uint32_t head_check(const struct rmnic_spill_head *head)
{
	struct rmnic_crc32c c;

	rmnic_crc32c_init(&c, false);
	return rmnic_crc32c_update(&c, 0, head, offsetof(struct rmnic_spill_head, check));
}

bool rmnic_spill_head_read(int fd, struct rmnic_spill_head *head)
{
	return pread(fd, head, sizeof(*head), 0) == sizeof(*head) &&
	       rmnic_le64_get(head->magic) == RMNIC_SPILL_MAGIC &&
	       rmnic_le32_get(head->check) == head_check(head);
}

static int head_write(struct rmnic_spill *s, const uint8_t *uuid, struct rmnic_error *err)
{
	struct rmnic_spill_head head = { .magic = rmnic_le64_put(RMNIC_SPILL_MAGIC),
					 .places = rmnic_le64_put(s->places) };

	if (getrandom(&s->id, sizeof(s->id), 0) != sizeof(s->id))
		return rmnic_error_set(err, "no random numbers: %s", strerror(errno));
	s->id |= 1; /* 0 is none */
	head.id = rmnic_le64_put(s->id);
	memcpy(head.uuid, uuid, sizeof(head.uuid));
	rmnic_spill_boot(head.boot);
	head.check = rmnic_le32_put(head_check(&head));
	if (pwrite(s->fd, &head, sizeof(head), 0) == sizeof(head))
		return 0;
	return rmnic_error_set(err, "spill_dir %s: %s cannot be written: %s", s->pool->dir, s->name,
			       strerror(errno));
}

/* --- The file --------------------------------------------------------------------------------------- */

/* Until its predecessor's reads and writes have ended there is nothing to wait for but the lock. */
static int lock(struct rmnic_spill *s, struct rmnic_error *err)
{
	for (int i = 0; flock(s->fd, LOCK_EX | LOCK_NB); i++) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return rmnic_error_set(err, "spill_dir %s: %s cannot be locked: %s",
					       s->pool->dir, s->name, strerror(errno));
		if (i == LOCK_TRIES)
			return rmnic_error_set(err, "spill_dir %s: %s is in use by another process",
					       s->pool->dir, s->name);
		poll(NULL, 0, 1);
	}
	return 0;
}

static int open_file(struct rmnic_spill *s, int flags, struct rmnic_error *err)
{
	s->fd = openat(s->pool->fd, s->name, O_RDWR | O_CLOEXEC | O_NOFOLLOW | flags, 0600);
	if (s->fd < 0)
		return rmnic_error_set(err, "spill_dir %s: %s: %s", s->pool->dir, s->name,
				       strerror(errno));
	return lock(s, err);
}

/* A file with this head is what an earlier backend left of the device. 0, or -1 with err. */
static int check_places(const struct rmnic_spill *s, const struct rmnic_spill_head *head,
			struct rmnic_error *err)
{
	if (rmnic_le64_get(head->places) == s->places)
		return 0;
	return rmnic_error_set(err, "spill_dir %s: %s is of a device of %llu pages, and this one has "
			       "%llu: give QEMU the size that the device had, or remove the file and "
			       "do without what is in it", s->pool->dir, s->name,
			       (unsigned long long)rmnic_le64_get(head->places),
			       (unsigned long long)s->places);
}

/* Whether the file that is there, if any, is the one that the state means. It is open then. */
static int find_file(struct rmnic_spill *s, const uint8_t *uuid, uint64_t id, bool recover,
		     bool *found, struct rmnic_error *err)
{
	struct rmnic_spill_head head;
	bool right;

	*found = false;
	if (faccessat(s->pool->fd, s->name, F_OK, AT_SYMLINK_NOFOLLOW))
		return 0;
	if (open_file(s, 0, err))
		return -1;
	right = (id || recover) && rmnic_spill_head_read(s->fd, &head) &&
		!memcmp(head.uuid, uuid, 16) && (!id || rmnic_le64_get(head.id) == id);
	if (right && recover && check_places(s, &head, err))
		return -1;
	if (right && rmnic_le64_get(head.places) == s->places) {
		s->id = rmnic_le64_get(head.id);
		*found = true;
		return 0;
	}
	close(s->fd);
	s->fd = -1;
	return 0;
}

static int make_file(struct rmnic_spill *s, const uint8_t *uuid, struct rmnic_error *err)
{
	if (unlinkat(s->pool->fd, s->name, 0) && errno != ENOENT)
		return rmnic_error_set(err, "spill_dir %s: the old %s cannot be removed: %s",
				       s->pool->dir, s->name, strerror(errno));
	return open_file(s, O_CREAT | O_EXCL, err) ? -1 : head_write(s, uuid, err);
}

/* Ranges first .. end - 1 that no row names go back to the disk. */
static void punch(struct rmnic_spill *s, uint64_t first, uint64_t end)
{
	uint64_t place = sizeof(struct rmnic_spill_place);

	if (first < end && fallocate(s->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				     (off_t)rmnic_spill_offset(first), (off_t)((end - first) * place)))
		rmnic_log_warn("spill_dir %s: %s: room cannot be given back: %s", s->pool->dir, s->name,
			       strerror(errno));
}

/* The slab's place is held; what is between it and the one before, which ended at *first, is not. */
static void hold(struct rmnic_spill *s, uint64_t *first, uint64_t slab, uint64_t pages)
{
	punch(s, *first, slab * pages);
	*first = (slab + 1) * pages;
	s->held += pages;
}

/* After the last of them. */
static void hold_end(struct rmnic_spill *s, uint64_t first, const struct rmnic_state_block *state)
{
	punch(s, first, state->nslabs * state->slab_pages);
	atomic_fetch_add(&s->pool->held, s->held);
}

/* What the rows have room for in the file, and nothing else, is held. */
static void count_held(struct rmnic_spill *s, const struct rmnic_state_block *state)
{
	struct rmnic_state_view view;
	uint64_t first = 0, pages = state->slab_pages;

	for (uint64_t i = 0; i < state->nslabs; i++) {
		if (!rmnic_state_view_get(state, i, &view) || !view.spill)
			continue;
		hold(s, &first, i, pages);
	}
	hold_end(s, first, state);
}

/* Slabs with anything in their places, rows or not: all of that is held, and looked at. */
static int count_kept(struct rmnic_spill *s, const struct rmnic_state_block *state,
		      struct rmnic_error *err)
{
	uint64_t pages = state->slab_pages, first = 0;
	bool holes = false; /* from here on there is nothing else */

	s->kept = calloc(state->nslabs, sizeof(*s->kept));
	if (!s->kept)
		return rmnic_error_set(err, "no memory for what is in the spill file");
	for (uint64_t i = 0; i < state->nslabs; i++) {
		off_t data = holes ? -1 : lseek(s->fd, (off_t)rmnic_spill_offset(i * pages), SEEK_DATA);

		if (data < 0 && !holes && errno != ENXIO)
			return rmnic_error_set(err, "spill_dir %s: %s cannot be looked through: %s",
					       s->pool->dir, s->name, strerror(errno));
		holes |= data < 0;
		s->kept[i] = !holes && data < (off_t)rmnic_spill_offset((i + 1) * pages);
		if (s->kept[i])
			hold(s, &first, i, pages);
	}
	hold_end(s, first, state);
	return 0;
}

static int open_all(struct rmnic_spill *s, const struct rmnic_state_block *state, bool recover,
		    bool *lost, struct rmnic_error *err)
{
	const uint8_t *uuid = state->hdr->uuid;
	uint64_t id = rmnic_le64_get(state->hdr->spill_id);
	char text[37];
	bool found;

	snprintf(s->name, sizeof(s->name), "%s.spill", rmnic_uuid_format(uuid, text));
	if (rmnic_spill_io_open(s, err) || find_file(s, uuid, id, recover, &found, err))
		return -1;
	*lost = id && !found;
	if (!found)
		return make_file(s, uuid, err);
	if (recover)
		return count_kept(s, state, err);
	count_held(s, state);
	return 0;
}

struct rmnic_spill *rmnic_spill_open(struct rmnic_spill_pool *p,
				     const struct rmnic_state_block *state, bool recover,
				     bool *lost, struct rmnic_error *err)
{
	struct rmnic_spill *s = calloc(1, sizeof(*s));

	if (!s) {
		rmnic_error_set(err, "no memory for the spill file");
		return NULL;
	}
	s->pool = p;
	s->fd = s->event = -1;
	s->places = state->nslabs * state->slab_pages;
	s->slab_pages = state->slab_pages;
	if (!open_all(s, state, recover, lost, err))
		return s;
	rmnic_spill_close(s, false);
	return NULL;
}

void rmnic_spill_close(struct rmnic_spill *s, bool remove)
{
	if (!s)
		return;
	rmnic_spill_io_close(s);
	if (remove && s->fd >= 0 && unlinkat(s->pool->fd, s->name, 0))
		rmnic_log_warn("spill_dir %s: %s cannot be removed: %s", s->pool->dir, s->name,
			       strerror(errno));
	if (s->fd >= 0)
		close(s->fd);
	atomic_fetch_sub(&s->pool->held, s->held);
	free(s->kept);
	free(s);
}
