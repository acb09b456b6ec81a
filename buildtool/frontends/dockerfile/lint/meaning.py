"""Rules on instructions that do something else than they seem to (all BuildKit's)."""

import json
import posixpath
import re
from collections.abc import Iterator

from buildtool.diag import suggestion
from buildtool.frontends.dockerfile import tree
from buildtool.frontends.dockerfile.lint.facts import Facts, Saw, StageFacts
from buildtool.frontends.dockerfile.lint.rule import Broken, Rule
from buildtool.graph.ignore import IgnoreMatcher

_SECRET = re.compile(
    r"(?:_|^)(?:apikey|auth|credentials?|key|password|pword|passwd|secret|token)(?:_|$)", re.I
)
_NO_SECRET = re.compile(r"(?:_|^)(?:public|file|version)(?:_|$)", re.I)

#: The patterns that leave out all of a context; others do not concern its root, however it is named.
_EVERYTHING = frozenset({"*", "**", "**/*"})
_ROOT = (".", "/")

#: Arguments that steer the build and never reach a variable.
_STEERING = {"BUILDKIT_SBOM_SCAN_CONTEXT", "BUILDKIT_SBOM_SCAN_STAGE"}


def _lowered(facts: Facts) -> Iterator[tuple[StageFacts, list[Saw]]]:
    for stage in facts.stages:
        if stage.began is not None:
            yield stage, stage.began.saw


def _json_args_recommended(facts: Facts) -> Iterator[Broken]:
    for _, seen in _lowered(facts):
        for saw in seen:
            node = saw.node
            if (
                isinstance(node, tree.Cmd | tree.Entrypoint)
                and node.command.form == "shell"
                and not saw.shell
            ):
                yield Broken(
                    saw.at,
                    f"JSON arguments recommended for {node.name} to prevent unintended behavior related to"
                    " OS signals",
                    _as_json(node),
                )


def _as_json(node: tree.Cmd | tree.Entrypoint) -> str:
    text = "".join(node.command.words)
    if not text or re.search(r"""[^\w\s./:=@%+,-]""", text):
        return ""
    return f"write {node.name} {json.dumps(text.split())}"


def _workdir_relative_path(facts: Facts) -> Iterator[Broken]:
    for stage, seen in _lowered(facts):
        before = (saw for above in facts.lineage(stage)[:-1] if above.began for saw in above.began.saw)
        if any(isinstance(saw.node, tree.Workdir) for saw in before):
            continue
        first = next((saw for saw in seen if isinstance(saw.node, tree.Workdir)), None)
        if first is not None and not first.words[0].startswith("/"):
            yield Broken(
                first.at,
                f'Relative workdir "{first.words[0]}" can have unexpected results if the base image changes',
            )


def _undefined_var(facts: Facts) -> Iterator[Broken]:
    declared_in: dict[int, set[str]] = {}
    for stage, seen in _lowered(facts):
        parent = stage.began.parent if stage.began else None
        declared = set(declared_in.get(parent, ())) if parent is not None else set()
        known_base = facts.known_base(stage)
        for saw in seen:
            if saw.unset and not isinstance(saw.node, tree.Expose):
                for name in sorted(saw.unset - declared - _STEERING):
                    names = (*saw.known, *declared)
                    # Of an image that cannot be looked at nobody knows which variables it sets.
                    if known_base or any(_slip(name, other) for other in names):
                        yield _undefined(facts, saw, name, suggestion(name, names))
            if isinstance(saw.node, tree.Arg):
                declared.update(pair.name for pair in saw.node.pairs)
        declared_in[stage.index] = declared


def _undefined(facts: Facts, saw: Saw, name: str, near: str) -> Broken:
    near = near.replace("mean ", "mean $")
    at = (
        saw.at if saw.trigger else facts.find(_with_heredocs(saw.node), rf"\$\{{?{re.escape(name)}(?!\w)\}}?")
    )
    text = f"Usage of undefined variable '${name}'{f' ({near})' if near else ''}"
    return Broken(at, text, near[:1].upper() + near[1:])


def _with_heredocs(node: tree.Node) -> tree.Place:
    heredocs = getattr(node, "heredocs", ())
    return node.at._replace(end_line=heredocs[-1].at.end_line) if heredocs else node.at


def _slip(name: str, other: str) -> bool:
    """Whether a name is another one with a slip of the finger: two letters changed round, or one too many."""
    if len(other) < 4 or abs(len(name) - len(other)) > 1:
        return False
    if len(name) == len(other):
        wrong = [(a, b) for a, b in zip(name, other, strict=True) if a != b]
        return len(wrong) == 1 or (len(wrong) == 2 and wrong[0] == wrong[1][::-1])
    short, long = sorted((name, other), key=len)
    return any(long[:at] + long[at + 1 :] == short for at in range(len(long)))


def _multiple_instructions_disallowed(facts: Facts) -> Iterator[Broken]:
    for _, seen in _lowered(facts):
        last: dict[str, Saw] = {}
        for saw in seen:
            if isinstance(saw.node, tree.Cmd | tree.Entrypoint | tree.Healthcheck):
                name = saw.node.name
                if name in last:
                    yield Broken(
                        last[name].at,
                        f"Multiple {name} instructions should not be used in the same stage because only the"
                        " last one will be used",
                        f"remove this one; line {saw.at.line} takes its place",
                    )
                last[name] = saw


