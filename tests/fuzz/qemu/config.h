/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * config.h - the device in QEMU's generic fuzzer (tests/qtest/fuzz/generic_fuzz_configs.h there)
 *
 * Entries of predefined_configs[]: qemu-dev/hook has that array include this file. Slabs and
 * queues are few, so that random numbers find those that exist, and those that do not.
 */
    {
        .name = "rmnic",
        .args = "-L /usr/share/seabios -L /usr/share/qemu -machine q35 -nodefaults -smp 1,maxcpus=2 "
                "-device rmnic,id=rm0,addr=4.0,size=8M,capacity=4M,slab-size=1M,queues=4,queue-depth=16,vectors=3",
        .objects = "rmnic*",
    },
