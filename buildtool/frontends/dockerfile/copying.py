"""COPY and ADD: their sources as steps, their destination as a path of the image."""

import posixpath

from buildtool.diag import BuildError
from buildtool.frontends.dockerfile import tree
from buildtool.frontends.dockerfile.body import Body
from buildtool.frontends.dockerfile.heredoc import heredoc_word, without_tabs
from buildtool.frontends.dockerfile.request import FolderContext
from buildtool.frontends.dockerfile.tree import Heredoc, Word
from buildtool.frontends.dockerfile.values import check_mode
from buildtool.graph.model import CopyAction, LiteralFile, LiteralSource, Owner, Step
from buildtool.graph.stage import clean_path

_REMOTE = ("http://", "https://")
_GIT = ("git://", "git@", "ssh://")


def copy(body: Body, node: tree.Copy | tree.Add, source: Step | FolderContext) -> None:
    """Lower one COPY or ADD from a step or a folder; of a folder, only what is named is looked at."""
    is_add = isinstance(node, tree.Add)
    dest = destination(body, node.dest)
    owner = _owner(body, node)
    mode = _mode(body, node)
    exclude = tuple(f.value or "" for f in node.flags if f.name == "exclude")
    parents, link = node.true("parents"), node.true("link")
    heredocs = _heredocs(body, node)
    words = [w for w in node.sources if not (node.heredocs and heredoc_word(w.text))]
    paths = tuple(_source(body, word, is_add=is_add, parents=parents) for word in words)
    origin = body.origin(node)
    actions: list[CopyAction] = []
    if is_add and node.value("checksum") is not None:
        hint = "the files of a context are known by their content"
        raise BuildError("checksum-of-local-file", "--checksum is for what is downloaded", hint=hint)
    if paths:
        if isinstance(source, FolderContext):
            include = tuple(sorted({path.replace("/./", "/") for path in paths}))
            source = body.shared.local(source.folder, include, source.ignore, origin)
        unpack = is_add and (node.flag("unpack") is None or node.true("unpack"))
        actions.append(
            CopyAction(source, paths, dest, owner, mode, exclude, parents=parents, unpack=unpack, link=link)
        )
    for file in heredocs:
        literal = LiteralSource((file,), origin)
        actions.append(CopyAction(literal, (file.path,), dest, owner, mode, link=link, wildcards=False))
    body.stage = body.stage.files(*actions, origin=origin)


def destination(body: Body, word: Word) -> str:
    """The destination as an absolute path; a slash at its end, or `/.`, stays as a slash: it is a folder."""
    written = body.word(word.text, word.at)
    if "\0" in written:
        raise BuildError("bad-path", "a path holds no zero byte", span=body.span(word.at))
    full = clean_path(posixpath.join(body.stage.config.working_dir or "/", written))
    folder = written in ("", ".", "..") or written.endswith(("/", "/.", "/.."))
    return f"{full}/" if folder and full != "/" else full


def _source(body: Body, word: Word, *, is_add: bool, parents: bool) -> str:
    """A source relative to the root of what it comes from; `..` cannot leave that, `.` is "".

    With --parents the pivot `/./` stays: what stands before it is not kept.
    """
    written = body.word(word.text, word.at)
    if is_add and written.startswith(_REMOTE):
        raise body.refuse("ADD of a URL", word.at)
    if is_add and (written.startswith(_GIT) or written.split("#")[0].endswith(".git")):
        raise body.refuse("ADD of a git repository", word.at)
    if "\0" in written:
        raise BuildError("bad-path", "a path holds no zero byte", span=body.span(word.at))
    if parents and "/./" in written:
        before, _, after = written.partition("/./")
        return f"{clean_path(before)[1:]}/./{clean_path(after)[1:]}".removeprefix("/./")
    return clean_path(written)[1:]


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
    try:
        check_mode(mode)
    except BuildError as error:
        raise error.at(body.span(flag.at)) from None
    return mode


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
