/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * user_mem.c - the guest's memory as the backend sees it: regions of memfds, kept up to date
 * by a MemoryListener (spec/user.md, "Guest memory").
 *
 * RAM that no other process can map (a display's, firmware's) is left out: the backend refuses a
 * guest that pages from there. The machine's own RAM and its memory modules must be mappable.
 */
#include "user.h"

#include "hw/boards.h"
#include "hw/mem/memory-device.h"
#include "qapi/error.h"
#include "qemu/error-report.h"
#include "qemu/memfd.h"
#include "qemu/units.h"
#include "trace.h"

/* Below, chipsets remap RAM at run time; what is above must not change with it. */
#define RMNIC_LOW_MEMORY (1 * MiB)

#ifndef F_SEAL_SHRINK
#define F_SEAL_SHRINK 0x0002
#endif

/* USER-9: so that no access of the backend's can fault. */
static bool rmnic_mem_mappable(MemoryRegion *mr)
{
    int fd = memory_region_get_fd(mr), seals;

    if (fd < 0 || !qemu_ram_is_shared(mr->ram_block)) {
        return false;
    }
    seals = fcntl(fd, F_GET_SEALS);
    return seals >= 0 && (seals & F_SEAL_SHRINK);
}

/* What a guest pages from, as opposed to a device's RAM. */
static bool rmnic_mem_is_main(const MemoryRegionSection *section)
{
    const MachineState *machine = current_machine;
    hwaddr addr = section->offset_within_address_space;

    if (machine->ram && (section->mr == machine->ram || section->mr->container == machine->ram)) {
        return true;
    }
    return machine->device_memory && !section->nonvolatile &&
           addr >= machine->device_memory->base &&
           addr - machine->device_memory->base < memory_region_size(&machine->device_memory->mr);
}

/* --- Scanning ---------------------------------------------------------------------------------------- */

static void rmnic_mem_append(RmnicUser *u, MemoryRegion *mr, uint64_t addr, uint64_t size,
                             uint64_t offset)
{
    RmnicUserRegion *last = u->scanned ? &u->scan[u->scanned - 1] : NULL;

    if (last && last->mr == mr && last->addr >= RMNIC_LOW_MEMORY &&
        last->addr + last->size == addr && last->offset + last->size == offset) {
        last->size += size;
    } else if (u->scanned == RMNIC_USER_MAX_REGIONS) {
        warn_report_once("rmnic: the guest's memory is in more than %u pieces: it cannot page "
                         "what is in the rest", RMNIC_USER_MAX_REGIONS);
    } else {
        u->scan[u->scanned++] = (RmnicUserRegion) {
            .addr = addr,
            .size = size,
            .offset = offset,
            .mr = mr,
            .fd = memory_region_get_fd(mr),
        };
    }
}

static void rmnic_mem_section(MemoryListener *listener, MemoryRegionSection *section)
{
    RmnicUser *u = container_of(listener, RmnicUser, listener);
    MemoryRegion *mr = section->mr;
    uint64_t addr = section->offset_within_address_space;
    uint64_t size = int128_get64(section->size);
    uint64_t offset = section->offset_within_region;

    if (!memory_region_is_ram(mr) || memory_region_is_rom(mr) || section->readonly ||
        memory_region_is_ram_device(mr)) {
        return;
    }
    if (!rmnic_mem_mappable(mr)) {
        if (rmnic_mem_is_main(section)) {
            u->unusable = MIN(u->unusable, addr);
        }
        return;
    }
    offset += rmnic_ram_fd_offset(mr->ram_block);
    if ((addr | size | offset) % RMNIC_PAGE_SIZE) {
        return; /* less than a page of a device's */
    }
    if (addr < RMNIC_LOW_MEMORY && addr + size > RMNIC_LOW_MEMORY) {
        uint64_t low = RMNIC_LOW_MEMORY - addr;

        rmnic_mem_append(u, mr, addr, low, offset);
        addr += low;
        size -= low;
        offset += low;
    }
    rmnic_mem_append(u, mr, addr, size, offset);
}

static void rmnic_mem_begin(MemoryListener *listener)
{
    RmnicUser *u = container_of(listener, RmnicUser, listener);

    u->scanned = 0;
    u->unusable = UINT64_MAX;
}

