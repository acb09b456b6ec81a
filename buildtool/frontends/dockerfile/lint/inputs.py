"""Rules on what a build takes from elsewhere: images, repositories, packages, downloads (all ours)."""

import re
from collections.abc import Callable, Iterator

from buildtool.address import public
from buildtool.diag import BuildError
from buildtool.frontends.dockerfile import tree
from buildtool.frontends.dockerfile.adding import place_of
from buildtool.frontends.dockerfile.lint.commands import commands, text_of
from buildtool.frontends.dockerfile.lint.facts import Facts
from buildtool.frontends.dockerfile.lint.rule import Broken, Rule
from buildtool.frontends.dockerfile.reference import familiar
from buildtool.frontends.dockerfile.remote import GitReference
from buildtool.frontends.dockerfile.tree import Place

# ---------------------------------------------------------------- images


def _latest_tag(facts: Facts) -> Iterator[Broken]:
    before: set[str] = set()
    names = {stage.name for stage in facts.stages}
    for stage in facts.stages:
        base = stage.base
        if base is not None and base.value not in before and not base.unset:
            yield from _floating(base.value, base.at)
        for node in stage.node.body:
            for name, at in _copied_from(node):
                if name.lower() not in names:
                    yield from _floating(name, at)
        before.add(stage.name)


def _copied_from(node: tree.Node) -> Iterator[tuple[str, Place]]:
    """What COPY --from and a mount's `from` name, if it can be an image."""
    for flag in node.flags:
        name = flag.value or ""
        if flag.name == "mount":
            found = re.search(r"(?:^|,)from=([^,]+)", name, re.I)
            name = found[1] if found else ""
        if flag.name in ("from", "mount") and name and "$" not in name and not name.isdigit():
            yield name, flag.at


def _floating(name: str, at: Place) -> Iterator[Broken]:
    if name in ("scratch", "context") or "://" in name:
        return
    try:
        short = familiar(name)
    except BuildError:
        return
    if "@" not in short and ":" not in short.rpartition("/")[2]:
        said = "has the tag latest" if name.endswith(":latest") else "has no tag, which means latest"
        yield Broken(at, f"The image {name} {said}: another image from time to time")


# ---------------------------------------------------------------- ADD


def _added(facts: Facts) -> Iterator[tuple[tree.Add, str | GitReference, Place]]:
    """What ADD names that is elsewhere; a wrong reference is an error, not a finding."""
    for node in facts.nodes():
        for word in node.sources if isinstance(node, tree.Add) else ():
            try:
                place = place_of(word.text, is_add=True)
            except BuildError:
                continue
            if place is not None and isinstance(node, tree.Add):
                yield node, place, word.at


def _unpinned_git_ref(facts: Facts) -> Iterator[Broken]:
    for node, place, at in _added(facts):
        if not isinstance(place, GitReference) or place.full_commit or place.commit or node.value("checksum"):
            continue
        if f"{public(place.url)}#{place.ref or 'HEAD'}" not in facts.pinned:
            what = f"the ref {place.ref}" if place.ref else "its default branch"
            yield Broken(at, f"ADD takes {what} of a git repository, which moves")


def _unverified_download(facts: Facts) -> Iterator[Broken]:
    for node, place, at in _added(facts):
        if isinstance(place, str) and not node.value("checksum") and public(place) not in facts.pinned:
            yield Broken(at, "ADD downloads a file without a checksum")


# ---------------------------------------------------------------- RUN


def _runs(facts: Facts) -> Iterator[tuple[tree.Run, list[list[str]]]]:
    for node in facts.nodes():
        if isinstance(node, tree.Run):
            yield node, list(commands(text_of(node)))


def _place(facts: Facts, node: tree.Run, program: str, verb: str = "") -> Place:
    """Where a program is called, with a verb behind it if it stands on the same line."""
    whole = node.at._replace(end_line=node.heredocs[-1].at.end_line) if node.heredocs else node.at
    name = rf"(?<![\w./-]){re.escape(program)}(?![\w-])"
    found = facts.find(whole, rf"{name}(?=[^;&|]*\s{re.escape(verb)}(?!\S))") if verb else whole
    return found if found != whole else facts.find(whole, name)


