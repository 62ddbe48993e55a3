# SPDX-License-Identifier: BSD-3-Clause
"""Which of the machine's CPUs run the guest's virtual ones, and which run what serves them.

A virtual CPU that pages spins for its page, and what brings the page should not have to wait for that. A
scheduler does not know, and may well put both on one CPU while another one has nothing to do.
"""
import os


def split(vcpus):
    """(CPUs for the virtual ones, CPUs for all else), or None where there are not more CPUs than virtual ones."""
    cpus = sorted(os.sched_getaffinity(0))
    if len(cpus) <= vcpus:
        return None
    return set(cpus[:vcpus]), set(cpus[vcpus:])


def move(answer, cpus):
    """answer: to query-cpus-fast. Each virtual CPU's thread gets a CPU of its own."""
    for vcpu, cpu in zip(answer.get("return", []), sorted(cpus)):
        try:
            os.sched_setaffinity(vcpu["thread-id"], {cpu})
        except ProcessLookupError:
            pass  # QEMU ended meanwhile, which is noticed elsewhere
