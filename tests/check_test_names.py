#!/usr/bin/env python3
"""Proves that the tables which name tests name such as there are, and leave no row without one.

A table that names tests has, in the last cell of every row, either names in backquotes

    | TestWait.test_wait | `WaitLikePython.takes_all_that_children_write_to_their_pipes` |

or `none: ` and the reason. The check is first tried on planted mistakes, so that it cannot go blind.

    tests/check_test_names.py [ROOT]     exit 0: all exist; 1: each fault on a line of its own
"""

import re
import sys
from pathlib import Path

TABLES = [
    "proc/PEERS.md",
    "servers/PEERS.md",
    "tests/ipc/PYTHON_IPC.md",
    "tests/proc/PYTHON_POOL.md",
    "tests/proc/PYTHON_PROCESS.md",
]
TEST = re.compile(r"^(?:TYPED_)?(?:RC_G)?TEST(?:_F|_P|_PROP)?\(\s*(\w+),\s*(\w+)", re.MULTILINE)
NAME = re.compile(r"`(\w+\.\w+)`")
HEADINGS = {"ours", "here", "shown by"}  # of the columns that name tests


def tests_in(text):
    return {f"{suite}.{name}" for suite, name in TEST.findall(text)}


def rows_that_name_tests(text):
    """Yields the number and the last cell of each row."""
    naming = False
    for number, line in enumerate(text.splitlines(), 1):
        if not line.startswith("|"):
            naming = False
            continue
        last = line.strip().strip("|").split("|")[-1].strip()
        if last in HEADINGS:
            naming = True
        elif naming and not re.fullmatch("[-:]+", last):
            yield number, last


def faults_of(text, tests):
    rows = 0
    for number, cell in rows_that_name_tests(text):
        rows += 1
        names = NAME.findall(cell)
        if not names and not cell.startswith("none: "):
            yield number, "names no test, and gives no reason"
        for name in names:
            if name not in tests:
                yield number, f"there is no test {name}"
    if rows == 0:
        yield 0, "has no table that names tests"


def prove_sight():
    tests = tests_in("TEST_F(Suite, works) {\nRC_GTEST_PROP(Other,\n              holds, ()) {\n")
    assert tests == {"Suite.works", "Other.holds"}
    head = "| case | ours |\n| --- | --- |\n"
    for row, count in [
        ("| a | `Suite.works`, `Other.holds` (both) |", 0),
        ("| a | none: it has no meaning here |", 0),
        ("| a | `Suite.breaks` |", 1),
        ("| a | Suite.works |", 1),
        ("| a | |", 1),
        ("no row", 1),
    ]:
        assert len(list(faults_of(head + row, tests))) == count, row


def main():
    root = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent.parent)
    prove_sight()
    tests = set()
    for source in (root / "tests").rglob("*.cpp"):
        tests |= tests_in(source.read_text())
    faults = [
        f"{table}:{number}: {fault}"
        for table in TABLES
        for number, fault in faults_of((root / table).read_text(), tests)
    ]
    print("\n".join(faults) if faults else f"{len(TABLES)} tables name tests that exist")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
