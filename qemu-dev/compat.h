/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * compat.h - every difference between the QEMU versions that the device is built with
 * (7.2 and 10.0), so that no other file asks for a version.
 */
#ifndef RMNIC_COMPAT_H
#define RMNIC_COMPAT_H

#include "qemu/osdep.h"

#define RMNIC_QEMU_AT_LEAST(major, minor)    \
    (QEMU_VERSION_MAJOR > (major) ||         \
     (QEMU_VERSION_MAJOR == (major) && QEMU_VERSION_MINOR >= (minor)))

#if RMNIC_QEMU_AT_LEAST(8, 0)
#include "hw/pci/pci_device.h"
#else
#include "hw/pci/pci.h"
#endif

#if RMNIC_QEMU_AT_LEAST(10, 0)
#include "exec/ramblock.h"
#include "system/hostmem.h"
#include "system/iothread.h"
#include "system/kvm.h"
#include "system/runstate.h"
#include "system/system.h"
#include "system/tcg.h"
#else
#include "exec/ramblock.h"
#include "sysemu/hostmem.h"
#include "sysemu/iothread.h"
#include "sysemu/kvm.h"
#include "sysemu/runstate.h"
#include "sysemu/sysemu.h"
#include "sysemu/tcg.h"
#endif

#include "block/aio.h"
#include "chardev/char-fe.h"
#include "chardev/char-socket.h"
#include "exec/memory.h"
#include "hw/qdev-core.h"
#include "hw/qdev-properties.h"
#include "migration/blocker.h"
#include "qapi/error.h"
#include "qemu/main-loop.h"

/* 8.2 gave the big lock its name. */
#if RMNIC_QEMU_AT_LEAST(8, 2)
#define rmnic_bql_lock()   bql_lock()
#define rmnic_bql_unlock() bql_unlock()
#define rmnic_bql_held()   bql_locked()
#else
#define rmnic_bql_lock()   qemu_mutex_lock_iothread()
#define rmnic_bql_unlock() qemu_mutex_unlock_iothread()
#define rmnic_bql_held()   qemu_mutex_iothread_locked()
#endif

/* 10.0 made property arrays constant and dropped their terminator. */
#if RMNIC_QEMU_AT_LEAST(10, 0)
#define RMNIC_PROPERTIES static const Property
#define RMNIC_PROPERTIES_END
#else
#define RMNIC_PROPERTIES static Property
#define RMNIC_PROPERTIES_END DEFINE_PROP_END_OF_LIST(),
#endif

/* 8.2 made the lists of a VMStateDescription constant. */
#if RMNIC_QEMU_AT_LEAST(8, 2)
#define RMNIC_VMFIELDS (const VMStateField[])
#else
#define RMNIC_VMFIELDS (VMStateField[])
#endif

/* 9.2 renamed the reset method that knows no phases. */
static inline void rmnic_class_set_reset(DeviceClass *dc,
                                         void (*reset)(DeviceState *dev))
{
#if RMNIC_QEMU_AT_LEAST(9, 2)
    device_class_set_legacy_reset(dc, reset);
#else
    dc->reset = reset;
#endif
}

/* 8.2 made the blocker's owner the migration code. */
static inline bool rmnic_migration_block(Error **reason, Error **errp)
{
#if RMNIC_QEMU_AT_LEAST(8, 2)
    return migrate_add_blocker(reason, errp) == 0;
#else
    if (migrate_add_blocker(*reason, errp) == 0) {
        return true;
    }
    error_free(*reason);
    *reason = NULL;
    return false;
#endif
}

static inline void rmnic_migration_unblock(Error **reason)
{
#if RMNIC_QEMU_AT_LEAST(8, 2)
    migrate_del_blocker(reason);
#else
    migrate_del_blocker(*reason);
    error_free(*reason);
    *reason = NULL;
#endif
}

/* 9.2 counts in milliseconds. */
static inline void rmnic_chardev_no_reconnect(SocketChardev *chr)
{
#if RMNIC_QEMU_AT_LEAST(9, 2)
    chr->reconnect_time_ms = 0;
#else
    chr->reconnect_time = 0;
#endif
}

/* 8.1 gave blocks of files an offset. */
static inline uint64_t rmnic_ram_fd_offset(const RAMBlock *block)
{
#if RMNIC_QEMU_AT_LEAST(8, 1)
    return block->fd_offset;
#else
    return 0;
#endif
}

/* 10.0 looks at the attributes of an access as well. */
static inline bool rmnic_access_is_direct(MemoryRegion *mr, bool is_write)
{
#if RMNIC_QEMU_AT_LEAST(10, 0)
    return memory_access_is_direct(mr, is_write, MEMTXATTRS_UNSPECIFIED);
#else
    return memory_access_is_direct(mr, is_write);
#endif
}

/* 8.1 dropped "external" handlers. */
static inline void rmnic_aio_set_notifier(AioContext *ctx, EventNotifier *notifier,
                                          EventNotifierHandler *io_read,
                                          AioPollFn *io_poll,
                                          EventNotifierHandler *io_poll_ready)
{
#if RMNIC_QEMU_AT_LEAST(8, 1)
    aio_set_event_notifier(ctx, notifier, io_read, io_poll, io_poll_ready);
#else
    aio_set_event_notifier(ctx, notifier, false, io_read, io_poll, io_poll_ready);
#endif
}

#endif /* RMNIC_COMPAT_H */
