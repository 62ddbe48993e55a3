# SPDX-License-Identifier: BSD-3-Clause
"""On the host, without a guest: rmnic and its peers over links of the same kind, at several queue depths."""
import contextlib
import json
import os
import subprocess
import time

from fleetlib.child import Child
from fleetlib.fleet import PORT, PROGRAMS, Fleet, program
from fleetlib.netns import Problem
from perflib import ROOT
from perflib.peers import PORTS, SERVER, PeerLink, PeerServer
from perflib.processes import LOAD_CPUS, SERVING_CPUS, cpu_s, entering
from perflib.settings import ONCE_CASES

QUESTION, HEADER, PAGE = 62, 62, 4096   # bytes of READ, in front of a page, of a page
ACKNOWLEDGED = 16                       # bytes of the least answer
SEQ_DEPTH = 16                          # also of peerload: at this depth there are more workloads
REFUSED = 1                             # status of a load that ran, but of which a page was wrong


def json_of(argv, log_dir, space=None, lines=False):
    """What a program prints as JSON, also of one that found a page wrong; another bad end is a problem with its name."""
    with open(os.path.join(log_dir, os.path.basename(argv[0]) + ".log"), "ab") as log:
        done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=log, preexec_fn=entering(space, LOAD_CPUS),
                              check=False)
    if done.returncode not in (0, REFUSED) or not done.stdout:
        raise Problem(f"{os.path.basename(argv[0])} ended with status {done.returncode}: see {os.path.relpath(log.name, ROOT)}")
    return [json.loads(line) for line in done.stdout.splitlines()] if lines else json.loads(done.stdout)


