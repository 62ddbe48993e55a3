# SPDX-License-Identifier: BSD-3-Clause
"""Static analysis of user-space C, and of shell scripts."""
import concurrent.futures
import os
import re

from lintlib.common import Skip, backend_flags, need, remembered, run

INCLUDES = ["-Ispec/include", "-Ihost-backend"]
CONTRACTS = ("spec/include", "host-backend")

# Left out: checks that object to what C does all the time (narrowing in checked arithmetic,
# neighbouring parameters of one type, memcpy without Annex K, arrays of pointers, fields in the order of
# their meaning, strerror, which glibc made safe in 2.32).
TIDY_CHECKS = ",".join((
    "-*", "bugprone-*", "clang-analyzer-*", "cert-*", "concurrency-*",
    "-bugprone-easily-swappable-parameters", "-bugprone-narrowing-conversions",
    "-bugprone-sizeof-expression", "-bugprone-implicit-widening-of-multiplication-result",
    "-bugprone-reserved-identifier", "-cert-dcl37-c", "-cert-dcl51-cpp",
    "-cert-err33-c", "-concurrency-mt-unsafe", "-bugprone-macro-parentheses",
    "-bugprone-assignment-in-if-condition", "-clang-analyzer-optin.performance.Padding",
    "-clang-analyzer-security.insecureAPI.DeprecatedOrUnsafeBufferHandling"))


def shellcheck(sources):
    need("shellcheck", "shellcheck")
    scripts = sources.shell_scripts()
    if not scripts:
        raise Skip("there are no shell scripts")
    # SC1091: a file that is sourced is looked at by itself. SC3043: dash and busybox have local.
    _, output = run(["shellcheck", "-f", "gcc", "-S", "warning", "-e", "SC1091,SC3043", *scripts],
                    sources.root)
    return [line for line in output.splitlines() if ": warning: " in line or ": error: " in line]


def cppcheck(sources):
    need("cppcheck", "cppcheck")
    files = sources.under("host-backend", "tests/unit", "tests/fuzz", "tests/guest", suffixes={".c"})
    if not files:
        raise Skip("there is no C in host-backend and tests")

    def look():
        cache = sources.scratch / "cppcheck"
        cache.mkdir(exist_ok=True)
        _, output = run(
            ["cppcheck", "--quiet", "--std=c11", "--enable=warning,performance,portability",
             "--inline-suppr", "--suppress=missingIncludeSystem", "--error-exitcode=1",
             "--suppress=unmatchedSuppression", f"--cppcheck-build-dir={cache}",
             "--template={file}:{line}: {severity}: {message} [{id}]", *INCLUDES, *files],
            sources.root)
        return [line for line in output.splitlines()
                if re.match(r"\S+:\d+: (error|warning|performance|portability):", line)]

    return remembered(sources, "cppcheck", sources.digest(*CONTRACTS, "tests"), look)


def clang_tidy(sources):
    need("clang-tidy", "clang-tidy")
    files = sources.under("host-backend", suffixes={".c"})
    if not files:
        raise Skip("there is no C in host-backend")
    headers = sources.digest(*sources.under(*CONTRACTS, suffixes={".h"}), extra=TIDY_CHECKS)

    def one(path):
        def look():
            _, output = run(["clang-tidy", "--quiet", f"--checks={TIDY_CHECKS}",
                             "--header-filter=host-backend|spec/include", path, "--",
                             "-D_GNU_SOURCE", *backend_flags(path), *INCLUDES], sources.root)
            return [line.replace(f"{sources.root}/", "") for line in output.splitlines()
                    if ": warning: " in line or ": error: " in line]
        name = "tidy-" + str(path).replace("/", "-")
        return remembered(sources, name, sources.digest(path, extra=headers), look)

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        return sorted({problem for found in pool.map(one, files) for problem in found})


CHECKS = {"shellcheck": shellcheck, "cppcheck": cppcheck, "clang-tidy": clang_tidy}
