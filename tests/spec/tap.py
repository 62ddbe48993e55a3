# SPDX-License-Identifier: BSD-3-Clause
"""Results and their form on the terminal: the Test Anything Protocol."""
import typing


class Result(typing.NamedTuple):
    name: str
    problems: list  # of str; empty: passed


def report(results):
    """Prints the results as TAP and returns the exit status."""
    print("TAP version 13")
    print(f"1..{len(results)}")
    for number, result in enumerate(results, 1):
        print(f"{'not ok' if result.problems else 'ok'} {number} - {result.name}")
        for problem in result.problems:
            print(f"# {problem}")
    return 1 if any(result.problems for result in results) else 0
