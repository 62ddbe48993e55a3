/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * embed.c - the memory behind the embedded store: RAM blocks that migrate with the guest
 * (RULES E4). The pages are the device's own block or a memory backend of the user's; the
 * metadata is always its own.
 */
#include "rmnic.h"

#include "exec/cpu-common.h"
#include "migration/misc.h"
#include "migration/vmstate.h"
#include "qapi/error.h"
#include "qemu/madvise.h"

/* The store changed bytes: after the fact, so that a copy taken between is taken again. */
static void rmnic_pages_dirty(void *owner, uint64_t offset, uint64_t len)
{
    RmnicState *s = owner;

    memory_region_set_dirty(s->pages, offset, len);
}

static void rmnic_meta_dirty(void *owner, uint64_t offset, uint64_t len)
{
    RmnicState *s = owner;

    memory_region_set_dirty(&s->meta, offset, len);
}

/*
 * Memory that a postcopy migration still has to deliver must not be thrown away before it has
 * come, nor memory that a VFIO device has pinned.
 */
static bool rmnic_discard(void *owner, uint64_t offset, uint64_t len)
{
    RmnicState *s = owner;

    if (migration_in_incoming_postcopy() || ram_block_discard_is_disabled()) {
        return false;
    }
    return ram_block_discard_range(s->pages->ram_block, offset, len) == 0;
}

/* CAP-4: each page of the capacity has its place here from the start. */
static bool rmnic_pages_init(RmnicState *s, Error **errp)
{
    ERRP_GUARD();

    if (s->memdev) {
        s->pages = host_memory_backend_get_memory(s->memdev);
        host_memory_backend_set_mapped(s->memdev, true);
    } else {
        memory_region_init_ram_nomigrate(&s->own_pages, OBJECT(s), "rmnic.pages", s->size, errp);
        if (*errp) {
            error_prepend(errp, "rmnic: size=%" PRIu64 ": ", s->size);
            return false;
        }
        s->pages = &s->own_pages;
        /* Else one page of the guest's would take 2 MiB of the host's. */
        qemu_madvise(memory_region_get_ram_ptr(s->pages), s->size, QEMU_MADV_NOHUGEPAGE);
    }
    vmstate_register_ram(s->pages, DEVICE(s));
    s->granule = MAX(qemu_ram_pagesize(s->pages->ram_block), RMNIC_PAGE_SIZE);
    return true;
}

static void rmnic_pages_exit(RmnicState *s)
{
    vmstate_unregister_ram(s->pages, DEVICE(s));
    if (s->memdev) {
        host_memory_backend_set_mapped(s->memdev, false);
    }
    s->pages = NULL;
}

bool rmnic_embed_init(RmnicState *s, Error **errp)
{
    ERRP_GUARD();

    if (!rmnic_pages_init(s, errp)) {
        return false;
    }
    memory_region_init_ram_nomigrate(&s->meta, OBJECT(s), "rmnic.meta",
                                     (s->size >> RMNIC_PAGE_SHIFT) * sizeof(struct rmnic_meta),
                                     errp);
    if (*errp) {
        error_prepend(errp, "rmnic: metadata for size=%" PRIu64 ": ", s->size);
        rmnic_pages_exit(s);
        return false;
    }
    vmstate_register_ram(&s->meta, DEVICE(s));
    return true;
}

void rmnic_embed_exit(RmnicState *s)
{
    vmstate_unregister_ram(&s->meta, DEVICE(s));
    rmnic_pages_exit(s);
}

struct rmnic_store *rmnic_embed_open(RmnicState *s)
{
    struct rmnic_local_blocks blocks = {
        .pages = memory_region_get_ram_ptr(s->pages),
        .meta = memory_region_get_ram_ptr(&s->meta),
        .npages = s->size >> RMNIC_PAGE_SHIFT,
        .granule = s->granule,
        .owner = s,
        .pages_dirty = rmnic_pages_dirty,
        .meta_dirty = rmnic_meta_dirty,
        .discard = rmnic_discard,
    };

    return rmnic_store_local_create(&blocks, s->uuid.data);
}