/* --- The table ---------------------------------------------------------------------------------------- */

static bool rmnic_mem_same(const RmnicUserRegion *a, const RmnicUserRegion *b)
{
    return a->mr == b->mr && a->addr == b->addr && a->size == b->size && a->offset == b->offset;
}

/* The last one moves into the gap. */
static void rmnic_mem_remove(RmnicUser *u, unsigned index)
{
    MemoryRegion *mr = u->region[index].mr;

    u->region[index] = u->region[--u->regions];
    /* A request under way names it by its place. */
    if (u->req_index == u->regions) {
        u->req_index = index;
    }
    memory_region_unref(mr);
}

void rmnic_mem_untold(RmnicUser *u, unsigned index)
{
    u->region[index].told = false;
    if (!u->region[index].wanted) {
        rmnic_mem_remove(u, index);
    }
}

bool rmnic_mem_leaving(const RmnicUser *u)
{
    for (unsigned i = 0; i < u->regions; i++) {
        if (u->region[i].told && !u->region[i].wanted) {
            return true;
        }
    }
    return false;
}

static bool rmnic_mem_none_leaving(const RmnicUser *u)
{
    return !rmnic_mem_leaving(u);
}

static void rmnic_mem_want(RmnicUser *u, const RmnicUserRegion *scan)
{
    for (unsigned i = 0; i < u->regions; i++) {
        if (rmnic_mem_same(&u->region[i], scan)) {
            u->region[i].wanted = true;
            return;
        }
    }
    /* Those of before and those of now fit: two full tables. */
    memory_region_ref(scan->mr);
    u->region[u->regions] = *scan;
    u->region[u->regions++].wanted = true;
}

/* USER-11: what goes away is not in use any more when this returns. */
static void rmnic_mem_commit(MemoryListener *listener)
{
    RmnicUser *u = container_of(listener, RmnicUser, listener);

    for (unsigned i = u->regions; i-- > 0;) {
        u->region[i].wanted = false;
    }
    for (unsigned i = 0; i < u->scanned; i++) {
        rmnic_mem_want(u, &u->scan[i]);
    }
    for (unsigned i = u->regions; i-- > 0;) {
        if (!u->region[i].wanted && !u->region[i].told) {
            rmnic_mem_remove(u, i);
        }
    }
    trace_rmnic_user_regions(u->s, u->scanned);
    if (u->unusable != UINT64_MAX && !u->starting) {
        warn_report_once("rmnic: the memory at 0x%" PRIx64 " is on no sealed shared memfd: the "
                         "guest cannot page what is in it: give it -object memory-backend-memfd,"
                         "share=on", u->unusable);
    }
    if (rmnic_mem_leaving(u)) {
        rmnic_user_wait(u, rmnic_mem_none_leaving, INT64_MAX);
    } else if (u->timer) { /* there is a link */
        rmnic_link_run(u);
    }
}

/* --- Life -------------------------------------------------------------------------------------------- */

bool rmnic_mem_init(RmnicUser *u, Error **errp)
{
    u->unusable = UINT64_MAX;
    u->listener = (MemoryListener) {
        .name = "rmnic",
        .begin = rmnic_mem_begin,
        .region_add = rmnic_mem_section,
        .region_nop = rmnic_mem_section,
        .commit = rmnic_mem_commit,
    };
    memory_listener_register(&u->listener, &address_space_memory);
    if (u->unusable != UINT64_MAX) {
        error_setg(errp, "rmnic: chardev= needs the guest's memory on a sealed shared memfd, "
                   "and what is at 0x%" PRIx64 " is not: add -object memory-backend-memfd,id=mem,"
                   "size=%" PRIu64 ",share=on -machine memory-backend=mem", u->unusable,
                   (uint64_t)current_machine->ram_size);
        rmnic_mem_exit(u);
        return false;
    }
    return true;
}

/* The backend does not have any of it any more. */
void rmnic_mem_exit(RmnicUser *u)
{
    memory_listener_unregister(&u->listener);
    while (u->regions) {
        rmnic_mem_remove(u, u->regions - 1);
    }
}
