# SPDX-License-Identifier: BSD-3-Clause
"""Compares the compiled headers with the tables of the specification, both ways."""
import re

import compiled
import document
from tap import Result


def check(spec_dir):
    """One Result a structure, one a family of constants, one for the document by itself."""
    try:
        code = compiled.read(spec_dir)
    except compiled.BuildError as error:
        return [Result("layout: the headers compile", [str(error)])]
    text = document.read(spec_dir)
    results = [Result("layout: the tables are well formed", text.problems)]
    for name in sorted(code.structs.keys() | text.contract.structs.keys()):
        results.append(Result(f"layout: struct {name}", _struct_problems(
            name, code.structs.get(name), text.contract.structs.get(name), text.where)))
    for family, names in _families(code.constants.keys() | text.contract.constants.keys()):
        problems = []
        for name in names:
            problems += _constant_problems(name, code.constants.get(name),
                                           text.contract.constants.get(name), text.where)
        results.append(Result(f"layout: constants {family}", problems))
    return results


def _families(names):
    """RMNIC_OP_PAGE_OUT and RMNIC_OP_FREE belong together: RMNIC_OP_*."""
    families = {}
    for name in sorted(names):
        family = re.match(r"[A-Z0-9]+_[A-Z0-9]+", name)[0]
        families.setdefault(family + "*", []).append(name)
    return sorted(families.items())


def _struct_problems(name, code, text, where):
    if text is None:
        return [f"no table for struct {name}: add one with a caption "
                f"'**struct {name}, {code.size} bytes**'"]
    at = where[name]
    if code is None:
        return [f"{at}: struct {name} is in no header"]
    problems = []
    if code.size != text.size:
        problems.append(f"{at}: size is {text.size}, compiled {code.size}")
    by_name = {field.name: field for field in code.fields}
    for field in text.fields:
        real = by_name.pop(field.name, None)
        if real is None:
            problems.append(f"{at}: field {field.name} is not in the header")
        elif real != field:
            problems.append(
                f"{at}: {field.name} is {field.type} at {field.offset}, {field.size} bytes; "
                f"compiled {real.type} at {real.offset}, {real.size} bytes")
    problems += [f"{at}: field {missing} has no row" for missing in by_name]
    end = 0
    for field in text.fields:
        if field.offset != end:
            problems.append(f"{at}: a hole or an overlap before {field.name}: "
                            f"{field.offset}, not {end}")
        end = field.offset + field.size
    if end != text.size:
        problems.append(f"{at}: the fields end at {end}, not {text.size}")
    return problems


def _constant_problems(name, code, text, where):
    if text is None:
        return [f"{name} ({code:#x}) is in no table"]
    if code is None:
        return [f"{where[name]}: {name} is in no header"]
    if code != text:
        return [f"{where[name]}: {name} is {text:#x}, compiled {code:#x}"]
    return []
