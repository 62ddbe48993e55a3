# SPDX-License-Identifier: BSD-3-Clause
"""What all checks share: the list of sources, running tools, remembering their verdicts."""
import hashlib
import json
import os
import pathlib
import shutil
import subprocess


class Skip(Exception):
    """A prerequisite is missing; the text says which."""


class Finding(Exception):
    """The check could not be made because of what was found; the text says what."""


class Sources:
    """The files of the project: those git knows and those it would take."""

    def __init__(self, root):
        self.root = root
        self.scratch = root / "build" / "lint"
        self.scratch.mkdir(parents=True, exist_ok=True)
        self.paths = sorted(self._list())

    def _list(self):
        done = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=self.root,
                              capture_output=True, text=True)
        if done.returncode == 0:
            found = map(pathlib.PurePath, done.stdout.splitlines())
        else:  # an unpacked archive
            found = (path.relative_to(self.root) for path in self.root.rglob("*"))
        return [p for p in found if p.parts[0] not in ("build", ".git")
                and (self.root / p).is_file() and not (self.root / p).is_symlink()]

    def under(self, *tops, suffixes):
        """Paths below one of tops that end in one of suffixes."""
        return [p for p in self.paths if p.suffix in suffixes
                and any(p.is_relative_to(top) for top in tops)]

    def text(self, path):
        """The text of a file; None when it is no text."""
        try:
            return (self.root / path).read_text()
        except UnicodeDecodeError:
            return None

    def shell_scripts(self):
        return [p for p in self.paths if p.suffix in (".sh", "") and
                (self.text(p) or "").startswith(("#!/bin/sh", "#!/bin/bash", "#!/usr/bin/env bash"))]

    def digest(self, *tops, extra=""):
        """Changes when a file below tops does."""
        total = hashlib.sha256(extra.encode())
        for path in self.paths:
            if any(path.is_relative_to(top) for top in tops):
                total.update(str(path).encode() + b"\0" + (self.root / path).read_bytes())
        return total.hexdigest()


def need(tool, package):
    if not shutil.which(tool):
        raise Skip(f"{tool} is not installed (Debian package {package}; scripts/setup lint)")
    return tool


def run(command, cwd, env=None):
    """The tool's exit status and what it printed."""
    done = subprocess.run([str(word) for word in command], cwd=cwd, text=True, errors="replace",
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, env={**os.environ, "LC_ALL": "C", **(env or {})})
    return done.returncode, done.stdout


def backend_flags(path):
    """How a C file of the backend is compiled: the engine is plain C11, the rest may use GNU C and DPDK."""
    if path.is_relative_to("host-backend/engine") or not path.is_relative_to("host-backend"):
        return ["-std=c11"]
    _, flags = run(["pkg-config", "--cflags", "libdpdk"], "/")
    return ["-std=gnu11", "-D_GNU_SOURCE", *flags.replace("-I", "-isystem ").split()]


def remembered(sources, name, digest, look):
    """look()'s list of problems, from build/lint when nothing has changed since."""
    memory = sources.scratch / f"{name}.json"
    try:
        known = json.loads(memory.read_text())
        if known["digest"] == digest:
            return known["problems"]
    except (OSError, ValueError, KeyError):
        pass
    problems = look()
    memory.write_text(json.dumps({"digest": digest, "problems": problems}))
    return problems
