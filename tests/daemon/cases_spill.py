# SPDX-License-Identifier: BSD-3-Clause
"""Pages that no server can take are in the spill file, a real one, and come back from it (STATE-28)."""
import contextlib
import os
import stat
import subprocess
import tempfile
import uuid

from front import BAD_STATE, BYE, LIMIT_S, NO_SPACE, OK, Front, State
from guest import SC_OK, Guest, content
from rig import SLAB, Child, Fleet, program, until

from fleetlib import faults  # pylint: disable=wrong-import-order
from remotelib.wire import crc32c  # pylint: disable=wrong-import-order

SC_LOST = 0x301
SLABS = 4


@contextlib.contextmanager
def _fleet(slabs, size, *words, servers=1, spare=0, replicas=1):
    """Servers with room for so many slabs each, and a backend with so much of a spill directory."""
    with Fleet(servers, "daemon-spill", memory=f"{slabs * 64}M", spare=spare, spill=size,
               rmnicd_args=["--replicas", str(replicas), *words]) as fleet:
        yield fleet


def _guest(fleet, slabs=SLABS):
    return Guest(uuid.uuid4().bytes, capacity=slabs * SLAB).start(fleet.socket)


def _rpns(slabs=SLABS):
    return [slab * SLAB + at for slab in range(slabs) for at in (0, 1, 77, SLAB - 1)]


def _fill(guest, rpns, seed):
    for rpn in rpns:
        guest.fill(20, content(rpn + seed))
        assert guest.page_out(rpn, 20) == SC_OK, rpn


def _verify(guest, rpns, seed):
    for rpn in rpns:
        status = guest.page_in(rpn, 21)
        assert status == SC_OK, f"page {rpn}: {status:#x}"
        assert guest.look(21) == content(rpn + seed), f"page {rpn} is another"


def _spilled(fleet):
    return fleet.ask("stats")["spilled_pages"]


def _file(fleet, guest):
    return os.path.join(fleet.spill_dir, f"{uuid.UUID(bytes=guest.state.uuid)}.spill")


def _again(fleet, guest):
    """A successor of a backend that was killed."""
    fleet.backend.kill()
    fleet.backend.wait(LIMIT_S)
    fleet.start_backend()
    guest.front.drop()
    guest.connect(fleet.socket)
    assert guest.go_on() == 0


def _again_in_the_middle(fleet, guest, seed):
    """... while some pages are written once more."""
    for at, rpn in enumerate(_rpns()[-8:]):
        guest.fill(30 + at, content(rpn + seed))
        guest.out.submit(guest.io(1, rpn, guest.address(30 + at)))
    _again(fleet, guest)
    assert {guest.out.wait()[1] for _ in range(8)} == {SC_OK}


def _there_and_back(io):
    with _fleet(2, "512M", "--spill-io", io, spare=1) as fleet:
        guest = _guest(fleet)
        path = _file(fleet, guest)
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
        _fill(guest, _rpns(), 3)
        assert 0 < _spilled(fleet) <= len(_rpns())
        _verify(guest, _rpns(), 3)
        _again_in_the_middle(fleet, guest, 3)
        _verify(guest, _rpns(), 3)
        before = os.stat(path).st_blocks * 512
        assert before >= 64 << 20
        fleet.servers[1].start().ready(LIMIT_S)
        faults.add(fleet, fleet.servers[1])
        until("every page is with the servers", lambda: not _spilled(fleet))
        until("the file is empty", lambda: os.stat(path).st_blocks * 512 < 1 << 20)
        _verify(guest, _rpns(), 3)
        assert guest.front.request(BYE).status == OK
        until("its file is gone with it", lambda: not os.path.exists(path))
        guest.close()


def spill__servers_are_full(_):
    """RULES L1: the device starts, its pages survive the backend, and go to a server that is added."""
    _there_and_back("io_uring")


def spill__without_io_uring(_):
    """Where a container's seccomp profile forbids it, a thread does the same."""
    _there_and_back("thread")


def spill__servers_are_silent(_):
    """STATE-28: a page goes out although nobody answers, and it comes in."""
    with _fleet(4, "512M", servers=2, replicas=2) as fleet:
        guest = _guest(fleet, 2)
        _fill(guest, _rpns(2), 1)
        for server in fleet.servers:
            server.child.freeze()
        _fill(guest, _rpns(2), 2)
        assert _spilled(fleet) == len(_rpns(2))
        _verify(guest, _rpns(2), 2)
        for server in fleet.servers:
            server.child.thaw()
        until("every page is with the servers", lambda: not _spilled(fleet))
        _verify(guest, _rpns(2), 2)
        until("the file is empty", lambda: os.stat(_file(fleet, guest)).st_blocks * 512 < 1 << 20)
        guest.close()


def spill__killed_again_and_again(_):
    """The backend dies at any moment, pages on their way into the file and back."""
    with _fleet(1, "512M", servers=2) as fleet:
        guest, seed = _guest(fleet), 0
        for seed in range(8):
            _fill(guest, _rpns(), seed)
            _again_in_the_middle(fleet, guest, seed)
            _verify(guest, _rpns(), seed)
        guest.close()


