"""The processors that a step sees: four of no particular kind, on every machine.

The clock library (`clock/cpus.c`) answers programs that ask for their number; here are the
files of /proc and /sys for those that read it.  docs/decisions/0169 says why four.
"""

from collections.abc import Iterator

#: How many there are, in the files and in the answers of the library.
COUNT = 4

#: What every 64-bit processor of the architecture has, and nothing that only some have.
_MODELS = {
    "amd64": (
        "vendor_id\t: unknown",
        "cpu family\t: 15",
        "model\t\t: 0",
        "model name\t: x86-64",
        "stepping\t: 0",
        "cpu MHz\t\t: 1000.000",
        "cache size\t: 1024 KB",
        "physical id\t: 0",
        f"siblings\t: {COUNT}",
        "core id\t\t: {n}",
        f"cpu cores\t: {COUNT}",
        "apicid\t\t: {n}",
        "initial apicid\t: {n}",
        "fpu\t\t: yes",
        "fpu_exception\t: yes",
        "cpuid level\t: 1",
        "wp\t\t: yes",
        "flags\t\t: fpu tsc msr pae mce cx8 apic mtrr pge mca cmov pat clflush mmx fxsr sse sse2 "
        "syscall nx lm",
        "bugs\t\t:",
        "bogomips\t: 2000.00",
        "clflush size\t: 64",
        "cache_alignment\t: 64",
        "address sizes\t: 40 bits physical, 48 bits virtual",
        "power management:",
    ),
    "arm64": (
        "BogoMIPS\t: 100.00",
        "Features\t: fp asimd",
        "CPU implementer\t: 0x00",
        "CPU architecture: 8",
        "CPU variant\t: 0x0",
        "CPU part\t: 0x000",
        "CPU revision\t: 0",
    ),
}


def files(architecture: str, instant: int) -> dict[str, str]:
    """What a step reads at these paths (proc(5), sysfs); the machine was started at `instant`, in seconds."""
    everyone = f"0-{COUNT - 1}\n"
    folder = "/sys/devices/system/cpu"
    return {
        "/proc/cpuinfo": "".join(_processors(_MODELS[architecture])),
        "/proc/stat": "".join(f"{row}\n" for row in _counters(instant)),
        **{f"{folder}/{name}": everyone for name in ("online", "possible", "present")},
    }


def _processors(model: tuple[str, ...]) -> Iterator[str]:
    for n in range(COUNT):
        rows = (f"processor\t: {n}", *model, "")
        yield "".join(f"{row}\n" for row in rows).replace("{n}", str(n))


def _counters(instant: int) -> Iterator[str]:
    """A second in which no processor had anything to do; nobody divides by a sum of zero."""
    hundredths = 100
    yield f"cpu  0 0 0 {COUNT * hundredths} 0 0 0 0 0 0"
    yield from (f"cpu{n} 0 0 0 {hundredths} 0 0 0 0 0 0" for n in range(COUNT))
    yield "intr 0"
    yield "ctxt 0"
    yield f"btime {instant}"
    yield "processes 1"
    yield "procs_running 1"
    yield "procs_blocked 0"
    yield "softirq 0 0 0 0 0 0 0 0 0 0 0"
