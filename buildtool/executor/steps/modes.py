"""File modes as chmod takes them: octal, or symbolic clauses such as `u+rwX,go-w`."""

import re
from collections.abc import Callable

from buildtool.diag import BuildError

_CLAUSE = re.compile(r"([ugoa]*)((?:[-+=](?:[ugo]|[rwxXst]*))+)")
_OPERATION = re.compile(r"([-+=])([ugo]|[rwxXst]*)")
_SHIFT = {"u": 6, "g": 3, "o": 0}
_BITS = {"r": 4, "w": 2, "x": 1}


def octal(text: str) -> int | None:
    """The mode that an octal text is, or None for a symbolic one."""
    return int(text, 8) & 0o7777 if re.fullmatch(r"[0-7]{1,5}", text) else None


def changer(text: str) -> Callable[[int, bool], int]:
    """A function from (mode, is a folder) to the new mode; BuildError `bad-mode`."""
    fixed = octal(text)
    if fixed is not None:
        return lambda mode, folder: fixed
    clauses = [_CLAUSE.fullmatch(part) for part in text.split(",")]
    if not all(clauses):
        raise BuildError("bad-mode", f"{text!r} is not a file mode", hint="write 0644, or u=rwX,go=rX")

    def change(mode: int, folder: bool) -> int:
        for clause in clauses:
            assert clause is not None
            who = clause[1] or "a"
            for operation, letters in _OPERATION.findall(clause[2]):
                mode = _apply(mode, folder, who, operation, letters)
        return mode

    return change


def _apply(mode: int, folder: bool, who: str, operation: str, letters: str) -> int:
    targets = "ugo" if "a" in who else who
    bits = mask = 0
    for target in targets:
        shift = _SHIFT[target]
        bits |= _wanted(mode, folder, letters) << shift
        mask |= 7 << shift
    if "s" in letters:
        bits |= (0o4000 if "u" in targets else 0) | (0o2000 if "g" in targets else 0)
    if "t" in letters:
        bits |= 0o1000
    if operation == "+":
        return mode | bits
    if operation == "-":
        return mode & ~bits
    special = (0o4000 if "u" in targets else 0) | (0o2000 if "g" in targets else 0)
    return (mode & ~(mask | (0 if folder else special))) | bits


def _wanted(mode: int, folder: bool, letters: str) -> int:
    if letters in _SHIFT:
        return (mode >> _SHIFT[letters]) & 7
    found = 0
    for letter in letters:
        if letter in _BITS:
            found |= _BITS[letter]
        elif letter == "X" and (folder or mode & 0o111):
            found |= 1
    return found
