"""Small values of Dockerfile instructions: durations, ports, signals, modes, platforms."""

import re
from typing import TYPE_CHECKING

from buildtool.diag import BuildError

if TYPE_CHECKING:
    from buildtool.graph.model import Platform

_MICRO = dict.fromkeys(("us", "µs", "μs"), 10**3)
_UNITS = {"ns": 1, **_MICRO, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_DURATION = re.compile(r"(?:([0-9]+)\.?|\.(?=[0-9]))([0-9]*)(ns|us|µs|μs|ms|s|m|h)")

#: Docker refuses shorter times than a millisecond.
SHORTEST = 10**6

_NAMED_SIGNALS = """
    ABRT ALRM BUS CHLD CLD CONT FPE HUP ILL INT IO IOT KILL PIPE POLL PROF PWR QUIT SEGV STKFLT STOP SYS
    TERM TRAP TSTP TTIN TTOU URG USR1 USR2 VTALRM WINCH XCPU XFSZ RTMIN RTMAX
"""
_SIGNALS = frozenset(_NAMED_SIGNALS.split()) | {
    *(f"RTMIN+{n}" for n in range(1, 16)),
    *(f"RTMAX-{n}" for n in range(1, 15)),
}

_SYMBOLIC = re.compile(r"[ugoa]*(?:[-+=][rwxXstugo]*)+(?:,[ugoa]*(?:[-+=][rwxXstugo]*)+)*")

_ARCHITECTURES = {
    "x86_64": ("amd64", ""),
    "x86-64": ("amd64", ""),
    "i386": ("386", ""),
    "aarch64": ("arm64", ""),
    "armhf": ("arm", "v7"),
    "armel": ("arm", "v6"),
}


_NAMED_SYSTEMS = """
    aix android darwin dragonfly freebsd hurd illumos ios js linux nacl netbsd openbsd plan9 solaris
    windows zos
"""
_NAMED_ARCHITECTURES = """
    386 amd64 amd64p32 arm armbe arm64 arm64be ppc64 ppc64le loong64 mips mipsle mips64 mips64le mips64p32
    mips64p32le ppc riscv riscv64 s390 s390x sparc sparc64 wasm
"""
_SYSTEMS = frozenset(_NAMED_SYSTEMS.split())
_KNOWN = frozenset(_NAMED_ARCHITECTURES.split())


def duration(text: str) -> int:
    """A duration such as `1m30s`, in nanoseconds; 0, or at least a millisecond."""
    number = text[1:] if text.startswith(("+", "-")) else text
    if number == "0":
        return 0
    total = at = 0
    for match in _DURATION.finditer(number):
        if match.start() != at:
            break
        unit, part = _UNITS[match[3]], match[2]
        total += int(match[1] or 0) * unit + int(int(part or 0) * (unit / 10 ** len(part)))
        at = match.end()
    if not at or at != len(number):
        raise BuildError(
            "bad-duration", f'"{text}" is not a duration', hint="write a number and a unit, as 30s or 1m30s"
        )
    if total and (total < SHORTEST or text.startswith("-")):
        raise BuildError("bad-duration", f'"{text}" is shorter than a millisecond')
    if total >= 1 << 63:
        raise BuildError("bad-duration", f'"{text}" is too long')
    return total


def retries(text: str) -> int:
    """The number of HEALTHCHECK's `--retries`."""
    if not re.fullmatch(r"\+?[0-9]{1,18}|-0+", text) or int(text) >= 1 << 31:
        raise BuildError("bad-flag-value", f'"{text}" is not a number of retries')
    return int(text)


def go_bool(key: str, text: str) -> bool:
    """A truth value as Go's `strconv.ParseBool` reads it."""
    if text in ("1", "t", "T", "TRUE", "true", "True"):
        return True
    if text in ("0", "f", "F", "FALSE", "false", "False"):
        return False
    raise BuildError("bad-mount", f'{key} is true or false, not "{text}"')


def number(key: str, text: str, *, base: int) -> int:
    """A number of 32 bits without a sign, for a mount's mode (octal), uid or gid."""
    digits = "[0-7]{1,12}" if base == 8 else "[0-9]{1,12}"
    if not re.fullmatch(digits, text) or int(text, base) >= 1 << 32:
        kind = "an octal number" if base == 8 else "a number"
        raise BuildError("bad-mount", f'{key} is {kind}, not "{text}"')
    return int(text, base)


def byte_size(text: str) -> int:
    """A size such as `64m` or `1.5GiB` in bytes, in powers of 1024 as Docker has them."""
    found = re.fullmatch(r"(\d{1,15}(?:\.\d{1,9})?) ?([kmgtp]?)i?b?", text, re.IGNORECASE | re.ASCII)
    if not found:
        hint = "write a number and perhaps a unit, as 64m or 1g"
        raise BuildError("bad-mount", f'"{text}" is not a size', hint=hint)
    return int(float(found[1]) * 1024 ** " kmgtp".index(found[2].lower() or " "))


def ports(text: str) -> list[str]:
    """The ports that a word of EXPOSE names, as `80/tcp`: `80`, `7000-7003/udp`, `[[ip:]host:]80`."""
    *outer, inner = text.rsplit(":", 2)
    if len(outer) == 2 and outer[0]:
        _check_address(outer[0], text)
    port, slash, protocol = inner.partition("/")
    protocol = protocol.lower() if slash and protocol else "tcp"
    if protocol not in ("tcp", "udp", "sctp"):
        raise BuildError("bad-port", f'"{protocol}" is not a protocol', hint="write tcp, udp or sctp")
    first, last = _range(port, text)
    if outer and outer[-1]:
        host_first, host_last = _range(outer[-1], text)
        if first != last and host_last - host_first != last - first:
            raise BuildError("bad-port", f'the ranges of "{text}" have different lengths')
    return [f"{n}/{protocol}" for n in range(first, last + 1)]


def _check_address(address: str, whole: str) -> None:
    from ipaddress import ip_address

    try:
        if "%" in address:
            raise ValueError("a zone")
        ip_address(address[1:-1] if address.startswith("[") and address.endswith("]") else address)
    except ValueError:
        raise BuildError("bad-port", f'"{address}" in "{whole}" is not an IP address') from None


def _range(text: str, whole: str) -> tuple[int, int]:
    match = re.fullmatch(r"([0-9]{1,9})(?:-([0-9]{1,9}))?", text)
    first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
    if not 0 <= first <= last <= 65535:
        raise BuildError("bad-port", f'"{whole}" is not a port', hint="write 80, 80/udp or 8000-8010")
    return first, last


def check_signal(text: str) -> None:
    """Refuse what is neither a number other than 0, as BuildKit takes it, nor the name of a signal."""
    if re.fullmatch(r"[-+]?[0-9]{1,18}", text):
        known = int(text) != 0
    else:
        known = text.upper().removeprefix("SIG") in _SIGNALS
    if not known:
        raise BuildError("bad-signal", f'"{text}" is not a signal', hint="write SIGTERM, TERM or 15")


def check_mode(text: str) -> None:
    """Refuse what `--chmod` cannot be: octal up to 07777, or symbolic as chmod takes it."""
    octal = re.fullmatch(r"[0-7]{1,8}", text)
    if not (int(text, 8) <= 0o7777 if octal else _SYMBOLIC.fullmatch(text)):
        hint = "write an octal number up to 07777, or as u=rwX,go=rX"
        raise BuildError("bad-mode", f'"{text}" is not a file mode', hint=hint)


def platform(text: str, default: "Platform") -> "Platform":
    """`os/architecture[/variant]`, or `os` or an architecture alone, the rest as `default` has it.

    Usual other names are made OCI's.
    """
    from buildtool.graph.model import Platform

    parts = text.lower().split("/")
    if not all(re.fullmatch(r"[a-z0-9_.-]+", p) for p in parts) or len(parts) > 3:
        raise BuildError(
            "bad-platform", f'"{text}" is not a platform', hint="write linux/amd64 or linux/arm/v7"
        )
    parts[0] = "darwin" if parts[0] == "macos" else parts[0]
    if len(parts) == 1:
        if parts[0] in _SYSTEMS:
            return Platform(parts[0], default.architecture, default.variant)
        if _ARCHITECTURES.get(parts[0], parts)[0] not in _KNOWN:
            message = f'"{text}" is neither an operating system nor an architecture'
            raise BuildError("bad-platform", message, hint="write linux/amd64 or linux/arm/v7")
        parts.insert(0, default.os)
    architecture, variant = _ARCHITECTURES.get(parts[1], (parts[1], ""))
    variant = parts[2] if len(parts) == 3 else variant
    if (architecture, variant) in (("arm64", "v8"), ("arm64", "8"), ("amd64", "v1")):
        variant = ""
    if architecture == "arm":
        variant = {"": "v7", "5": "v5", "6": "v6", "7": "v7", "8": "v8"}.get(variant, variant)
    return Platform(parts[0], architecture, variant)
