"""File modes as BuildKit takes them: octal, or symbolic clauses (`u+rwX,go-w`) as BSD's chmod reads them.

That differs from GNU's chmod: `X` counts behind `+` alone and looks at the mode as it was before the first
clause, letters that copy (`g=u`) stand among others, and `=` takes the set-id bits of folders away as well.
No umask is at work.
"""

import re
from collections.abc import Callable

from buildtool.diag import BuildError

_CLAUSE = re.compile(r"([ugoa]*)((?:[-+=][rwxXstugo]*)+)")
_OPERATION = re.compile(r"([-+=])([rwxXstugo]*)")

#: The bits that a clause can touch; `t` adds the sticky bit where it stands.
_WHO = {"u": 0o4700, "g": 0o2070, "o": 0o0007, "a": 0o6777}
_ALL, _STICKY = 0o6777, 0o1000
_BITS = {"r": 0o444, "w": 0o222, "x": 0o111, "s": 0o6000, "t": _STICKY}
_SHIFT = {"u": 6, "g": 3, "o": 0}


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
        raise BuildError("bad-mode", f"{text!r} is not a file mode", hint="write 0644, or u=rw,go=r")
    operations = [
        (_who(clause[1]), operator, letters)
        for clause in clauses
        if clause is not None
        for operator, letters in _OPERATION.findall(clause[2])
    ]

    def change(mode: int, folder: bool) -> int:
        executable = folder or bool(mode & 0o111)
        for who, operator, letters in operations:
            mode = _apply(mode, who, operator, letters, executable=executable)
        return mode

    return change


def _who(letters: str) -> int:
    bits = 0
    for letter in letters:
        bits |= _WHO[letter]
    return bits


def _apply(mode: int, who: int, operator: str, letters: str, *, executable: bool) -> int:
    """One operation; `who` 0 is everybody.  What stands before a letter that copies is done before it."""
    bits = conditional = 0
    done = operator != "="
    for letter in letters:
        if letter in _SHIFT:
            if bits:
                mode = _change(mode, who, operator, bits)
            mode |= conditional
            mode = _copy(mode, who, operator, mode >> _SHIFT[letter] & 7)
            bits, conditional, done = 0, 0, True
        elif letter == "X":
            if operator == "+" and executable:
                conditional = 0o111 & (who or _ALL)
        elif letter not in "st" or not who or who & ~0o007:
            bits |= _BITS[letter]
            who |= _STICKY if letter == "t" else 0
    if bits or not done:
        mode = _change(mode, who, operator, bits)
    return mode | conditional


def _change(mode: int, who: int, operator: str, bits: int) -> int:
    wanted = bits & (who or _ALL)
    if operator == "-":
        return mode & ~wanted
    return (mode & ~(who or _ALL) if operator == "=" else mode) | wanted


def _copy(mode: int, who: int, operator: str, value: int) -> int:
    for letter, shift in _SHIFT.items():
        if who and not who & _BITS["r"] & _WHO[letter]:
            continue
        if operator != "+":
            mode &= ~((7 if operator == "=" else value) << shift)
        if operator != "-":
            mode |= value << shift
    return mode
