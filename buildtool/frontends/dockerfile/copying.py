"""COPY and ADD: their sources as steps, their destination as a path of the image."""

import posixpath
import re
from itertools import groupby

from buildtool.diag import BuildError
from buildtool.frontends.dockerfile import tree
from buildtool.frontends.dockerfile.adding import adding, place_of
from buildtool.frontends.dockerfile.body import Body
from buildtool.frontends.dockerfile.heredoc import heredoc_word, without_tabs
from buildtool.frontends.dockerfile.remote import GitReference
from buildtool.frontends.dockerfile.request import Bases, FolderContext
from buildtool.frontends.dockerfile.tree import Heredoc, Word
from buildtool.frontends.dockerfile.values import check_mode
from buildtool.graph.ignore import exclusions
from buildtool.graph.model import CopyAction, FetchSource, LiteralFile, LiteralSource, Owner, Step
from buildtool.graph.stage import clean_path


def copy(body: Body, node: tree.Copy | tree.Add, source: Step | FolderContext, bases: Bases) -> None:
    """Lower one COPY or ADD from a step or a folder; of a folder, only what is named is looked at."""
    is_add = isinstance(node, tree.Add)
    dest = destination(body, node.dest)
    owner = _owner(body, node)
    mode = _mode(body, node)
    exclude = _exclude(body, node)
    # As BuildKit has it, --link is nothing beside a mode.
    parents, link = node.true("parents"), node.true("link") and mode is None
    heredocs = _heredocs(body, node)
    words = [w for w in node.sources if not (node.heredocs and heredoc_word(w.text))]
    written = [body.word(word.text, word.at) for word in words]
    remote = [_place_of(body, word, text, is_add=is_add) for word, text in zip(words, written, strict=True)]
    checksum = _checksum(body, node, remote)
    origin = body.origin(node)
    actions: list[CopyAction] = []
    keep = node.true("keep-git-dir") if node.flag("keep-git-dir") else None
    for where, run in groupby(zip(words, written, remote, strict=True), key=lambda item: item[2]):
        if where is not None:
            try:
                added = adding(where, checksum, keep_git_dir=keep, bases=bases, origin=origin)
            except BuildError as error:
                wrong = node.flag("checksum") if error.code in ("bad-digest", "bad-checksum") else None
                raise error.at(body.span(wrong.at if wrong else next(iter(run))[0].at)) from None
            actions.append(
                CopyAction(
                    added,
                    (added.name,) if isinstance(added, FetchSource) else ("",),
                    dest,
                    owner,
                    mode,
                    exclude,
                    unpack=isinstance(added, FetchSource) and node.true("unpack"),
                    link=link,
                    wildcards=False,
                )
            )
            continue
        found = [(word, _source(body, word, text, parents=parents)) for word, text, _ in run]
        paths = tuple(path for _, path in found)
        files = source
        if isinstance(files, FolderContext):
            for word, path in () if parents else found:
                _check_seen(body, word, path, files.ignore)
            include = tuple(sorted({path.replace("/./", "/") for path in paths}))
            files = body.shared.local(files.folder, include, files.ignore, origin)
        unpack = is_add and (node.flag("unpack") is None or node.true("unpack"))
        actions.append(
            CopyAction(files, paths, dest, owner, mode, exclude, parents=parents, unpack=unpack, link=link)
        )
    for file in heredocs:
        literal = LiteralSource((file,), origin)
        actions.append(
            CopyAction(literal, (file.path,), dest, owner, mode, exclude, link=link, wildcards=False)
        )
    body.stage = body.stage.files(*actions, origin=origin)


def destination(body: Body, word: Word) -> str:
    """The destination as an absolute path; a slash at its end, or `/.`, stays as a slash: it is a folder."""
    written = body.word(word.text, word.at)
    if "\0" in written:
        raise BuildError("bad-path", "a path holds no zero byte", span=body.span(word.at))
    full = clean_path(posixpath.join(body.stage.config.working_dir or "/", written))
    folder = written in ("", ".", "..") or written.endswith(("/", "/.", "/.."))
    return f"{full}/" if folder and full != "/" else full


