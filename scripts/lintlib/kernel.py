# SPDX-License-Identifier: BSD-3-Clause
"""The kernel's and QEMU's own tools, on what would go into their trees."""
import pathlib
import re
import shutil
import threading

from lintlib.common import Finding, Skip, need, remembered, run

KERNEL_SOURCE = "linux-source-6.1"
KERNEL_TOOLS = ("checkpatch.pl", "spelling.txt", "const_structs.checkpatch")
QEMU_CHECKPATCH = "build/qemu-7.2/src/scripts/checkpatch.pl"

# A module outside the tree has no MAINTAINERS entry and serves several kernels, for which its
# compat.h has typedefs.
# CONSTANT_COMPARISON takes LINUX_VERSION_CODE for a constant, MACRO_ARG_REUSE minds tables,
# STATIC_CONST_CHAR_ARRAY an environment, whose type is the kernel's.
KERNEL_IGNORED = ("FILE_PATH_CHANGES", "LINUX_VERSION_CODE", "CONFIG_DESCRIPTION",
                  "CONSTANT_COMPARISON", "NEW_TYPEDEFS", "MACRO_ARG_REUSE",
                  "STATIC_CONST_CHAR_ARRAY")
# A test in user space touches memory for the touch's own sake, and names files of /proc.
USER_IGNORED = ("VOLATILE", "EMBEDDED_FUNCTION_NAME")
# checkpatch knows that TRACE_EVENT() is laid out otherwise only inside its own tree.
TRACE_HEADER_LAYOUT = re.compile(r"trace\.h:\d+: CHECK:(OPEN_ENDED_LINE|PARENTHESIS_ALIGNMENT):")
# This project's lines may have 100 columns in every language.
QEMU_LINE_LENGTH = re.compile(r"line over (80|90) characters")
# Macros that stand for declarations are what a compatibility header is made of.
QEMU_COMPAT_MACROS = re.compile(r"compat\.h:\d+: ERROR: (storage class|Macros with complex)")
# Tables made by macros (X(id, name);) look like declarations and statements to it.
QEMU_TABLES = re.compile(r"externs should be avoided|Macros with multiple statements")

unpacking = threading.Lock()


def sparse(sources):
    need("sparse", "sparse")
    need("make", "make")
    if not sources.under("guest-driver", suffixes={".c"}):
        raise Skip("there is no C in guest-driver")
    trees = sorted((sources.root / "build" / "kernels").glob("*/kdir/Makefile"))
    if not trees:
        raise Skip("no kernel headers are unpacked yet (make driver)")
    problems = []
    for kdir in (makefile.parent for makefile in trees):
        series = kdir.parent.name
        problems += remembered(
            sources, f"sparse-{series}", sources.digest("guest-driver", "spec/include", extra=series),
            lambda: _sparse_for(sources, kdir, series))
    return sorted(set(problems))


def _sparse_for(sources, kdir, series):
    """Builds a copy: kbuild leaves its objects beside the sources."""
    copy = sources.scratch / f"driver-{series}"
    shutil.rmtree(copy, ignore_errors=True)
    for path in sources.paths:
        if path.is_relative_to("guest-driver") or path.is_relative_to("spec/include"):
            (copy / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(sources.root / path, copy / path)
    status, output = run(["make", "-C", kdir, f"M={copy / 'guest-driver'}", "C=2", "CHECK=sparse",
                          "CF=-D__CHECK_ENDIAN__ -Wno-unknown-attribute", "modules"], sources.root)
    if status:
        errors = [line.replace(f"{copy}/", "") for line in output.splitlines() if "error:" in line]
        raise Finding(f"the driver does not build for {series}: "
                      f"{errors[0] if errors else 'see make driver'}")
    lines = (line.replace(f"{copy}/", "") for line in output.splitlines())
    return [line for line in lines if re.match(r"guest-driver/\S+:\d+:\d+: (warning|error):", line)]


def _kernel_checkpatch(sources):
    """Unpacks checkpatch from Debian's source package of the kernel, once."""
    tools = sources.scratch / "kernel-scripts"
    with unpacking:
        _unpack_kernel_tools(sources, tools)
    return tools / "checkpatch.pl"


def _unpack_kernel_tools(sources, tools):
    if not (tools / "checkpatch.pl").exists():
        archive = pathlib.Path(f"/usr/src/{KERNEL_SOURCE}.tar.xz")
        if not archive.exists():
            raise Skip(f"{KERNEL_SOURCE} is not installed (scripts/setup lint)")
        fresh = sources.scratch / "kernel-scripts.new"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir()
        status, output = run(["tar", "xJf", archive, "-C", fresh, "--strip-components=2",
                              *(f"{KERNEL_SOURCE}/scripts/{tool}" for tool in KERNEL_TOOLS)],
                             sources.root)
        if status:
            raise Finding(f"{archive}: {output.strip()}")
        fresh.rename(tools)


def _complaints(output):
    return [line for line in output.splitlines()
            if re.match(r"\S+:\d+: (ERROR|WARNING|CHECK):", line)
            and not any(known.search(line) for known in
                        (TRACE_HEADER_LAYOUT, QEMU_LINE_LENGTH, QEMU_COMPAT_MACROS,
                         QEMU_TABLES))]


def _checkpatch_linux(sources, name, files, options, ignored):
    need("perl", "perl")
    if not files:
        raise Skip(f"there is no C in {name}")
    script = _kernel_checkpatch(sources)

    def look():
        # checkpatch leaves a cache where it runs: not in the source tree.
        _, output = run(["perl", script, "--no-tree", "--no-summary", "--terse", "--show-types",
                         "--max-line-length=100", *options, "--ignore", ",".join(ignored),
                         "-f", *(sources.root / path for path in files)], sources.scratch)
        return _complaints(output.replace(f"{sources.root}/", ""))

    digest = sources.digest(*files, extra=" ".join((*options, *ignored)))
    return remembered(sources, f"checkpatch-{name.replace('/', '-')}", digest, look)


def checkpatch_driver(sources):
    return _checkpatch_linux(sources, "guest-driver",
                             sources.under("guest-driver", suffixes={".c", ".h"}),
                             ["--strict"], KERNEL_IGNORED)


def checkpatch_kselftest(sources):
    return _checkpatch_linux(sources, "tests/kselftest",
                             sources.under("tests/kselftest", suffixes={".c", ".h"}),
                             [], KERNEL_IGNORED + USER_IGNORED)


def checkpatch_device(sources):
    need("perl", "perl")
    files = sources.under("qemu-dev", suffixes={".c", ".h"})
    script = sources.root / QEMU_CHECKPATCH
    if not files:
        raise Skip("there is no C in qemu-dev")
    if not script.exists():
        raise Skip(f"QEMU's source is not unpacked yet ({QEMU_CHECKPATCH}; make qemu)")
    _, output = run(["perl", script, "--no-tree", "--no-summary", "--terse", "-f", *files],
                    sources.root)
    return _complaints(output)


CHECKS = {
    "sparse": sparse,
    "checkpatch-driver": checkpatch_driver,
    "checkpatch-kselftest": checkpatch_kselftest,
    "checkpatch-device": checkpatch_device,
}