class HostRuns:
    def __init__(self, settings, samples):
        self.settings, self.samples = settings, samples
        self.end = None   # when no round is begun any more
        self.log_dir = os.path.join(ROOT, "build/log/perf-host")
        os.makedirs(self.log_dir, exist_ok=True)

    def parts(self):
        return ["host"]

    def steps(self):
        """Round by round, so that the machine's drift hits all alike."""
        for number in range(self.settings.rounds):
            for case in self.settings.host_cases:
                if case in ONCE_CASES and number:
                    continue
                yield f"host, round {number + 1}: {case}", lambda case=case, number=number: self.turn(case, number)

    def turn(self, case, number):
        if not self.end:
            self.end = time.monotonic() + self.settings.budget.begin("host")
        if number and time.monotonic() > self.end:
            self.samples.cut("host", case)
            return
        getattr(self, "run_" + case.replace("-", "_"))()

    # --- rmnic ---

    def fleet(self, servers=2, mib=None, **options):
        memory = f"{(mib or self.settings.host_mib) * 2 + 64}M"
        return Fleet(servers, "perf-fleet", memory=memory, cpus=SERVING_CPUS, **options)

    def phases(self, case, depth, report, cpu=None):
        """A report of rmnic-bench as samples."""
        if not report["ok"]:
            self.samples.bad(f"{case} at depth {depth}: {report['mismatches']} mismatches, {report['errors']} errors")
        for phase in report["phases"]:
            if phase["workload"] == "fill":
                continue
            self.samples.add("host", case, f"{phase['workload']} depth {depth}", cpu=cpu,
                             latency=phase["page_in_us"] if phase["pages_in"] else phase["page_out_us"],
                             in_rate=phase["pages_in"] / phase["seconds"] or None,
                             out_rate=phase["pages_out"] / phase["seconds"] or None)

    def bench(self, depth, *more, mib=None):
        workloads = "fill,in-rand,out-rand" + (",in-seq,out-seq,mix" if depth == SEQ_DEPTH else "")
        return [program("rmnic-bench"), "--json", "--workloads", workloads, "--reads", "70", "--queue-depth", str(depth),
                "--ops", str(self.settings.ops), "--working-set", f"{mib or self.settings.host_mib}M", *more]

    def over_socket(self, case, *rmnicd_args, **options):
        with self.fleet(rmnicd_args=rmnicd_args, **options) as fleet:
            pids = [child.pid for child in fleet.children()]
            for depth in self.settings.depths:
                before = sum(map(cpu_s, pids))
                report = json_of(self.bench(depth, "--socket", fleet.socket), self.log_dir)
                pages = sum(phase["pages"] for phase in report["phases"])
                self.phases(case, depth, report, (sum(map(cpu_s, pids)) - before) * 1e6 / pages)

    def run_rmnic_1(self):
        self.over_socket("rmnic-1", "--replicas", "1")

    def run_rmnic_2(self):
        self.over_socket("rmnic-2", "--replicas", "2")

    def run_af_xdp(self):
        """No page fits into one of its frames (RULES F1), so the MTU may as well be one that all links have."""
        if os.geteuid():
            raise Problem("af_xdp is for root alone (RULES F8): HOST= chooses the others")
        self.over_socket("af_xdp", "--replicas", "1", driver="af_xdp", mtu=1500)

    @contextlib.contextmanager
    def one_link(self, mib=None):
        # DPDK's own driver on both ends, of the bare ping-pong as of what is compared with it.
        fleet = self.fleet(1, mib, poll="busy", driver="af_packet")
        try:
            fleet.lay_out()
            yield fleet, fleet.servers[0]
        finally:
            fleet.close()

    def run_inside(self):
        """The generator in the backend's lcore, as the bare ping-pong is in its own, and over as large a store."""
        mib = self.settings.engine_mib
        with self.one_link(mib) as (fleet, server):
            child = server.start()
            try:
                child.ready(60)
                for depth in self.settings.depths:
                    self.phases("inside", depth, json_of(
                        self.bench(depth, "--inside", "--no-huge", "--poll", "busy", "--server", f"{server.address}:{PORT}",
                                   "--port", fleet.port(server.link, server.gateway), mib=mib), self.log_dir, fleet.space))
            finally:
                child.stop()

    # --- The limits ---

    def run_pingpong(self):
        """UDP/IPv4 frames of the sizes of a page-in on the same ports, with nothing around them."""
        self.bare("pingpong", "in-rand", QUESTION, HEADER + PAGE)

    def run_stream(self):
        """Frames of pages one way, with the least there is to say that they came."""
        self.bare("stream", "out-rand", HEADER + PAGE, ACKNOWLEDGED)

    def bare(self, case, workload, request, reply):
        common = ["--no-huge", "--poll", "busy"]
        name = program("rmnic-pingpong")
        with self.one_link() as (fleet, server):
            child = Child("pingpong", [name, "server", "--port", fleet.port("up0", server.address), "--store-mib",
                                       str(self.settings.engine_mib), *common], server.space, fleet.scratch, fleet.log_dir,
                          SERVING_CPUS).start()
            try:
                child.ready(60)
                for depth in self.settings.depths:
                    said = json_of([name, "client", "--to", server.address, "--json", "--depth", str(depth), "--request", str(request),
                                    "--reply", str(reply), "--count", str(self.settings.ops), "--port",
                                    fleet.port(server.link, server.gateway), *common], self.log_dir, fleet.space)
                    self.samples.add("host", case, f"{workload} depth {depth}",
                                     latency={key[:-3]: said[key] for key in ("p50_us", "p90_us", "p99_us", "p999_us", "max_us")},
                                     **{"in_rate" if workload == "in-rand" else "out_rate": said["rate"]})
            finally:
                child.stop()

    def run_embedded(self):
        for depth in self.settings.depths:
            self.phases("embedded", depth, json_of(self.bench(depth, "--store", "local"), self.log_dir))

    def run_engine(self):
        """The embedded store and memcpy over the same set, with checksums, in one thread."""
        for line in json_of([os.path.join(PROGRAMS, "engine-bench"), str(self.settings.engine_mib)], self.log_dir, lines=True):
            if line["what"] == "page-out" and line["batch"] != 16:
                continue
            case = "memcpy" if line["what"] == "memcpy" else "engine"
            workload = {"memcpy": "in-rand", "page-in": "in-rand", "page-out": "out-seq"}[line["what"]]
            rate = 1e9 / line["cpu_ns_per_page"]
            self.samples.add("host", case, f"{workload} depth {line['batch']}", cpu=line["cpu_ns_per_page"] / 1000,
                             **{"out_rate" if line["what"] == "page-out" else "in_rate": rate})

    # --- The peers ---

    def run_nbd(self):
        self.peer("nbd")

    def run_redis(self):
        self.peer("redis")

    def run_memcached(self):
        self.peer("memcached")

    def peer(self, kind):
        pages = self.settings.host_mib * 256
        with self.one_link() as (fleet, _):
            link = PeerLink(fleet)
            try:
                with PeerServer(link, kind, self.settings.host_mib, self.log_dir) as server:
                    before = server.cpu()
                    said = json_of([os.path.join(ROOT, "build/perf/bin/peerload"), kind, SERVER, str(PORTS[kind]), str(pages),
                                    str(self.settings.seconds), *map(str, self.settings.depths)], self.log_dir, fleet.space, True)
                    cpu = (server.cpu() - before) * 1e6 / sum(line["pages"] for line in said)
            finally:
                link.close()
        for line in said:
            if line["mismatches"]:
                self.samples.bad(f"{kind}, {line['workload']} at depth {line['depth']}: {line['mismatches']} mismatches")
            if line["workload"] != "fill":
                self.samples.add("host", kind, f"{line['workload']} depth {line['depth']}", latency=line["latency_us"], cpu=cpu,
                                 in_rate=line["pages_in_per_s"] or None, out_rate=line["pages_out_per_s"] or None)