def _unchecked_download_in_run(facts: Facts) -> Iterator[Broken]:
    checks = {"sha256sum", "sha384sum", "sha512sum", "b2sum", "shasum", "gpg", "gpgv", "cosign", "minisign"}
    for node, found in _runs(facts):
        if any(words[0].rpartition("/")[2] in checks for words in found):
            continue
        for words in found:
            if words[0] in ("curl", "wget") and any("://" in word for word in words):
                yield Broken(
                    _place(facts, node, words[0]), f"{words[0]} downloads a file and nothing checks it"
                )


def _system_upgrade(facts: Facts) -> Iterator[Broken]:
    upgrades = {
        "apt": ("upgrade", "full-upgrade", "dist-upgrade"),
        "apt-get": ("upgrade", "dist-upgrade"),
        "apk": ("upgrade",),
        "dnf": ("upgrade", "update"),
        "microdnf": ("upgrade", "update"),
        "yum": ("upgrade", "update"),
    }
    for node, found in _runs(facts):
        for words in found:
            verb = next((w for w in words[1:] if w in upgrades.get(words[0], ())), None)
            if verb:
                yield Broken(
                    _place(facts, node, words[0], verb),
                    f"{words[0]} {verb} replaces packages by whatever is newest",
                )


def _unpinned_packages(facts: Facts) -> Iterator[Broken]:
    for node, found in _runs(facts):
        for words in found:
            manager = _manager(words)
            if manager is None:
                continue
            verb, arguments, pinned = manager
            loose = [a for a in arguments if not pinned(a)]
            if loose:
                more = f" and {len(loose) - 3} more" if len(loose) > 3 else ""
                yield Broken(
                    _place(facts, node, words[0], verb.split()[1]),
                    f"{verb} takes any version of {', '.join(loose[:3])}{more}",
                )


_Pinned = Callable[[str], bool]


def _manager(words: list[str]) -> tuple[str, list[str], _Pinned] | None:
    """The verb of a package manager, what it installs, and how a pinned version looks there."""
    program, rest = words[0].rpartition("/")[2], words[1:]
    if re.fullmatch(r"python[\d.]*", program) and rest[:2] == ["-m", "pip"]:
        program, rest = "pip", rest[2:]
    if program == "uv" and rest[:1] == ["pip"]:
        program, rest = "pip", rest[1:]
    program = "pip" if re.fullmatch(r"pip[\d.]+", program) else program
    known = _MANAGERS.get(program)
    if known is None:
        return None
    verbs, values, pinned, excused = known
    plain = _arguments(rest, values)
    if not plain or plain[0] not in verbs or any(option.partition("=")[0] in excused for option in rest):
        return None
    return f"{program} {plain[0]}", [p for p in plain[1:] if not _is_local(p)], pinned


def _arguments(words: list[str], values: tuple[str, ...]) -> list[str]:
    """The words that are neither options nor the values of options, nor redirections."""
    plain: list[str] = []
    skip = False
    for word in words:
        if skip or word.startswith("-") or re.match(r"\d*[<>]", word):
            skip = not skip and (word in values or word in (">", "<", ">>"))
            continue
        plain.append(word)
    return plain


def _is_local(name: str) -> bool:
    return name.startswith((".", "/", "$", "~")) or "://" in name or name.endswith((".whl", ".tgz", ".deb"))


#: By program: the verbs that install, the options with a value of their own, how a pinned package
#: looks, and the options with which the versions are pinned elsewhere.
_MANAGERS: dict[str, tuple[tuple[str, ...], tuple[str, ...], _Pinned, tuple[str, ...]]] = {
    "apt-get": (("install",), ("-t", "-o", "-c"), lambda p: "=" in p or "$" in p, ()),
    "apt": (("install",), ("-t", "-o", "-c"), lambda p: "=" in p or "$" in p, ()),
    "apk": (("add",), ("-t", "--virtual", "-X", "--repository"), lambda p: bool(re.search("[=~$]", p)), ()),
    "pip": (
        ("install",),
        ("-i", "--index-url", "--extra-index-url", "-t", "--target", "--prefix", "--root", "-f"),
        lambda p: "==" in p or "@" in p or "$" in p,
        ("-r", "--requirement", "-c", "--constraint", "--require-hashes", "-e", "--editable"),
    ),
    "npm": (("install", "i", "add"), ("--prefix", "--registry"), lambda p: "@" in p[1:] or "$" in p, ()),
    "pnpm": (("add",), (), lambda p: "@" in p[1:] or "$" in p, ()),
    "gem": (("install",), (), lambda p: ":" in p or "$" in p, ("-v", "--version")),
    "cargo": (("install",), (), lambda p: "@" in p or "$" in p, ("--version", "--path", "--git", "--locked")),
    "go": (("install", "get"), (), lambda p: not p.endswith("@latest"), ()),
}


