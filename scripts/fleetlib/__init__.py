# SPDX-License-Identifier: BSD-3-Clause
"""A small fleet on this machine: memory servers and a backend, each in a network namespace of its own."""
