"""The plan: the steps that the roots need, in order, and how each is shown.  Pure."""

from dataclasses import dataclass, field

from buildtool.executor.progress import StepInfo
from buildtool.graph.model import (
    FetchSource,
    FileOp,
    GitSource,
    Image,
    ImageSource,
    Index,
    LiteralSource,
    LocalSource,
    Run,
    Step,
    inputs,
    walk,
)


@dataclass(slots=True, eq=False)
class Node:
    """A step in its place: what it waits for, what waits for it, and whether its layer is exported."""

    step: Step
    info: StepInfo
    inputs: tuple["Node", ...]
    users: list["Node"] = field(default_factory=list)
    exported: bool = False


def plan(roots: list[Step]) -> list[Node]:
    """Every step once, inputs before users."""
    nodes: dict[int, Node] = {}
    for number, step in enumerate(walk(roots)):
        below = tuple(nodes[id(i)] for i in inputs(step))
        node = Node(step, _info(number, step), below)
        nodes[id(step)] = node
        for i in below:
            i.users.append(node)
    for root in roots:
        for image in root.images if isinstance(root, Index) else (root,):
            _mark_exported(image, nodes)
    return list(nodes.values())


def _mark_exported(image: Step, nodes: dict[int, Node]) -> None:
    step = image.rootfs if isinstance(image, Image) else None
    while step is not None:
        nodes[id(step)].exported = True
        step = step.base if isinstance(step, FileOp | Run) else None


def _info(number: int, step: Step) -> StepInfo:
    origin = step.origin
    return StepInfo(
        number=number,
        kind=type(step).__name__.lower(),
        title=origin.title if origin else _title(step),
        stage=origin.stage if origin else "",
        span=origin.span if origin else None,
    )


def _title(step: Step) -> str:
    if isinstance(step, LocalSource):
        return "read " + ", ".join(i or "." for i in step.include[:3])
    if isinstance(step, FetchSource):
        return f"fetch {step.name}"
    if isinstance(step, GitSource):
        return f"fetch {step.url}"
    if isinstance(step, ImageSource):
        return f"FROM {step.reference or step.manifest}"
    if isinstance(step, LiteralSource):
        return "write " + ", ".join(f.path for f in step.files[:3])
    if isinstance(step, Run):
        return " ".join(step.argv)
    if isinstance(step, FileOp):
        return "file operation"
    return "image" if isinstance(step, Image) else "index"
