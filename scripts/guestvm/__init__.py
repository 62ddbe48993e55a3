# SPDX-License-Identifier: BSD-3-Clause
"""Boots a guest in QEMU, follows its reports, and answers what its jobs ask of the host."""
