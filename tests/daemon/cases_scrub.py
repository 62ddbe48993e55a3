# SPDX-License-Identifier: BSD-3-Clause
"""Pages that rot in a server's memory: found, not given out, and put right from another server."""
import contextlib
import os

from fleetlib import faults
from fleetlib.fleet import Fleet
from guest import SC_OK
from rig import SLAB, Rig, until

PAGES = 256
SPOILT = 5


@contextlib.contextmanager
def _two(*words, memd=()):
    """A rig of two servers that both have every page."""
    fleet = Fleet(2, "daemon-scrub", memory="256M", rmnicd_args=["--replicas", "2", *words], memd_args=list(memd))
    rig = Rig()
    with fleet:
        rig.made = fleet
        yield rig


def _written(rig):
    """A guest, and the pages it has written."""
    guest = rig.guest(capacity=SLAB)
    pages = [os.urandom(4096) for _ in range(PAGES)]
    for rpn, page in enumerate(pages):
        guest.fill(20, page)
        assert guest.page_out(rpn, 20) == SC_OK
    return guest, pages


def _check(guest, pages):
    for rpn, page in enumerate(pages):
        guest.fill(21, bytes(4096))
        assert guest.page_in(rpn, 21) == SC_OK
        assert guest.look(21) == page, f"page {rpn} is another one"


def _both(rig, name):
    return [server.ask("stats")[name] for server in rig.fleet.servers]


def scrub__found_by_the_servers(_):
    """RMP-40, STATE-27: nobody asks for the pages, and yet they are found and put right."""
    with _two("--scrub-rate", "20000", memd=["--scrub-rate", "20000"]) as rig:
        guest, pages = _written(rig)
        until("pages to be looked at", lambda: min(_both(rig, "scrubbed_pages")) > PAGES)
        assert not sum(_both(rig, "damaged_pages"))
        assert faults.spoil_memory(rig.fleet.servers[0].child.pid, SPOILT) == SPOILT
        looked = _both(rig, "scrubbed_pages")[0]
        until("all pages to be looked at again", lambda: _both(rig, "scrubbed_pages")[0] > looked + 3 * PAGES)
        found, other = _both(rig, "damaged_pages")
        # Some of what was spoilt may have been free: what a page left that came twice.
        assert 1 <= found <= SPOILT and other == 0, (found, other)
        until("it to be put right", lambda: _both(rig, "healed_pages") == [found, 0])
        until("that to be counted", lambda: rig.ask("stats")["pages_fixed"] >= found)
        assert not any(_both(rig, "bad_pages"))
        _check(guest, pages)
        guest.close()


def scrub__found_by_the_reader(_):
    """A page that is damaged is never delivered: another server is read, and the bad copy replaced."""
    with _two("--scrub-rate", "1", memd=["--scrub-rate", "0"]) as rig:
        guest, pages = _written(rig)
        first = rig.ask("slabs")[0]["members"][0]["address"]  # who is asked first
        server = next(server for server in rig.fleet.servers if first.startswith(server.address + ":"))
        assert faults.spoil_memory(server.child.pid, SPOILT) == SPOILT
        _check(guest, pages)
        # Not all of them perhaps: one may have been free, and of one a hedge may have brought the other copy first.
        until("bad copies to be replaced", lambda: server.ask("stats")["healed_pages"] >= 1)
        until("that to be counted", lambda: rig.ask("stats")["pages_fixed"] == server.ask("stats")["healed_pages"])
        assert not any(_both(rig, "bad_pages"))
        _check(guest, pages)
        guest.close()
