# SPDX-License-Identifier: BSD-3-Clause
"""The checks find what they are for: mistakes are seeded into copies of the real files."""
import pathlib
import re
import shutil
import tempfile

import layout
import requirements
from tap import Result

HEADER = "include/rmnic/device.h"


def check(root):
    with tempfile.TemporaryDirectory(prefix="rmnic-spec-") as scratch:
        scratch = pathlib.Path(scratch)
        return _layout_cases(root, scratch) + _requirement_cases(scratch)


# --- Layout: (what is seeded, file, function of its text, what the report must name) ------

def _swap_words(text, first, second):
    """Exchanges two words everywhere between them, as an editor's slip would."""
    return re.sub(rf"\b({first}|{second})\b",
                  lambda m: second if m[1] == first else first, text)


def _in_struct(name, change):
    """Applies change to one structure of the header."""
    return lambda text: re.sub(rf"struct {name} {{.*?\n}};", lambda m: change(m[0]), text,
                               count=1, flags=re.S)


def _in_table(name, change):
    """Applies change to the rows of one structure's table in the document."""
    return lambda text: re.sub(rf"(\*\*struct {name}, \d+ bytes\*\*\n\n)((?:\|.*\n)+)",
                               lambda m: m[1] + change(m[2]), text, count=1)


def _drop_line(pattern):
    return lambda text: re.sub(rf"^.*{pattern}.*\n", "", text, count=1, flags=re.M)


LAYOUT_CASES = [
    ("two fields of one size exchanged in the header", HEADER,
     _in_struct("rmnic_cqe", lambda s: _swap_words(s, "done", "failed")), "struct rmnic_cqe"),
    ("two fields of one size exchanged in a table", "device.md",
     _in_table("rmnic_sqe", lambda s: _swap_words(s, "rpn", "addr")), "struct rmnic_sqe"),
    ("a counter exchanged with its neighbour in the header", HEADER,
     _in_struct("rmnic_stats", lambda s: _swap_words(s, "pages_out", "pages_in")),
     "struct rmnic_stats"),
    ("a field's type changed in the header", HEADER,
     _in_struct("rmnic_identify", lambda s: s.replace("rmnic_le32 slab_pages",
                                                      "rmnic_u8 slab_pages[4]")),
     "struct rmnic_identify"),
    ("a wrong offset in a table", "device.md",
     _in_table("rmnic_range", lambda s: s.replace("| 8 |", "| 12 |", 1)), "struct rmnic_range"),
    ("a row missing from a table", "device.md",
     _in_table("rmnic_dbrec", _drop_line("`cq_arm`")), "struct rmnic_dbrec"),
    ("a field added to the header in place of reserved bytes", HEADER,
     _in_struct("rmnic_cap_transfer",
                lambda s: s.replace("rmnic_le32 rsvd2", "rmnic_le32 surprise")),
     "struct rmnic_cap_transfer"),
    ("a structure missing from the document", "device.md",
     lambda text: text.replace("**struct rmnic_range, 16 bytes**", "The range:"),
     "struct rmnic_range"),
    ("a structure that no header has", "device.md",
     lambda text: text.replace("**struct rmnic_range,", "**struct rmnic_rangc,"),
     "struct rmnic_rangc"),
    ("a wrong size of a structure in its caption", "device.md",
     lambda text: text.replace("struct rmnic_cqe, 16 bytes", "struct rmnic_cqe, 32 bytes"),
     "struct rmnic_cqe"),
    ("an opcode changed in the header", HEADER,
     lambda text: re.sub(r"(RMNIC_OP_FREE\s+)0x03", r"\g<1>0x06", text), "RMNIC_OP"),
    ("two status codes exchanged in the document", "device.md",
     lambda text: _swap_words(text, "RMNIC_SC_LOST", "RMNIC_SC_CORRUPT"), "RMNIC_SC"),
    ("a feature bit moved in the header", HEADER,
     lambda text: text.replace("(1ull << 2)", "(1ull << 5)"), "RMNIC_F*"),
    ("a constant missing from the document", "device.md",
     _drop_line(r"\| `RMNIC_ERR_DMA`"), "RMNIC_ERR"),
    ("a constant that no header has", HEADER,
     _drop_line("define RMNIC_NO_VECTOR"), "RMNIC_NO"),
    ("a register moved in the header", HEADER,
     lambda text: re.sub(r"(RMNIC_REG_ERROR\s+)0x014", r"\g<1>0x074", text), "RMNIC_REG"),
    ("two registers that overlap in the document", "device.md",
     lambda text: re.sub(r"(\| 0x014 \|) 32 (\| ro\s*\| `RMNIC_REG_ERROR`)", r"\1 64 \2", text),
     "well formed"),
    ("one name in two tables", "device.md",
     lambda text: text + "\n| Name | Value |\n|---|---|\n| `RMNIC_OP_FREE` | 0x03 |\n",
     "well formed"),
    ("a header that does not compile", HEADER,
     lambda text: text.replace("RMNIC_ABI_SIZE(rmnic_cqe, 16)", "RMNIC_ABI_SIZE(rmnic_cqe, 24)"),
     "compile"),
]


