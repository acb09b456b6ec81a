"""Starlark conformance: what the evaluator passes by itself passes through our loader as well.

The golden tells what becomes of each chunk of starlark-go's test files.
"""

from collections.abc import Callable
from pathlib import Path

import pytest
import starlark as sl

from buildtool.diag import BuildError
from buildtool.frontends.starlark.configuration import Configuration
from buildtool.frontends.starlark.evaluate import dialect, library
from buildtool.frontends.starlark.loading import Loader
from buildtool.frontends.starlark.workspace import rules_folder
from tests.support.starlark_chunks import ASSERTIONS, Chunk, chunks, loading


def evaluates(text: str, assertions: sl.FrozenModule) -> bool:
    try:
        ast = sl.parse("chunk.star", loading(text), dialect())
        sl.eval(sl.Module(), ast, library(), sl.FileLoader(lambda _: assertions))
    except sl.StarlarkError:
        return False
    return True


def what_passes_alone(chunk: Chunk, assertions: sl.FrozenModule) -> tuple[str, int, int]:
    """The chunk without the paragraphs that the evaluator does not pass; how many stay, of how many.

    Other implementations differ in what they have, so hardly any chunk that is long passes whole.
    """
    if chunk.fails or evaluates(chunk.text, assertions):
        return chunk.text, int(evaluates(chunk.text, assertions) != chunk.fails), 1
    kept: list[str] = []
    paragraphs = chunk.paragraphs()
    for paragraph in paragraphs:
        if evaluates("\n".join([*kept, paragraph]), assertions):
            kept.append(paragraph)
    return "\n".join(kept), len(kept), len(paragraphs)


@pytest.mark.network
def test_chunks_pass_as_they_do_alone(tmp_path: Path, golden: Callable[[str, str], None]) -> None:
    module = sl.Module()
    sl.eval(module, sl.parse("assert.star", ASSERTIONS, dialect()), library())
    assertions = module.freeze()
    root = tmp_path / "ws"
    cases = {f"c{number}": chunk for number, chunk in enumerate(chunks(tmp_path))}
    parts = {name: what_passes_alone(chunk, assertions) for name, chunk in cases.items()}
    for name, (text, _, _) in parts.items():
        (root / name).mkdir(parents=True)
        (root / name / "BUILD.star").write_text(loading(text))
        (root / name / "assert.star").write_text(ASSERTIONS)
    loader = Loader(str(root), rules_folder(), None)
    try:
        found = loader.load(list(cases), Configuration("linux/amd64", {}, {}))
    finally:
        loader.close()
    rows, lost = [], []
    for name, chunk in cases.items():
        _, passed, whole = parts[name]
        here = isinstance(found[name], BuildError) == chunk.fails
        if passed and not here:
            lost.append((chunk.name, str(found[name])[:200]))
        rows.append(f"{chunk.name} passes {passed} of {whole}")
    assert lost == []
    golden("starlark/conformance.txt", "\n".join(rows) + "\n")
