# SPDX-License-Identifier: BSD-3-Clause
"""The contract as spec/*.md states it: its tables, found by their captions and headings.

  **struct rmnic_sqe, 64 bytes**            above   | Offset | Size | Type | Field | ...
  any table that begins                             | Name | Value | ...
  any table that begins                             | Offset | Width | Access | Name | ...
"""
import re
import typing

from compiled import Contract, Field, Struct

STRUCT_HEAD = ["Offset", "Size", "Type", "Field"]
CONSTANT_HEAD = ["Name", "Value"]
REGISTER_HEAD = ["Offset", "Width", "Access", "Name"]
ACCESS = {"ro", "rw", "rw1c", "wo"}


class Document(typing.NamedTuple):
    contract: Contract
    where: dict  # name of a structure or constant: "device.md:123"
    problems: list  # of str: what is wrong with the document by itself


class _Table(typing.NamedTuple):
    caption: str  # the nearest line of text above
    head: list
    rows: list  # of (line number, cells)


def read(spec_dir):
    """Reads the tables of all spec/*.md."""
    document = Document(Contract({}, {}), {}, [])
    for path in sorted(spec_dir.glob("*.md")):
        for table in _tables(path.read_text().splitlines()):
            if table.head[:4] == STRUCT_HEAD:
                _add_struct(document, path.name, table)
            elif table.head[:2] == CONSTANT_HEAD:
                _add_constants(document, path.name, table)
            elif table.head[:4] == REGISTER_HEAD:
                _add_registers(document, path.name, table)
    return document


def _tables(lines):
    caption, table = "", None
    for number, line in enumerate(lines, 1):
        if not line.startswith("|"):
            if table:
                yield table
                table = None
            if line.strip():
                caption = line.strip()
            continue
        cells = [cell.strip().strip("`") for cell in line.strip().strip("|").split("|")]
        if table is None:
            table = _Table(caption, cells, [])
        elif not re.fullmatch(r"[-:| ]+", line):
            table.rows.append((number, cells))
    if table:
        yield table


def number(text):
    """0x1f, 31, 1 << 36 or bit 3 as an integer; None: not a number."""
    text = text.strip()
    if re.fullmatch(r"0x[0-9a-fA-F]+|\d+", text):
        return int(text, 0)
    if found := re.fullmatch(r"(\d+) << (\d+)", text):
        return int(found[1]) << int(found[2])
    if found := re.fullmatch(r"bit (\d+)", text):
        return 1 << int(found[1])
    return None


def _claim(document, where, name):
    if name in document.where:
        document.problems.append(f"{where}: {name} stands at {document.where[name]} already")
    document.where[name] = where


def _add_struct(document, file, table):
    where = f"{file}:{table.rows[0][0] - 2 if table.rows else 0}"
    found = re.fullmatch(r"\*\*struct (\w+), (\d+) bytes\*\*", table.caption)
    if not found:
        document.problems.append(
            f"{where}: a table of fields needs a caption '**struct NAME, N bytes**' above it")
        return
    _claim(document, where, found[1])
    fields = []
    for line, cells in table.rows:
        offset, size = number(cells[0]), number(cells[1])
        if offset is None or size is None:
            document.problems.append(f"{file}:{line}: offset or size is no number")
            continue
        fields.append(Field(offset, size, cells[2], cells[3]))
    document.contract.structs[found[1]] = Struct(int(found[2]), fields)


def _add_constant(document, where, name, text):
    value = number(text)
    if value is None:
        document.problems.append(f"{where}: the value of {name}, '{text}', is no number")
        return
    _claim(document, where, name)
    document.contract.constants[name] = value


def _add_constants(document, file, table):
    for line, cells in table.rows:
        _add_constant(document, f"{file}:{line}", cells[0], cells[1])


def _add_registers(document, file, table):
    end, last = 0, "the start"
    for line, cells in table.rows:
        where = f"{file}:{line}"
        offset, width, access, name = number(cells[0]), number(cells[1]), cells[2], cells[3]
        _add_constant(document, where, name, cells[0])
        if offset is None or width is None or access not in ACCESS:
            document.problems.append(f"{where}: {name} needs an offset, a width in bits and "
                                     f"an access of {', '.join(sorted(ACCESS))}")
            continue
        if offset < end:
            document.problems.append(f"{where}: {name} overlaps or stands before {last}")
        if offset % min(width // 8, 8):
            document.problems.append(f"{where}: {name} is not aligned to its width")
        end, last = offset + width // 8, name