def _secrets_used_in_arg_or_env(facts: Facts) -> Iterator[Broken]:
    for _, seen in _lowered(facts):
        for saw in seen:
            if not isinstance(saw.node, tree.Arg | tree.Env):
                continue
            for pair in saw.node.pairs:
                if _SECRET.search(pair.name) and not _NO_SECRET.search(pair.name):
                    yield Broken(
                        saw.at if saw.trigger else pair.at,
                        "Do not use ARG or ENV instructions for sensitive data"
                        f' ({saw.node.name} "{pair.name}")',
                        f"use RUN --mount=type=secret,id={pair.name.lower()},env={pair.name}",
                    )


def _copy_ignored_file(facts: Facts) -> Iterator[Broken]:
    patterns = facts.request.ignore
    if not patterns or any(p.startswith("!") for p in patterns):
        return
    matcher, everything = IgnoreMatcher(patterns), not _EVERYTHING.isdisjoint(patterns)
    for _, seen in _lowered(facts):
        for saw in seen:
            node = saw.node
            if not isinstance(node, tree.Copy | tree.Add) or node.value("from"):
                continue
            for word, value in zip(node.sources, saw.words, strict=True):
                path = posixpath.normpath(value) if value else "."
                if "://" in value or value.startswith("<<"):
                    continue
                if everything or (path not in _ROOT and matcher.matches(path)):
                    yield Broken(
                        saw.at if saw.trigger else word.at,
                        f'Attempting to {node.name.capitalize()} file "{path}" that is excluded by'
                        " .dockerignore",
                    )


RULES = (
    Rule(
        "JSONArgsRecommended",
        "warning",
        "`CMD` and `ENTRYPOINT` are written in the JSON form.",
        "The shell form starts `/bin/sh -c`, which becomes process 1 and passes no signals on: the container"
        " does not stop when it is asked to, and is killed after the grace period. The JSON form starts the"
        " program itself. Where a shell is wanted, say so with `SHELL`, or name it:"
        ' `CMD ["sh", "-c", "exec program $OPTION"]`.',
        "write the JSON form",
        "FROM alpine:3.20\nCMD httpd -f\n",
        'FROM alpine:3.20\nCMD ["httpd", "-f"]\n',
        _json_args_recommended,
    ),
    Rule(
        "WorkdirRelativePath",
        "warning",
        "The first `WORKDIR` of a build is absolute.",
        "A relative `WORKDIR` continues from that of the base image. When a newer base has another one, all"
        " files land elsewhere.",
        "begin the path with a slash",
        "FROM nginx:1.27\nWORKDIR html\n",
        "FROM nginx:1.27\nWORKDIR /usr/share/nginx/html\n",
        _workdir_relative_path,
    ),
    Rule(
        "UndefinedVar",
        "warning",
        "Variables are set or declared before they are used.",
        "A variable that nothing sets is empty: a misspelt name copies another file or sets another path than"
        " was meant, without an error. An `ARG` before the first `FROM` is not seen in a stage unless the"
        " stage declares it again. What the base image sets counts; of a base image that cannot be looked at,"
        " only names that are a slip away from a known one are reported.",
        "declare it with ARG or set it with ENV before this instruction",
        "FROM alpine:3.20\nARG DIR_ASSETS=assets\nCOPY $DIR_ASSET /srv/\n",
        "FROM alpine:3.20\nARG DIR_ASSETS=assets\nCOPY $DIR_ASSETS /srv/\n",
        _undefined_var,
    ),
    Rule(
        "MultipleInstructionsDisallowed",
        "warning",
        "A stage has one `CMD`, one `ENTRYPOINT` and one `HEALTHCHECK` at most.",
        "Only the last one counts. An earlier one does nothing but mislead.",
        "remove all but the last",
        'FROM alpine:3.20\nCMD ["a"]\nCMD ["b"]\n',
        'FROM alpine:3.20\nCMD ["b"]\n',
        _multiple_instructions_disallowed,
    ),
    Rule(
        "SecretsUsedInArgOrEnv",
        "warning",
        "No `ARG` or `ENV` has the name of a secret.",
        "The values of `ENV` are part of the image, those of `ARG` of its history: everyone who can pull the"
        " image can read them. A secret mount exists during one step only and leaves no trace.",
        "use a secret mount",
        "FROM alpine:3.20\nARG API_TOKEN\nRUN fetch --token=$API_TOKEN\n",
        "FROM alpine:3.20\nRUN --mount=type=secret,id=api_token,env=API_TOKEN fetch --token=$API_TOKEN\n",
        _secrets_used_in_arg_or_env,
    ),
    Rule(
        "CopyIgnoredFile",
        "warning",
        "`COPY` and `ADD` name no file that `.dockerignore` leaves out.",
        "What is left out is not part of the context, so the instruction fails. The rule says so before the"
        " build. Where the ignore file has exceptions (`!`), nothing is reported.",
        "copy another file, or take the pattern out of .dockerignore",
        "# .dockerignore has: *.log\nFROM alpine:3.20\nCOPY debug.log /\n",
        "# .dockerignore has: *.log\nFROM alpine:3.20\nCOPY debug.txt /\n",
        _copy_ignored_file,
    ),
)