def _place_of(body: Body, word: Word, written: str, *, is_add: bool) -> str | GitReference | None:
    try:
        return place_of(written, is_add=is_add)
    except BuildError as error:
        raise error.at(body.span(word.at)) from None


def _checksum(body: Body, node: tree.Copy | tree.Add, remote: list[str | GitReference | None]) -> str:
    """What --checksum says; BuildError where there is nothing that it can be about."""
    flag = node.flag("checksum")
    checksum = body.word(flag.value, flag.at) if flag is not None and flag.value else ""
    if flag is None or not checksum:
        return ""
    span = body.span(flag.at)
    if len(remote) != 1:
        raise BuildError("checksum-of-several", "--checksum is for one source", span=span)
    if remote[0] is None:
        raise BuildError(
            "checksum-of-local-file",
            "--checksum is for what is downloaded",
            span=span,
            hint="the files of a context are known by their content",
        )
    return checksum


def _source(body: Body, word: Word, written: str, *, parents: bool) -> str:
    """A source relative to the root of what it comes from; `..` cannot leave that, `.` is "".

    With --parents the pivot `/./` stays: what stands before it is not kept.
    """
    if "\0" in written:
        raise BuildError("bad-path", "a path holds no zero byte", span=body.span(word.at))
    if parents and "/./" in written:
        before, _, after = written.partition("/./")
        return f"{clean_path(before)[1:]}/./{clean_path(after)[1:]}".removeprefix("/./")
    return clean_path(written)[1:]


_PLAIN = re.compile(r"(?:[^*?\[\\]|\\.)*", re.S)


def _check_seen(body: Body, word: Word, path: str, ignore: tuple[str, ...]) -> None:
    """Refuse a pattern in a folder that is left out: to BuildKit it is not there, which nothing excuses."""
    plain = _PLAIN.match(path)
    folder = "" if plain is None or plain[0] == path else posixpath.dirname(plain[0]).replace("\\", "")
    if folder and body.shared.leaves_out(folder, ignore):
        raise BuildError(
            "source-not-found",
            f"there is no '/{folder}' to copy",
            span=body.span(word.at),
            hint=".dockerignore leaves it out",
        )


def _owner(body: Body, node: tree.Instruction) -> Owner | None:
    flag = node.flag("chown")
    if flag is None or not flag.value:
        return None
    user, _, group = body.word(flag.value, flag.at).partition(":")
    return Owner(user, group) if user or group else None


def _mode(body: Body, node: tree.Instruction) -> str | None:
    flag = node.flag("chmod")
    if flag is None or not flag.value:
        return None
    mode = body.word(flag.value, flag.at)
    if not mode:
        return None
    try:
        check_mode(mode)
    except BuildError as error:
        raise error.at(body.span(flag.at)) from None
    return mode


def _exclude(body: Body, node: tree.Instruction) -> tuple[str, ...]:
    found: list[str] = []
    for flag in node.flags:
        if flag.name == "exclude":
            try:
                found += exclusions([flag.value or ""])
            except BuildError as error:
                raise error.at(body.span(flag.at)) from None
    return tuple(found)


def _heredocs(body: Body, node: tree.Copy | tree.Add) -> list[LiteralFile]:
    return [_file(body, heredoc) for heredoc in node.heredocs]


def _file(body: Body, heredoc: Heredoc) -> LiteralFile:
    """A heredoc as a file: its tabs dropped and its variables expanded where it says so."""
    text = without_tabs(heredoc.body) if heredoc.chomp else heredoc.body
    if heredoc.expand:
        try:
            text = body.shared.bodies.word(text, body.env)
        except BuildError as error:
            raise error.at(body.span(heredoc.at)) from None
    name = heredoc.name.rsplit("/", 1)[-1]
    if name in ("", ".", ".."):
        raise BuildError("bad-path", f'"{heredoc.name}" is not a file name', span=body.span(heredoc.at))
    return LiteralFile(name, text.encode())
