# SPDX-License-Identifier: BSD-3-Clause
"""The contract as the compiler sees it: structures from DWARF, constants by evaluation."""
import pathlib
import re
import subprocess
import tempfile
import typing

PREFIX_MACRO = "RMNIC_"
PREFIX_STRUCT = "rmnic_"


class Field(typing.NamedTuple):
    offset: int
    size: int
    type: str  # le32, u8[16], struct rmnic_cap_hdr
    name: str


class Struct(typing.NamedTuple):
    size: int
    fields: list  # of Field, by offset


class Contract(typing.NamedTuple):
    structs: dict  # name: Struct
    constants: dict  # name: int


class BuildError(Exception):
    """The headers do not compile; the text is the compiler's."""


def read(spec_dir):
    """Compiles all headers of spec_dir and returns their Contract."""
    headers = sorted((spec_dir / "include" / "rmnic").glob("*.h"))
    with tempfile.TemporaryDirectory(prefix="rmnic-spec-") as scratch:
        scratch = pathlib.Path(scratch)
        source = scratch / "all.c"
        includes = "".join(f'#include "rmnic/{h.name}"\n' for h in headers)
        source.write_text(includes)
        compiler = ["gcc", "-std=c11", "-Wall", "-Wextra", "-Werror",
                    "-I", str(spec_dir / "include")]
        return Contract(_structs(compiler, source, scratch),
                        _constants(compiler, source, scratch, includes))


def _run(command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise BuildError(f"{command[0]} failed: {done.stderr.strip()[:400]}")
    return done.stdout


def _constants(compiler, source, scratch, includes):
    """Values of the object-like macros."""
    names = []
    for line in _run(compiler + ["-E", "-dM", str(source)]).splitlines():
        # No match for function-like macros (a parenthesis) nor include guards (no body).
        found = re.match(r"#define (\w+) (\S.*)", line)
        if found and found[1].startswith(PREFIX_MACRO):
            names.append(found[1])
    if not names:
        return {}
    program = scratch / "constants.c"
    prints = "".join(f'\tprintf("{n} %llu\\n", (unsigned long long)({n}));\n' for n in names)
    program.write_text(f"{includes}#include <stdio.h>\nint main(void)\n{{\n{prints}\treturn 0;\n}}\n")
    _run(compiler + ["-o", str(scratch / "constants"), str(program)])
    lines = _run([str(scratch / "constants")]).splitlines()
    return {name: int(value) for name, value in (line.split() for line in lines)}


def _structs(compiler, source, scratch):
    unit = scratch / "all.o"
    _run(compiler + ["-g", "-gdwarf-4", "-fno-eliminate-unused-debug-types",
                     "-c", "-o", str(unit), str(source)])
    entries = _dwarf_entries(_run(["readelf", "--debug-dump=info", str(unit)]))
    structs = {}
    for entry in entries.values():
        name = entry.get("name", "")
        if entry["tag"] == "structure_type" and name.startswith(PREFIX_STRUCT):
            fields = [_field(entries, child) for child in entry["children"]
                      if child["tag"] == "member"]
            structs[name] = Struct(int(entry["byte_size"]), sorted(fields))
    return structs


def _dwarf_entries(text):
    """readelf's listing as a dictionary: offset of an entry -> its attributes."""
    entries, stack, entry = {}, [], None
    for line in text.splitlines():
        head = re.match(r"\s*<(\d+)><([0-9a-f]+)>: Abbrev Number: \d+ \(DW_TAG_(\w+)\)", line)
        if head:
            entry = {"tag": head[3], "children": []}
            entries[head[2]] = entry
            del stack[int(head[1]):]
            if stack:
                stack[-1]["children"].append(entry)
            stack.append(entry)
            continue
        attribute = re.match(r"\s*<[0-9a-f]+>\s+DW_AT_(\w+)\s*: (.*)", line)
        if attribute and entry is not None:
            value = attribute[2].strip()
            indirect = re.match(r"\(indirect (?:line )?string, offset: 0x[0-9a-f]+\): (.*)", value)
            entry[attribute[1]] = indirect[1] if indirect else value
    return entries


def _field(entries, member):
    kind, size = _type(entries, member["type"].strip("<>").removeprefix("0x"))
    return Field(int(member["data_member_location"], 0), size, kind, member["name"])


def _type(entries, offset):
    """The name of a type as the tables write it, and its size in bytes."""
    entry = entries[offset]
    below = entry.get("type", "").strip("<>").removeprefix("0x")
    if entry["tag"] == "array_type":
        name, size = _type(entries, below)
        bounds = [int(child["upper_bound"], 0) + 1 for child in entry["children"]
                  if child["tag"] == "subrange_type"]
        for bound in bounds:
            size *= bound
        return name + "".join(f"[{bound}]" for bound in bounds), size
    if entry["tag"] == "typedef":
        return entry["name"].removeprefix(PREFIX_STRUCT), _type(entries, below)[1]
    if entry["tag"] == "structure_type":
        return f"struct {entry['name']}", int(entry["byte_size"])
    return entry["name"], int(entry["byte_size"])
