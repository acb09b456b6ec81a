"""What targets need: the labels that a declaration names, and the graph that they make."""

import os
from collections.abc import Iterable, Iterator

from msgspec import Struct

from buildtool.frontends.starlark.declared import Target
from buildtool.frontends.starlark.labels import BUILD_FILE, Label, is_label, parse_label
from buildtool.frontends.starlark.workspace import Workspace, span_of_site

#: The fields of targets and steps in which a label may stand, at any depth.
LABEL_FIELDS = frozenset(
    ("base", "contexts", "deps", "from_", "image", "images", "layers", "mounts", "source", "srcs", "steps")
)


def needs(label: Label, target: Target) -> tuple[Label, ...]:
    """The targets that a declaration names, in the order of their names in it."""
    return tuple(dict.fromkeys(parse_label(text, label.package) for text in _labels(target)))


def _labels(value: object) -> Iterator[str]:
    if isinstance(value, str):
        if is_label(value):
            yield value
    elif isinstance(value, tuple):
        for item in value:
            yield from _labels(item)
    elif isinstance(value, Struct):
        for name in value.__struct_fields__:
            if name in LABEL_FIELDS:
                yield from _labels(getattr(value, name))


class Dependencies:
    """The edges between the targets of a workspace, found as they are asked for."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self._needs: dict[Label, tuple[Label, ...]] = {}

    def target(self, label: Label) -> Target:
        return self.workspace.target(label)

    def of(self, label: Label) -> tuple[Label, ...]:
        """What a target names; BuildError where that does not exist, at the target that names it."""
        if label not in self._needs:
            target = self.workspace.target(label)
            found = needs(label, target)
            span = span_of_site(target.at[0]) if target.at else None
            for other in found:
                self.workspace.target(other, span)
            self._needs[label] = found
        return self._needs[label]

    def closure(self, labels: Iterable[Label], depth: int | None = None) -> dict[Label, int]:
        """These targets and all that they need, with the number of steps to each, at most `depth`."""
        found = dict.fromkeys(labels, 0)
        level = list(found)
        distance = 0
        while level and (depth is None or distance < depth):
            distance += 1
            self._load_ahead(level)
            level = list(dict.fromkeys(n for label in level for n in self.of(label) if n not in found))
            found.update(dict.fromkeys(level, distance))
        return found

    def reversed(self, labels: Iterable[Label]) -> dict[Label, list[Label]]:
        """For each target that one of `labels` names, those that name it."""
        found: dict[Label, list[Label]] = {}
        for label in labels:
            for needed in self.of(label):
                found.setdefault(needed, []).append(label)
        return found

    def _load_ahead(self, labels: Iterable[Label]) -> None:
        """Load the packages of the next level together."""
        workspace = self.workspace
        packages = {n.package for label in labels for n in needs(label, workspace.target(label))}
        there = [p for p in packages if os.path.isfile(os.path.join(workspace.folder(p), BUILD_FILE))]
        workspace.load(sorted(there))
