/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * program.h - what the fuzzers of RMP share: the input read as a program, and an environment
 * (clock, randomness, memory) that the program drives. One thread.
 */
#ifndef PROGRAM_H
#define PROGRAM_H

#include <stddef.h>
#include <stdint.h>

#include "engine/env.h"

extern uint64_t program_now; /* ns; the clock of program_env_ops */
extern const struct rmnic_env_ops program_env_ops;

/* Begins with an input: the clock and the randomness are those of every other run. */
void program_begin(const uint8_t *data, size_t size);
/* Bytes not yet taken. */
size_t program_left(void);
/* The next bytes as a little-endian number; zeros where the input is at its end. */
uint64_t take(unsigned int bytes);

#endif
