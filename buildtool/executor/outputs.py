"""Outputs: what a step gave, as its users need it — a name for keys and a tree for work."""

from dataclasses import dataclass
from typing import TypeAlias

from buildtool.digest import Digest, Key, Plain
from buildtool.executor.api import Reached
from buildtool.executor.local import Listing
from buildtool.executor.work import ChainTree, FileTree, LayerRef, LiteralTree
from buildtool.store import chain_id


@dataclass(frozen=True, slots=True)
class Chain:
    """A tree made of layers; `titles` of the steps that made them, `network` that of the last one."""

    layers: tuple[LayerRef, ...] = ()
    chain_id: Digest | None = None
    titles: tuple[str, ...] = ()
    network: Reached = "none"

    def on_top(self, layer: LayerRef, title: str, network: Reached = "none") -> "Chain":
        """This chain with one more layer."""
        chain = chain_id(self.chain_id, layer.diff_id)
        return Chain((*self.layers, layer), chain, (*self.titles, title), network)

    @property
    def tree(self) -> ChainTree:
        """The chain as an input of work."""
        return ChainTree(self.layers)


@dataclass(frozen=True, slots=True)
class LocalFiles:
    """Files of a folder, listed."""

    folder: str
    listing: Listing


@dataclass(frozen=True, slots=True)
class OneFile:
    """A fetched file; its blob is brought when something needs its bytes."""

    tree: FileTree


@dataclass(frozen=True, slots=True)
class GitFiles:
    """The files of a commit; `key` names them, the archive with them is brought when it is needed."""

    key: Key


@dataclass(frozen=True, slots=True)
class Literal:
    """Files by value."""

    tree: LiteralTree


@dataclass(frozen=True, slots=True)
class Nothing:
    """A result: nothing takes it as an input."""


Output: TypeAlias = Chain | LocalFiles | OneFile | GitFiles | Literal | Nothing


def identity(output: Output) -> Plain:
    """What stands for the output in the keys of the steps that use it."""
    if isinstance(output, Chain):
        return {"chain": output.chain_id}
    if isinstance(output, LocalFiles):
        return {"local": output.listing.digest}
    if isinstance(output, OneFile):
        tree = output.tree
        dated: dict[str, Plain] = {} if tree.mtime is None else {"mtime": tree.mtime}
        return {"file": tree.digest, "name": tree.name, "mode": tree.mode, **dated}
    if isinstance(output, GitFiles):
        return {"git": output.key}
    if isinstance(output, Literal):
        return {"literal": [list(f) for f in output.tree.files]}
    raise TypeError(type(output).__name__)
