# SPDX-License-Identifier: BSD-3-Clause
"""Checks of the tree itself, without outside tools but the compiler."""
import os
import re
import subprocess

from lintlib.common import Finding, backend_flags, run

# What a licence line cannot be put into: full texts, and forms without comments.
NO_SPDX_NAMES = {".gitignore"}
NO_SPDX_TOPS = ("LICENSES",)
NO_SPDX_SUFFIXES = {".json", ".bin", ".zip"}

# Aims are 400 lines a file and 70 a function; these are where it becomes a finding.
MAX_FILE_LINES = 550
MAX_FUNCTION_LINES = 90

# Hosts anybody may name.
PUBLIC_HOSTS = re.compile(r"(^|\.)(debian\.org|kernel\.org|qemu\.org|github\.com|localhost)$")
# Directories of one developer's machine. Written in pieces, so that this file passes.
MACHINE_PATHS = re.compile("(?<![\\w.$}/-])/(?:" + "|".join(("work", "home/[a-z]", "root/")) + r")(?=[/\w\s\"']|$)")


def spdx(sources):
    problems = []
    for path in sources.paths:
        if path.name in NO_SPDX_NAMES or path.suffix in NO_SPDX_SUFFIXES or \
                path.parts[0] in NO_SPDX_TOPS:
            continue
        text = sources.text(path)
        if text == "":
            problems.append(f"{path}:1: empty")
        if text and "SPDX-License-Identifier: " not in "\n".join(text.splitlines()[:5]):
            problems.append(f"{path}:1: no SPDX-License-Identifier in the first five lines")
    return problems


def sizes(sources):
    problems = []
    for path in sources.paths:
        if path.suffix not in (".c", ".h", ".py", ".sh", ""):
            continue
        lines = (sources.text(path) or "").splitlines()
        code = path.suffix != "" or (lines and lines[0].startswith("#!"))
        if code and len(lines) > MAX_FILE_LINES:
            problems.append(f"{path}:1: {len(lines)} lines: split it (aim 400, at most "
                            f"{MAX_FILE_LINES})")
        if path.suffix == ".c":
            problems += _long_functions(path, lines)
    return problems


def _long_functions(path, lines):
    start, problems = None, []
    for number, line in enumerate(lines, 1):
        if line == "{":
            start = number
        elif line == "}" and start:
            if number - start > MAX_FUNCTION_LINES:
                problems.append(f"{path}:{start}: a function of {number - start} lines (aim 70, "
                                f"at most {MAX_FUNCTION_LINES})")
            start = None
    return problems


def _local_hosts():
    """Names of this machine's mirrors and proxies, which belong into no repository."""
    words = [value for name, value in os.environ.items() if name.lower().endswith("_proxy")]
    for command in (["apt-get", "indextargets", "--format", "$(REPO_URI)"],
                    ["apt-config", "dump"], ["git", "config", "--get-regexp", "url|proxy"]):
        try:
            words.append(subprocess.run(command, capture_output=True, text=True).stdout)
        except OSError:
            pass
    hosts = re.findall(r"\w+://(?:[^/\s@\"]*@)?([\w.-]+)", "\n".join(words))
    return {h for h in hosts if not PUBLIC_HOSTS.search(h) and not re.fullmatch(r"[\d.]+", h)}


def machine(sources):
    hosts = _local_hosts()
    pattern = re.compile("|".join([MACHINE_PATHS.pattern] + [re.escape(h) for h in hosts]))
    problems = []
    for path in sources.paths:
        for number, line in enumerate((sources.text(path) or "").splitlines(), 1):
            if found := pattern.search(line):
                problems.append(f"{path}:{number}: '{found[0]}' is a name of one machine")
    return problems


def headers(sources):
    """Each header compiles by itself, with all warnings."""
    problems = []
    found = sources.under("spec/include", "host-backend", suffixes={".h"})
    if not found:
        raise Finding("no headers were found in spec/include and host-backend")
    for path in found:
        status, output = run(
            ["gcc", *backend_flags(path), "-Wall", "-Wextra", "-Werror", "-fsyntax-only",
             *(["-pedantic"] if "-std=c11" in backend_flags(path) else []), "-Ispec/include", "-Ihost-backend", "-include", path, "-x", "c", "/dev/null"],
            sources.root)
        if status:
            problems += [line for line in output.splitlines() if "error" in line]
    return problems


def python(sources):
    problems = []
    for path in sources.paths:
        text = sources.text(path) or ""
        if path.suffix == ".py" or "python3" in text.split("\n", 1)[0]:
            try:
                compile(text, str(path), "exec")
            except SyntaxError as error:
                problems.append(f"{path}:{error.lineno}: {error.msg}")
    return problems


def documents(sources):
    """Functions and files that the documents name exist."""
    code = "\n".join(sources.text(p) or "" for p in sources.under(
        "guest-driver", "host-backend", "qemu-dev", "spec/include", suffixes={".c", ".h"}))
    names = {p.name for p in sources.paths}
    problems = []
    for path in sources.paths:
        if path.suffix != ".md" or path.parts[0] == "spec":
            continue
        for number, line in enumerate((sources.text(path) or "").splitlines(), 1):
            problems += [f"{path}:{number}: there is no function {name}()"
                         for name in re.findall(r"`((?:rmnic|local)_\w+)\(\)`", line)
                         if not re.search(rf"\b{name}\(", code)]
            problems += [f"{path}:{number}: there is no file {name}"
                         for name in re.findall(r"`(?:[\w-]+/)*(\w[\w-]*\.[chs]h?)`", line)
                         if name not in names]
    return problems


CHECKS = {
    "tree-documents": documents,
    "tree-spdx": spdx,
    "tree-sizes": sizes,
    "tree-machine": machine,
    "tree-headers": headers,
    "tree-python": python,
}
