"""Loading: packages by name and platform, from what is remembered or from children that evaluate them."""

import os
import threading
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING

from buildtool.diag import BuildError, BuildErrors
from buildtool.frontends.starlark.configuration import Configuration
from buildtool.frontends.starlark.declared import Package

if TYPE_CHECKING:
    from buildtool.frontends.starlark.process import Child
    from buildtool.frontends.starlark.remembered import Memory, Remembered

#: A further child is worth its start from this number of packages on.
_WORTH_A_CHILD = 20
_MAX_CHILDREN = 4


class Loader:
    """Loads the packages below `root`; close it when done: it may have processes."""

    def __init__(self, root: str, rules: str, memory: "Memory | None") -> None:
        self._root = root
        self._rules = rules
        self._memory = memory
        self._remembered: Remembered | None = None
        self._children: list[Child] = []

    def close(self) -> None:
        """End the evaluating processes that were started."""
        for child in self._children:
            child.close()
        self._children.clear()

    def load(self, names: Sequence[str], configuration: Configuration) -> dict[str, Package | BuildError]:
        """The packages of these names, each of which has a BUILD.star, or what is wrong with it."""
        remembered = self._memories()
        found: dict[str, Package | BuildError] = {}
        if remembered:
            found.update(remembered.get_many(names, configuration))
        missing = [name for name in names if name not in found]
        if missing:
            evaluated = self._evaluate(missing, configuration)
            found.update(evaluated)
            if remembered:
                fresh = [p for p in evaluated.values() if isinstance(p, Package)]
                remembered.put_many(fresh, configuration)
        return found

    def _evaluate(
        self, names: Sequence[str], configuration: Configuration
    ) -> dict[str, Package | BuildError]:
        """Share the packages among children, each asked by a thread of ours."""
        waiting = deque(names)
        found: dict[str, Package | BuildError] = {}
        crashes: list[BaseException] = []

        def ask(child: "Child") -> None:
            try:
                while not crashes:
                    name = waiting.popleft()
                    try:
                        found[name] = child.package(name, configuration)
                    except BuildError as e:
                        found[name] = e
            except IndexError:
                return
            except BaseException as e:
                crashes.append(e)

        children = self._running(len(names))
        threads = [threading.Thread(target=ask, args=(child,)) for child in children[1:]]
        for thread in threads:
            thread.start()
        ask(children[0])
        for thread in threads:
            thread.join()
        if crashes:
            raise crashes[0]
        return found

    def _running(self, packages: int) -> "list[Child]":
        from buildtool.frontends.starlark.process import Child

        cores = len(os.sched_getaffinity(0))
        wanted = max(1, min(cores, _MAX_CHILDREN, packages // _WORTH_A_CHILD))
        while len(self._children) < wanted:
            self._children.append(Child(self._root, self._rules))
        return self._children[:wanted]

    def _memories(self) -> "Remembered | None":
        if self._remembered is None and self._memory is not None:
            from buildtool.frontends.starlark.remembered import Remembered

            self._remembered = Remembered(self._memory, self._root, self._rules)
        return self._remembered


def or_raise(found: dict[str, Package | BuildError]) -> dict[str, Package]:
    """The packages, if there is no error among them; all errors, in the order of names, if there are."""
    errors = [e for _, e in sorted(found.items()) if isinstance(e, BuildError)]
    flat = [e for error in errors for e in (error.errors if isinstance(error, BuildErrors) else (error,))]
    if flat:
        raise BuildErrors(flat) if len(flat) > 1 else flat[0]
    return {name: p for name, p in found.items() if isinstance(p, Package)}