def _failures(spec):
    return {(found.name, *found.problems) for found in layout.check(spec) if found.problems}


def _layout_cases(root, scratch):
    results = []
    known = _failures(root / "spec")  # a failure that was there before proves nothing
    for number, (name, file, change, report) in enumerate(LAYOUT_CASES):
        spec = scratch / f"layout-{number}"
        shutil.copytree(root / "spec", spec)
        before = (spec / file).read_text()
        after = change(before)
        (spec / file).write_text(after)
        problems = []
        if after == before:
            problems = [f"the mistake could not be seeded into {file}: adapt selftest.py"]
        elif not any(report in name for name, *_ in _failures(spec) - known):
            problems = [f"it was not found (no new failure in '{report}')"]
        results.append(Result(f"selftest: layout finds {name}", problems))
    return results


# --- Requirements: a tree of few files, whole at first ------------------------------------

TREE = {
    "spec/device.md": "- [RING-1] An index.\n- [CMD-12] A cid; see RING-1.\n",
    "spec/rules.md": "- **B4** No order.\n",
    "guest-driver/ring.c": "/* RING-1, CMD-12, RULES B4 */\n",
    "tests/unit/ring.c": "/* RING-1 */ /* CMD-12 */\n",
}

REQUIREMENT_CASES = [
    ("nothing in a tree without mistakes", None, None, None, None),
    ("an id without code", "guest-driver/ring.c", "RING-1", "", "requirements: RING-1"),
    ("an id without a test", "tests/unit/ring.c", "CMD-12", "", "requirements: CMD-12"),
    ("a longer number that only begins like the id", "tests/unit/ring.c", "CMD-12", "CMD-123",
     "requirements: CMD-12"),
    ("an unknown id in code", "guest-driver/ring.c", "RING-1", "RING-1 RING-2", "unknown"),
    ("an unknown id in a test", "tests/unit/ring.c", "RING-1", "RING-1 CMD-1", "unknown"),
    ("an unknown id in the specification", "spec/device.md", "see RING-1", "see RING-7",
     "unknown"),
    ("a rule that does not exist", "guest-driver/ring.c", "RULES B4", "RULES B4, B5", "rule"),
    ("an id that is defined twice", "spec/device.md", "[CMD-12]", "[RING-1]", "once"),
]


def _requirement_cases(scratch):
    results = []
    for number, (name, file, old, new, report) in enumerate(REQUIREMENT_CASES):
        root = scratch / f"requirements-{number}"
        for path, text in TREE.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            if path == file:
                assert old in text
                text = text.replace(old, new)
            (root / path).write_text(text)
        failed = [found.name for found in requirements.check(root) if found.problems]
        right = any(report in found for found in failed) if report else not failed
        results.append(Result(f"selftest: requirements finds {name}",
                              [] if right else [f"failures: {failed or 'none'}"]))
    return results
