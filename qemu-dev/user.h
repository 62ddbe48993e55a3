/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * user.h - a device whose commands are executed by a backend process (spec/user.md, the front
 * end's side).
 *
 *   user.c         the mode's answers to the registers (RmnicModeOps), start and stop
 *   user_link.c    the connection: made, lost, the backend's death waited for or brought about
 *   user_talk.c    what to say next
 *   user_hear.c    what an answer or a notice means
 *   user_io.c      messages on the socket
 *   user_peer.c    the process at the other end
 *   user_mem.c     the guest's memory as regions
 *   user_report.c  warnings, and the properties that show all this
 *
 * There is no list of things to do: `wanted` says what shall be, `told` what the backend at the
 * other end was told so far, and rmnic_user_talk() says the next thing in which they differ. A
 * backend that comes after another was told nothing, so it is told everything.
 *
 * Everything is called under the BQL, in the main loop or in a vCPU's thread. Nothing waits but
 * what ends in rmnic_user_wait().
 */
#ifndef QEMU_RMNIC_USER_H
#define QEMU_RMNIC_USER_H

#include "rmnic.h"

#include "engine/user_msg.h"

/* Those that go away are still there until the backend let go of them. */
#define RMNIC_USER_REGIONS (2 * RMNIC_USER_MAX_REGIONS)

typedef enum RmnicLink {
    RMNIC_LINK_DOWN,  /* nobody is there and nobody can touch the guest's memory */
    RMNIC_LINK_UP,    /* connected */
    RMNIC_LINK_DYING, /* not connected, but the process may still write (USER-19) */
} RmnicLink;

/* The process at the other end of a connection. */
typedef struct RmnicPeer {
    pid_t pid;
    int pidfd; /* -1: none */
} RmnicPeer;

typedef struct RmnicUserRegion {
    uint64_t addr, size, offset;
    MemoryRegion *mr; /* referenced */
    int fd;           /* of mr */
    bool wanted;      /* the guest has it */
    bool told;        /* the backend may use it */
    bool refused;     /* this backend does not take it */
} RmnicUserRegion;

typedef struct RmnicUserRx {
    size_t len;
    union {
        uint8_t bytes[sizeof(struct rmnic_user_hdr) + RMNIC_USER_MAX_PAYLOAD];
        struct rmnic_user_hdr hdr;
    };
} RmnicUserRx;

struct RmnicUser {
    RmnicState *s;
    char *label;       /* of the chardev, which may end before us */

    /* The state block (RULES A1). */
    int state_fd;
    void *state;
    uint64_t state_size;
    uint32_t epoch;

    RmnicLink link;
    int fd;            /* LINK_UP */
    RmnicPeer peer;    /* not LINK_DOWN */
    bool entrusted;    /* it was given the state block */
    bool leaving;      /* it said LEAVING */
    bool killed;
    bool warned;       /* that QEMU may not kill */
    unsigned notices;  /* since the last ENABLE */
    char name[sizeof_field(struct rmnic_user_hello_reply, name) + 1];
    RmnicUserRx rx;

    /* Times are QEMU_CLOCK_REALTIME's, in ms; INT64_MAX: not set. */
    QEMUTimer *timer;
    int64_t connect_at; /* LINK_DOWN: the next attempt */
    int64_t ask_at;     /* LINK_UP: HELLO or DEVICE have to be answered, or may be asked again */
    int64_t kill_at;    /* DMA has to have ended by then */

    /* The request under way; type 0: none. */
    uint16_t req_type;
    uint32_t req_seq;
    unsigned req_index; /* MEM_ADD, MEM_DEL: the region */
    unsigned req_calls; /* CALL: vectors */
    uint64_t req_pages; /* CAPACITY */

    struct {
        uint32_t generation; /* 0: disabled */
        bool stopped;
        uint64_t capacity;   /* pages; at least s->capacity */
        bool stats;
        bool bye;
    } wanted;
    struct {
        bool hello, device, kick, bye;
        unsigned calls;
        uint32_t generation; /* from ENABLE being sent until RESET is answered */
        bool stopped;        /* from STOP being answered until START is sent */
        uint64_t capacity;
    } told;

    uint32_t generation; /* the last one used */

    MemoryListener listener;
    RmnicUserRegion region[RMNIC_USER_REGIONS];
    unsigned regions;
    RmnicUserRegion scan[RMNIC_USER_REGIONS]; /* while the listener runs */
    unsigned scanned;
    uint64_t unusable;   /* address of RAM that no backend can map; UINT64_MAX: none */

    Error *blocker;      /* of migration */
    Notifier exit;
    Notifier machine_done;

    /* While the device is realized the first thing that goes wrong is its error. */
    bool starting;
    bool patient;        /* ... but it may come right by itself */
    Error *error;
    char *grow_error;    /* why CAPACITY was refused */

    /* For people. */
    uint64_t complaints, connects, kills;
    char *said;          /* last */
    int64_t said_at;
    struct rmnic_stats stats, stats_before; /* the backend's last, and its predecessors' sum */
    int64_t stats_at;
};

/* --- user_io.c ------------------------------------------------------------------------------- */

/* One message, at once; false: the connection is broken. */
bool rmnic_user_send(RmnicUser *u, uint16_t type, const void *payload, uint32_t size,
                     const int *fds, unsigned nfds);
/*
 * 1: a message, its header in *msg and its payload behind u->rx.hdr, until the next call.
 * 0: nothing more has come. -1: the connection ended, or *why says what is wrong with it.
 */
int rmnic_user_receive(RmnicUser *u, struct rmnic_user_msg *msg, const char **why);
int64_t rmnic_user_now(void);

/* --- user_peer.c ----------------------------------------------------------------------------- */

/* Who is behind a connected socket. False: errp says why that process will not do. */
bool rmnic_peer_open(RmnicPeer *peer, int fd, Error **errp);
void rmnic_peer_close(RmnicPeer *peer);
bool rmnic_peer_dead(const RmnicPeer *peer);
/* Whether QEMU may end it. */
bool rmnic_peer_killable(const RmnicPeer *peer);
/* Ends it; its death is still to be awaited. False: errno says why not. */
bool rmnic_peer_kill(const RmnicPeer *peer);

/* --- user_link.c ----------------------------------------------------------------------------- */

bool rmnic_link_init(RmnicUser *u, Error **errp);
void rmnic_link_exit(RmnicUser *u);
/* Ends the connection; the process is waited for or ended unless it had nothing yet. */
void rmnic_link_drop(RmnicUser *u);
/* Something is wanted or was answered: times are set anew. */
void rmnic_link_arm(RmnicUser *u);
/* Reads what has come, says what is due, and does what is over time. Never waits. */
void rmnic_link_run(RmnicUser *u);
/*
 * rmnic_link_run() until done(u), for limit_ms at most (INT64_MAX: the kill sees to the end).
 * False: the time is over.
 */
bool rmnic_user_wait(RmnicUser *u, bool (*done)(const RmnicUser *u), int64_t limit_ms);

/* --- user_talk.c ----------------------------------------------------------------------------- */

/* Sends the next request, if none is under way and something is to be said. */
void rmnic_user_talk(RmnicUser *u);
/* The backend may write to the guest's memory although it should not, or use a region. */
bool rmnic_user_overdue(const RmnicUser *u);

/* --- user_hear.c ----------------------------------------------------------------------------- */

/* A message of the backend's. False: the connection cannot go on. */
bool rmnic_user_heard(RmnicUser *u, const struct rmnic_user_msg *msg, const void *payload);
/* Nobody is there any more who was told anything. */
void rmnic_user_forget(RmnicUser *u);

/* --- user_mem.c ------------------------------------------------------------------------------ */

bool rmnic_mem_init(RmnicUser *u, Error **errp);
void rmnic_mem_exit(RmnicUser *u);
/* The backend does not have the region any more. */
void rmnic_mem_untold(RmnicUser *u, unsigned index);
bool rmnic_mem_leaving(const RmnicUser *u);

/* --- user_report.c --------------------------------------------------------------------------- */

/* To the user, about the backend: once a second at most, and nothing twice in a row. */
void rmnic_user_say(RmnicUser *u, const char *format, ...) G_GNUC_PRINTF(2, 3);
/* The same, and what it did is wrong: counted (USER-23). */
void rmnic_user_complain(RmnicUser *u, const char *format, ...) G_GNUC_PRINTF(2, 3);
bool rmnic_user_stats(RmnicState *s, Visitor *v, Error **errp);
/* STATS was answered; the connection was lost. */
void rmnic_user_stats_take(RmnicUser *u, const struct rmnic_stats *stats);
void rmnic_user_stats_keep(RmnicUser *u);

#endif /* QEMU_RMNIC_USER_H */
