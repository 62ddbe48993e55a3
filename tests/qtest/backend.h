/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * backend.h - a backend that misbehaves on request: a child process that speaks rmnic-user
 * (spec/user.md) and executes no commands.
 *
 * Test and child share a Plan. Being a process of its own, it can be stopped and killed.
 */
#ifndef RMNIC_TEST_BACKEND_H
#define RMNIC_TEST_BACKEND_H

#include "qemu/osdep.h"

#include "rmnic/user.h"

/* What is wrong with a reply. */
typedef enum Lie {
    LIE_NONE,
    LIE_MAGIC,
    LIE_RESERVED,
    LIE_TYPE,
    LIE_SEQ,
    LIE_FLAGS,
    LIE_STATUS,
    LIE_LONG,        /* longer than any message */
    LIE_LENGTH,      /* not its type's */
    LIE_TWICE,       /* answered twice */
    LIE_FDS,
    LIE_NOTICE,      /* one that does not exist */
    LIE_FATAL,       /* with an error that does not exist */
    LIE_FLOOD,       /* notices without end */
    LIE_PID,         /* another process answers */
    LIE_CUT,         /* half a reply, then the end */
    LIE__MAX
} Lie;

typedef struct Plan {
    /* Set by the test at any time. */
    uint32_t hang;         /* request that is never answered */
    uint32_t stop;         /* request at which the process stops itself (SIGSTOP) */
    uint32_t refuse;       /* request that is refused, ... */
    uint32_t refuse_status;
    uint32_t refuse_times; /* so often, then it is taken; 0: always */
    uint64_t available;
    char refuse_text[RMNIC_USER_TEXT_MAX];
    uint32_t lie_at;       /* request whose reply is ... */
    uint32_t lie;
    uint32_t error;        /* of ENABLE's reply */
    uint16_t version;      /* of HELLO's reply; 0: the right one */
    uint64_t lacks;        /* features */
    uint64_t short_of;     /* pages that are not reserved although the answer is OK */
    uint64_t scribble;     /* guest address that is written to from ENABLE until RESET or STOP */
    uint64_t leave;        /* says LEAVING and closes the connection, once a step up */
    uint64_t fatal;        /* generation << 32 | error: says FATAL, once a change */
    uint64_t interrupt;    /* vector + 1: raises it, once a change */
    uint32_t late_ms;      /* begins to listen so late */
    bool stays;            /* goes on listening after a connection ended */
    bool lives;            /* ... and writing */
    struct rmnic_stats stats;

    /* Seen by the child. */
    uint64_t seen[RMNIC_USER_REQUESTS]; /* requests that came */
    uint64_t connections;
    uint64_t kicks;
    uint64_t scribbles;
    uint32_t epoch, block_epoch;
    uint32_t stopped;      /* of the last ENABLE */
    uint32_t generation;   /* of the last ENABLE */
    uint64_t capacity;     /* of the last DEVICE or CAPACITY */
    uint64_t features;
    struct rmnic_user_region region[RMNIC_USER_MAX_REGIONS]; /* size 0: none */
    uint32_t unsealed;     /* regions or blocks that could shrink */
    uint32_t vectors;
    uint32_t trouble;      /* line at which the front end broke the protocol; 0: never */
} Plan;

typedef struct Backend {
    Plan *plan;
    char *path;
    pid_t pid;
    int wake; /* a byte: look at the plan */
} Backend;

/* A plan in memory that parent and child share. */
Plan *plan_new(void);
/* A child that listens on path when this returns. */
Backend *backend_start(const char *path, Plan *plan);
/* It looks at the plan now. */
void backend_wake(Backend *backend);
/* Ends it if it lives, and waits for it. Returns its wait status. The plan stays. */
int backend_end(Backend *backend);
/* Waits for its end. */
int backend_wait(Backend *backend);
bool backend_lives(Backend *backend);

/* backend_child.c: what the child does until it ends; a byte on wake means: look at the plan. */
G_NORETURN void backend_child(Plan *plan, int listener, int wake);

#endif /* RMNIC_TEST_BACKEND_H */