RULES = (
    Rule(
        "LatestTag",
        "note",
        "Base images have a tag other than `latest`, or a digest.",
        "`latest` is what was pushed last. A build of today and one of next year take different images, and"
        " nothing in the Dockerfile says which. buildtool records the digest that a name had in"
        " `buildtool.lock`, so its own builds stay the same; the tag still decides what the next update of"
        " the lock brings, and what other builders take.",
        "name a version, as in alpine:3.20, or a digest",
        "FROM alpine\n",
        "FROM alpine:3.20\n",
        _latest_tag,
    ),
    Rule(
        "UnpinnedGitRef",
        "note",
        "`ADD` of a git repository names a commit.",
        "Branches move, and tags can be moved. A commit's hash names its content. buildtool pins the commit"
        " in its lock; without a lock, and with other builders, each build may get other files.",
        "put the full hash of a commit behind #, or give --checksum",
        "FROM alpine:3.20\nADD https://git.example/tool.git#main /src\n",
        "FROM alpine:3.20\nADD https://git.example/tool.git#4a1c0ffee4a1c0ffee4a1c0ffee4a1c0ffee4a1c /src\n",
        _unpinned_git_ref,
    ),
    Rule(
        "UnverifiedDownload",
        "note",
        "`ADD` of a URL has a checksum.",
        "What a server sends can change, by an update or by an attack. With `--checksum` a build either gets"
        " the file that was meant or fails. buildtool keeps the digest of each download in its lock; the rule"
        " is silent where the lock has it.",
        "add --checksum=sha256:...",
        "FROM alpine:3.20\nADD https://files.example/tool-1.2.tar.gz /opt/\n",
        "FROM alpine:3.20\n"
        "ADD --checksum=sha256:24454f830cdb571e2c4ad15481119c43b3cafd48dd869a9b2945d1036d1dc68d"
        " https://files.example/tool-1.2.tar.gz /opt/\n",
        _unverified_download,
    ),
    Rule(
        "UncheckedDownloadInRun",
        "note",
        "What `curl` or `wget` download in a `RUN` is checked in the same `RUN`.",
        "A step that downloads depends on what the network answers: buildtool calls such an image not"
        " hermetic. `ADD --checksum` downloads outside of steps, is pinned, and can be cached for ever. Where"
        " it must be a step, a checksum or a signature makes the build fail rather than differ.",
        "use ADD --checksum=sha256:..., or check the file with sha256sum -c in the same RUN",
        "FROM alpine:3.20\nRUN wget https://files.example/tool && chmod +x tool\n",
        "FROM alpine:3.20\nRUN wget https://files.example/tool && echo '2445...  tool' | sha256sum -c\n",
        _unchecked_download_in_run,
    ),
    Rule(
        "UnpinnedPackages",
        "note",
        "Package managers are told which version to install.",
        "`apt-get install curl` installs the version of the day. Versions make the build fail when one is"
        " gone, instead of quietly giving another image. Better still: a file of hashes (`pip install"
        " --require-hashes -r`, `npm ci`), or buildtool's `debian_root`, whose packages are pinned in the"
        " lock.",
        "name the version, as in curl=7.88.1-10, or install from a lock file",
        "FROM debian:12\nRUN apt-get install -y curl\n",
        "FROM debian:12\nRUN apt-get install -y curl=7.88.1-10+deb12u12\n",
        _unpinned_packages,
    ),
    Rule(
        "SystemUpgrade",
        "note",
        "No `RUN` upgrades all packages of the base image.",
        "`apt-get upgrade` makes of one base image as many images as there are days. A newer base image has"
        " the same updates, and a name.",
        "take a newer base image",
        "FROM debian:12\nRUN apt-get update && apt-get upgrade -y\n",
        "FROM debian:12.8\n",
        _system_upgrade,
    ),
)