def spill__another_file(_):
    """STATE-29: what was in a file that is not there any more is lost, and nothing else."""
    with _fleet(2, "512M") as fleet:
        guest = _guest(fleet)
        _fill(guest, _rpns(), 1)
        spilled = _spilled(fleet)
        fleet.backend.kill()
        fleet.backend.wait(LIMIT_S)
        os.unlink(_file(fleet, guest))
        fleet.start_backend()
        guest.front.drop()
        guest.connect(fleet.socket)
        assert guest.go_on() == 0
        status = [guest.page_in(rpn, 21) for rpn in _rpns()]
        assert status.count(SC_LOST) == spilled and status.count(SC_OK) == len(status) - spilled, status
        with open(fleet.backend.log, encoding="utf-8") as log:
            assert "the pages in it are lost" in log.read()
        _fill(guest, _rpns(), 2)
        _verify(guest, _rpns(), 2)
        guest.close()


def spill__not_without_its_directory(_):
    """A successor that knows no spill directory does not serve the device: its pages would look lost."""
    with _fleet(2, "512M") as fleet:
        guest = _guest(fleet)
        _fill(guest, _rpns(), 1)
        fleet.backend.kill()
        fleet.backend.wait(LIMIT_S)
        size, fleet.spill = fleet.spill, None
        fleet.start_backend()
        front = Front(fleet.socket)
        answer = front.device(guest.state, guest.capacity)
        assert answer.status == BAD_STATE and "spill_dir" in answer.text, (answer.status, answer.text)
        front.drop()
        fleet.spill = size
        fleet.start_backend()
        guest.front.drop()
        guest.connect(fleet.socket)
        assert guest.go_on() == 0
        _verify(guest, _rpns(), 1)
        guest.close()


def spill__in_use(_):
    """A predecessor that is not dead: its file is not opened beside it, whatever it may still write (RULES A3)."""
    with _fleet(2, "512M") as fleet:
        guest = _guest(fleet)
        _fill(guest, _rpns(), 1)
        words = fleet.backend_argv() + ["--control", fleet.control + "2", "--socket", fleet.socket + "2",
                                        "--udp-port", "9700"]
        second = Child("rmnicd2", words, fleet.space, fleet.scratch, fleet.log_dir).start()
        try:
            second.ready(LIMIT_S)
            front = Front(fleet.socket + "2")
            answer = front.device(guest.state, guest.capacity)
            assert answer.status == BAD_STATE and "in use" in answer.text, (answer.status, answer.text)
            front.drop()
        finally:
            second.stop()
        _verify(guest, _rpns(), 1)
        guest.close()


def spill__of_an_earlier_life(_):
    """After a restart of the machine nobody will ask for a file: it is removed. This life's files are not."""
    with _fleet(2, "512M") as fleet:
        guest = _guest(fleet)
        _fill(guest, _rpns(), 1)
        path = _file(fleet, guest)
        with open(path, "rb") as file:
            head = bytearray(file.read(88))
        old, foreign = (os.path.join(fleet.spill_dir, f"{uuid.uuid4()}.spill") for _ in range(2))
        head[40:76] = str(uuid.uuid4()).encode()
        head[84:88] = crc32c(head[:84]).to_bytes(4, "little")
        for name, what in ((old, head), (foreign, b"not ours")):
            with open(name, "wb") as file:
                file.write(what)
        _again(fleet, guest)
        assert not os.path.exists(old) and os.path.exists(foreign) and os.path.exists(path)
        _verify(guest, _rpns(), 1)
        guest.close()


def spill__a_device_that_is_too_large(_):
    """RULES L1: more than servers and file hold is refused; how much there is is said."""
    with _fleet(2, "80M") as fleet:
        state = State(uuid.uuid4().bytes, SLABS * SLAB)
        front = Front(fleet.socket)
        answer = front.device(state)
        assert answer.status == NO_SPACE, (answer.status, answer.text)
        assert "spill_size" in answer.text and str(SLABS * SLAB) in answer.text, answer.text
        front.close()
        state.close()
        until("its file is gone", lambda: not os.listdir(fleet.spill_dir))


def _refused(*expected, **setting):
    words = [word for name, value in setting.items() for word in ("--" + name.replace("_", "-"), value)]
    with tempfile.TemporaryDirectory(prefix="rmnic-daemon-") as scratch:
        done = subprocess.run([program("rmnicd"), "--port", "af_packet:none", "--no-huge", "--socket", scratch + "/s",
                               "--control", scratch + "/c", *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, timeout=LIMIT_S, check=False)
    assert done.returncode == 1, (done.returncode, done.stdout)
    for word in expected:
        assert word in done.stdout, f"'{word}' is not in: {done.stdout}"


def spill__no_such_directory(_):
    _refused("/nonexistent/spill", "No such file", spill_dir="/nonexistent/spill")
    _refused("/etc/passwd", "Not a directory", spill_dir="/etc/passwd")
    _refused("spill_dir is not", spill_size="64M")


def spill__more_than_the_disk_has(_):
    with tempfile.TemporaryDirectory(prefix="rmnic-daemon-") as scratch:
        _refused("spill_size", "free", scratch, spill_dir=scratch, spill_size="8388608M")


def spill__a_file_system_that_cannot(_):
    _refused("/proc", spill_dir="/proc")
