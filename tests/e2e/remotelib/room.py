# SPDX-License-Identifier: BSD-3-Clause
"""Who has room for what: servers that are full, devices that are, and neighbours."""
import os

from fleetlib import faults
from fleetlib.fleet import Fleet

from remotelib.guestrun import GuestRun

ONE_REPLICA = ("--replicas", "1")  # so that what there is in all is what is lent


def disk(scratch, mib):
    path = f"{scratch}/disk"
    with open(path, "wb") as file:
        file.truncate(mib << 20)
    return [f"-drive file={path},if=none,id=d,format=raw -device virtio-blk-pci,drive=d"]


def full_server(_scratch):
    """A server that is full is passed over: what it cannot take goes to the next one."""
    with Fleet(2, "e2e-full-fleet", memory=["128M", "512M"], rmnicd_args=ONE_REPLICA) as fleet:
        with GuestRun("e2e-full", fleet.socket, size=640) as guest:
            guest.until("fill")
            held = [len(server.ask("slabs")) for server in fleet.servers]
            free = [server.ask("memory")["free"] for server in fleet.servers]
            print("slabs:", held, "free:", free)
            # Both are full to the last slab, and the small one was long before the other.
            assert held == [2, 8], held
            assert max(free) < 64 << 20, free
            guest.ended()
            guest.result()


def spill_file(_scratch):
    """STATE-28: half of the device has its place in the spill file, until there is a server with room for it."""
    with Fleet(1, "e2e-spill-fleet", memory=["192M", "512M"], rmnicd_args=ONE_REPLICA, spare=1, spill="512M") as fleet:
        with GuestRun("e2e-spill", fleet.socket, timeout=480) as guest:
            guest.until("random read")
            assert fleet.ask("stats")["pages_spilled"] > 0, "no page went to the spill file"
            faults.kill_backend(fleet)
            fleet.start_backend()
            guest.until("rewrite")
            spare = fleet.servers[1]
            spare.start().ready(60)
            faults.add(fleet, spare)
            guest.ended()
            guest.result()
            faults.eventually("the spill file goes with its device", lambda: not os.listdir(fleet.spill_dir))


def used_up_slots(scratch):
    """RULES L1: a device that is full is passed over by the kernel; nothing is lost."""
    with Fleet(2, "e2e-slots-fleet", memory="64M", rmnicd_args=ONE_REPLICA) as fleet:
        with GuestRun("e2e-slots", fleet.socket, job="e2e-slots", size=128, extra=disk(scratch, 512)) as guest:
            said = "".join(guest.ended())
        assert "both devices are in use" in said
        guest.result()


def more_than_there_is(_scratch):
    """RULES L1: what cannot be held is not advertised; the message says how much there is."""
    with Fleet(2, "e2e-large-fleet", memory="128M", rmnicd_args=ONE_REPLICA) as fleet:
        with GuestRun("e2e-large", fleet.socket, size=1024) as guest:
            said = "".join(guest.ended(125))
        assert "65536" in said or "256 MiB" in said or "256M" in said, "it does not say how much there is"


def two_tenants(_scratch):
    """Two guests on one backend: the second one finds nothing of the first one's, and each its own."""
    with Fleet(2, "e2e-tenants-fleet", memory="512M", rmnicd_args=ONE_REPLICA) as fleet:
        with GuestRun("e2e-tenant-a", fleet.socket, env={"READS": 200000}, timeout=600) as first:
            first.until("random read")
            with GuestRun("e2e-tenant-b", fleet.socket, job="e2e-tenant") as second:
                said = second.until("e2e-tenant:")
                assert "all zeros" in said, said
                assert len(fleet.ask("devices")) == 2
                second.ended()
                second.result()
            first.ended()
            first.result()


def private_memory(_scratch):
    """A guest whose memory cannot be shared is told what to add."""
    with Fleet(1, "e2e-private-fleet", memory="512M") as fleet:
        with GuestRun("e2e-private", fleet.socket, shared=False) as guest:
            said = "".join(guest.ended(125))
        assert "memory-backend-memfd" in said, "it does not say what to add"
