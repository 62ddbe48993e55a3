# SPDX-License-Identifier: BSD-3-Clause
"""Programs of this machine for the guest, which has no C library: laid over its root file system."""
import os
import random
import shutil
import subprocess

from fleetlib.netns import Problem
from perflib import ROOT

PROGRAMS = ("redis-server", "redis-benchmark", "redis-cli", "sqlite3", "sort")
LINES, WIDTH = 40000, 60


def libraries_of(program):
    """What the loader takes, and the loader itself."""
    text = subprocess.run(["ldd", program], stdout=subprocess.PIPE, text=True, check=True).stdout
    paths = [word for line in text.splitlines() for word in line.split() if word.startswith("/")]
    loader = [path for path in paths if "ld-linux" in path]
    if not loader:
        raise Problem(f"{program} has no loader: is it a script?")
    return [path for path in paths if path not in loader], loader[0]


def lines_write(path):
    """The same on each run, so that what sort makes of it is."""
    chance = random.Random(1)
    with open(path, "w", encoding="ascii") as out:
        for _ in range(LINES):
            out.write(f"{chance.getrandbits(4 * WIDTH):0{WIDTH}x}\n")


def overlay_make(directory):
    """Gives the directory for guest-run --overlay."""
    base = os.path.join(directory, "opt/perf")
    shutil.rmtree(directory, ignore_errors=True)
    os.makedirs(os.path.join(base, "bin"))
    os.makedirs(os.path.join(base, "lib"))
    for name in PROGRAMS:
        path = shutil.which(name)
        if not path:
            raise Problem(f"{name} is not there: run 'scripts/setup perf'")
        shutil.copy(path, os.path.join(base, "bin", name))
        libraries, loader = libraries_of(path)
        for library in libraries:
            shutil.copy(library, os.path.join(base, "lib", os.path.basename(library)))
        shutil.copy(loader, os.path.join(base, "ld.so"))
    os.makedirs(os.path.join(directory, "bin"))
    shutil.copy(os.path.join(ROOT, "tests/perf/guest/programs"), os.path.join(directory, "bin/programs"))
    lines_write(os.path.join(base, "lines"))
    return directory
