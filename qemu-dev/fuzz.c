/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fuzz.c - guest memory as QEMU's generic fuzzer has it: written when the device is about to
 * read it. Only in a QEMU that is built for fuzzing.
 *
 * A queue stays mapped, and its owner writes it again and again: so the fuzzer may do that at
 * each doorbell, in the order in which the memory was mapped.
 */
#include "rmnic.h"

#define RMNIC_FUZZ_MAPPINGS 256

static struct rmnic_mapping mapped[RMNIC_FUZZ_MAPPINGS];
static unsigned mapped_count;

void rmnic_fuzz_mapped(const struct rmnic_mapping *mapping)
{
    fuzz_dma_read_cb(mapping->addr, mapping->len, mapping->opaque);
    if (mapped_count < RMNIC_FUZZ_MAPPINGS) {
        mapped[mapped_count++] = *mapping;
    }
}

void rmnic_fuzz_unmapped(const struct rmnic_mapping *mapping)
{
    for (unsigned i = 0; i < mapped_count; i++) {
        if (mapped[i].ptr == mapping->ptr && mapped[i].len == mapping->len) {
            mapped_count--;
            memmove(&mapped[i], &mapped[i + 1], (mapped_count - i) * sizeof(mapped[0]));
            return;
        }
    }
}

void rmnic_fuzz_doorbell(void)
{
    for (unsigned i = 0; i < mapped_count; i++) {
        fuzz_dma_read_cb(mapped[i].addr, mapped[i].len, mapped[i].opaque);
    }
}
