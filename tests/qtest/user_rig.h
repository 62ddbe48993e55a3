/* SPDX-License-Identifier: BSD-3-Clause */
/* user_rig.h - a rig whose device has a backend (backend.h). */
#ifndef RMNIC_TEST_USER_RIG_H
#define RMNIC_TEST_USER_RIG_H

#include "rig.h"

#include "backend.h"

/* The guest's memory as chardev= wants it, and the machine that has it. */
#define USER_MEMORY "-object memory-backend-memfd,id=mem,size=256M,share=on"
#define USER_Q35    "-machine q35,memory-backend=mem " USER_MEMORY
#define USER_PC     "-machine pc,memory-backend=mem " USER_MEMORY

typedef struct UserRig {
    Rig *rig;
    Plan *plan;
    Backend *backend;
    char *path;
    Pair admin;
    uint64_t page; /* of guest memory, that the backend may scribble on */
} UserRig;

/* A backend and a q35 with a device on it; props begins with a comma. */
UserRig user_start(const char *props, const char *more);
/* A backend and a machine with chardev c0 to it, no device. */
UserRig user_start_bare(const char *options);
/* Enables the device and waits for READY; the backend scribbles from now on. */
void user_ready(UserRig *u);
/* The backend ends as this test wants, another one comes and has been told everything. */
void user_next_backend(UserRig *u);
/* Waits until the device is connected and has nothing more to say. */
void user_settled(UserRig *u);
/* QEMU and then the backend end; both must not have done wrong. */
void user_end(UserRig *u);

/* A number of the property "backend"; its text: free it. */
uint64_t user_number(UserRig *u, const char *name);
char *user_text(UserRig *u, const char *name);
uint64_t user_seen(UserRig *u, uint16_t request);
uint32_t user_status(UserRig *u);
/* qtest_qmp() of a command that must fail; the error's text: free it. */
char *user_qmp_error(UserRig *u, const char *command);
/* The backend writes to the page, now: waits for it. */
void user_scribbled(UserRig *u);
/* Nothing writes to the page any more. */
void user_quiet(UserRig *u);

#endif /* RMNIC_TEST_USER_RIG_H */
