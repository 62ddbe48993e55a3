# SPDX-License-Identifier: BSD-3-Clause
"""Everything that can happen to servers, backend and network, to a guest that pages and verifies all the while."""
from fleetlib.fleet import Fleet

from remotelib.ordeal import RMNICD, Ordeal


def _fleet(name, spare=0, spill=None):
    # Two of three hold everything, when the third is missing.
    return Fleet(3, name + "-fleet", memory="448M", spare=spare, spill=spill, rmnicd_args=RMNICD)


def _suffered(name, ordeal):
    """To the end of the guest: nothing is wrong. What it noticed is for the log only: machines differ."""
    result = ordeal.end()
    print(name, ordeal.done, ordeal.slowest(), "rounds:", result["rounds"], flush=True)


def servers_die():
    """STATE-22 to STATE-25: with a member left nobody notices, whoever else dies meanwhile."""
    with _fleet("e2e-dying") as fleet, Ordeal(fleet, "e2e-dying") as ordeal:
        first, second, third = ordeal.holders()
        ordeal.suffer(ordeal.server_dies, first)
        ordeal.suffer(ordeal.server_restarts, second)
        ordeal.suffer(ordeal.server_stands_still, third)
        ordeal.suffer(ordeal.backend_dies)
        ordeal.suffer(ordeal.both_die, second)
        _suffered("servers die:", ordeal)


def servers_come_and_go():
    """Servers are added, drained and removed while they are in use."""
    with _fleet("e2e-moving", spare=1) as fleet, Ordeal(fleet, "e2e-moving") as ordeal:
        spare = fleet.servers[3]
        first, second, _ = ordeal.holders()
        ordeal.suffer(ordeal.server_leaves, first)
        ordeal.suffer(ordeal.server_joins, spare)
        ordeal.suffer(ordeal.server_leaves, second)
        _suffered("servers come and go:", ordeal)


def network_fails():
    """RULES F5, RMP-29: cables, partitions in one direction, noise; a spill file for when nobody can be reached (STATE-28)."""
    with _fleet("e2e-network", spill="448M") as fleet, Ordeal(fleet, "e2e-network") as ordeal:
        first, second, third = ordeal.holders()
        ordeal.suffer(ordeal.noise)
        ordeal.suffer(ordeal.cable_is_cut, first)
        ordeal.suffer(ordeal.deaf, second, True)
        ordeal.suffer(ordeal.deaf, third, False)
        ordeal.suffer(ordeal.all_cables_are_cut)
        _suffered("the network fails:", ordeal)
