# SPDX-License-Identifier: BSD-3-Clause
"""Each requirement is kept by code that names it and shown by a test that names it."""
import re

from tap import Result

CODE_DIRS = ("qemu-dev", "host-backend", "guest-driver")
TEST_DIR = "tests"
OWN_DIR = "tests/spec"  # names ids to seed mistakes with
RULES = "spec/rules.md"
CODE_SUFFIXES = {".c", ".h"}
TEST_SUFFIXES = {".c", ".h", ".py", ".sh", ""}


def check(root):
    """One Result a requirement, one for ids that nobody defined."""
    defined, problems = _definitions(root)
    results = [Result("requirements: each id is defined once", problems)]
    code = _uses(root, CODE_DIRS, CODE_SUFFIXES, defined)
    tests = _uses(root, (TEST_DIR,), TEST_SUFFIXES, defined)
    for name, where in defined.items():
        problems = []
        if name not in code:
            problems.append(f"{where}: {name} is named nowhere in {', '.join(CODE_DIRS)}")
        if name not in tests:
            problems.append(f"{where}: {name} is named in no test")
        results.append(Result(f"requirements: {name}", problems))
    strangers = [f"{places[0]}: {name} is not in the specification"
                 for uses in (code, tests, _spec_uses(root, defined))
                 for name, places in sorted(uses.items()) if name not in defined]
    results.append(Result("requirements: code and tests name no unknown id", strangers))
    results.append(Result("requirements: each rule that is named exists", _unknown_rules(root)))
    return results


def _unknown_rules(root):
    """RULES B4, L6 in a comment are two bold ids of spec/rules.md."""
    rules = re.findall(r"^- \*\*([A-Z]\d+)\*\*", (root / RULES).read_text(), re.M)
    problems = []
    for path in _files(root, CODE_DIRS, CODE_SUFFIXES) + _files(root, (TEST_DIR,), TEST_SUFFIXES):
        for number, line in _lines(path):
            for names in re.findall(r"\bRULES ([A-Z]\d+(?:, [A-Z]\d+)*)", line):
                problems += [f"{path.relative_to(root)}:{number}: {name} is not in {RULES}"
                             for name in names.split(", ") if name not in rules]
    return problems


def _definitions(root):
    defined, problems = {}, []
    for path in sorted((root / "spec").glob("*.md")):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            found = re.match(r"- \[([A-Z]+-\d+)\] ", line)
            if not found:
                continue
            where = f"{path.relative_to(root)}:{number}"
            if found[1] in defined:
                problems.append(f"{where}: {found[1]} is defined at {defined[found[1]]} already")
            else:
                defined[found[1]] = where
    return defined, problems


def _pattern(defined):
    groups = sorted({name.split("-")[0] for name in defined})
    return re.compile(rf"(?<![\w-])(?:{'|'.join(groups) or '(?!)'})-\d+(?![\w-])")


def _files(root, dirs, suffixes):
    return [path for top in dirs for path in sorted((root / top).rglob("*"))
            if path.suffix in suffixes and path.is_file() and not path.is_symlink()
            and root / OWN_DIR not in path.parents]


def _lines(path):
    try:
        return list(enumerate(path.read_text().splitlines(), 1))
    except UnicodeDecodeError:  # a program or an archive that a test left or ships
        return []


def _collect(root, paths, defined):
    uses, pattern = {}, _pattern(defined)
    for path in paths:
        for number, line in _lines(path):
            for name in pattern.findall(line):
                uses.setdefault(name, []).append(f"{path.relative_to(root)}:{number}")
    return uses


def _uses(root, dirs, suffixes, defined):
    return _collect(root, _files(root, dirs, suffixes), defined)


def _spec_uses(root, defined):
    return _collect(root, sorted((root / "spec").glob("*.md")), defined)
