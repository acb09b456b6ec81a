"""Reaching out: what the results of a step are kept under, with a network and without.

still:   watched (no network, at the epoch), or no network at all
online:  in the recorded internet, or with the host's network
"""

from collections.abc import Callable
from dataclasses import dataclass

from buildtool.digest import Key, Plain, key_of
from buildtool.executor.api import Reached, Recorded
from buildtool.graph.model import FileOp, Run
from buildtool.layers.finishers import FINISHERS
from buildtool.lock.exchanges import RunPins
from buildtool.sandbox import clock

#: Moves when the sandbox changes what a process sees, or what is kept of what it leaves behind.
SANDBOX = 2
#: Moves when the recorded internet does.
INTERNET = 1


@dataclass(frozen=True, slots=True)
class Keys:
    """What the results of a step are kept under, and what a lock has of it.

    `action` is what the step does, and to what; a lock knows its recording by that.
    `still` is None for a step that has the host's network in any case, `online` for one
    that never gets a network.
    """

    action: Key
    still: Key | None
    online: Key | None = None
    recording: RunPins | None = None


def keys_of(step: FileOp | Run, key: Callable[..., Key], present: int, recorded: Recorded) -> Keys:
    """The keys of a step; `key` makes one of what its result depends on beside the step itself."""
    if isinstance(step, FileOp):
        action = key(world=None)
        return Keys(action, action)
    world = _world(step)
    around: dict[str, Plain] = {"proxies": [list(pair) for pair in step.proxies]} if step.proxies else {}
    action = key(world=world)
    still = key(world=world, **around)
    if step.network == "none":
        return Keys(action, still)
    if step.network == "host":
        return Keys(action, None, key(world=world, **around, present=present))
    recording = recorded.recording(action)
    if recording is not None:
        return Keys(action, still, replayed(action, recording), recording)
    return Keys(action, still, key(world=world, internet=INTERNET, present=present))


def replayed(action: Key, recording: RunPins) -> Key:
    """What the result of a step is kept under whose requests a recording answers."""
    from buildtool.lock.spelling import recording_key

    return key_of({"action": action, "internet": INTERNET, "recording": recording_key(recording)})


def reached(step: FileOp | Run) -> Reached:
    """The network of a process that reached out."""
    return "host" if isinstance(step, Run) and step.network == "host" else "recorded"


def _world(step: Run) -> Plain:
    """What a process's layer depends on beside the step itself: the versions of what we do to it."""
    return {
        "sandbox": SANDBOX,
        "clock": clock.VERSION if step.frozen else 0,
        "finishers": [[name, FINISHERS[name].version] for name in step.finishers],
    }
