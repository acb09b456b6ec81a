"""Rules on how instructions are written (all BuildKit's)."""

from collections.abc import Iterator

from buildtool.frontends.dockerfile import tree
from buildtool.frontends.dockerfile.lint.facts import Facts, Saw
from buildtool.frontends.dockerfile.lint.rule import Broken, Rule
from buildtool.frontends.dockerfile.tree import Place


def _no_empty_continuation(facts: Facts) -> Iterator[Broken]:
    for place in facts.file.empty_continuations:
        yield Broken(place, "Empty continuation line")


def _consistent_instruction_casing(facts: Facts) -> Iterator[Broken]:
    words = [(node, node.text.split(maxsplit=1)[0]) for node in facts.nodes()]
    lower = sum(word == word.lower() for _, word in words)
    upper = sum(word == word.upper() for _, word in words)
    majority = "lowercase" if lower > upper else "uppercase"
    for node, word in words:
        right = word.lower() if majority == "lowercase" else word.upper()
        if word != right:
            at = Place(node.at.line, node.at.column, node.at.line, node.at.column + len(word))
            text = f"Command '{word}' should match the case of the command majority ({majority})"
            yield Broken(at, text, f"write {right}")


def _maintainer_deprecated(facts: Facts) -> Iterator[Broken]:
    for node in facts.nodes():
        if isinstance(node, tree.Maintainer):
            label = f"LABEL org.opencontainers.image.authors={_quoted(node.who.text)}"
            yield Broken(node.at, "MAINTAINER is deprecated in favor of a label", f"write {label}")


def _quoted(text: str) -> str:
    return text if text.startswith(('"', "'")) else f'"{text}"'


def _lowered(facts: Facts) -> Iterator[Saw]:
    for stage in facts.stages:
        yield from stage.began.saw if stage.began else ()


def _legacy_key_value_format(facts: Facts) -> Iterator[Broken]:
    for saw in _lowered(facts):
        node = saw.node
        if isinstance(node, tree.Env | tree.Label) and any(pair.old for pair in node.pairs):
            pair = node.pairs[0]
            value = pair.value or ""
            plain = value and not any(c in value for c in " \t\"'")
            yield Broken(
                saw.at if saw.trigger else pair.at,
                f'"{node.name} key=value" should be used instead of legacy "{node.name} key value" format',
                f"write {node.name} {pair.name}={value if plain else _quoted(value)}",
            )


def _expose_proto_casing(facts: Facts) -> Iterator[Broken]:
    for at, port in _ports(facts):
        _, _, protocol = port.rpartition(":")[2].partition("/")
        if protocol != protocol.lower():
            text = f"Defined protocol '{port}' in EXPOSE instruction should be lowercase"
            yield Broken(at, text, f"write {port.lower()}")


def _expose_invalid_format(facts: Facts) -> Iterator[Broken]:
    for at, port in _ports(facts):
        host, _, inner = port.rpartition(":")
        if host:
            text = f"EXPOSE should not define an IP address or a host port, found '{port}'"
            yield Broken(at, text, f"write EXPOSE {inner}")


def _ports(facts: Facts) -> Iterator[tuple[Place, str]]:
    for saw in _lowered(facts):
        if isinstance(saw.node, tree.Expose):
            for word, value in zip(saw.node.ports, saw.words, strict=True):
                for port in value.split():
                    yield saw.at if saw.trigger else word.at, port


def _invalid_definition_description(facts: Facts) -> Iterator[Broken]:
    named: list[tuple[tree.Node, list[str]]] = [(n, [p.name for p in n.pairs]) for n in facts.file.preamble]
    for stage in facts.stages:
        named.append((stage.node.start, [stage.name] if stage.name else []))
        named += [(n, [p.name for p in n.pairs]) for n in stage.node.body if isinstance(n, tree.Arg)]
    for node, names in named:
        found = _comment_above(facts.file, node.at.line)
        if not names or found is None or found[1].split(" ", 1)[0] in names:
            continue
        example = names[0] if len(names) == 1 else "<arg_key>"
        text = f"Comment for {node.name} should follow the format: `# {example} <description>`"
        yield Broken(found[0], text)


def _comment_above(file: tree.File, line: int) -> tuple[Place, str] | None:
    """The comment right above a line; a directive is none."""
    if line < 2 or any(d.at.line == line - 1 for d in file.directives):
        return None
    above = file.lines[line - 2]
    stripped = above.strip()
    text = stripped[1:].strip()
    if not stripped.startswith("#") or not text:
        return None
    return Place(line - 1, above.index("#") + 1, line - 1, len(above.rstrip()) + 1), text


RULES = (
    Rule(
        "NoEmptyContinuation",
        "warning",
        "A continued instruction has no empty lines.",
        "An empty line in the middle of an instruction is skipped, today. It looks like the instruction's"
        " end, and a backslash too many swallows the instruction that follows.",
        "remove the line, or begin it with # to keep it as a comment",
        "FROM alpine:3.20\nRUN apk add \\\n\n    curl=8.9.1-r2\n",
        "FROM alpine:3.20\nRUN apk add \\\n    curl=8.9.1-r2\n",
        _no_empty_continuation,
        whole=True,
    ),
    Rule(
        "ConsistentInstructionCasing",
        "warning",
        "All instructions are written in one case, upper or lower.",
        "Case means nothing to the parser. To readers, one case marks what is an instruction and what an"
        " argument. The case that most instructions have is taken as the one that is meant.",
        "write all instructions in upper case",
        "FROM alpine:3.20\nrun true\n",
        "FROM alpine:3.20\nRUN true\n",
        _consistent_instruction_casing,
        whole=True,
    ),
    Rule(
        "MaintainerDeprecated",
        "warning",
        "The author of an image stands in a label, not in `MAINTAINER`.",
        "`MAINTAINER` was deprecated in 2017. A label can be read by every tool, and has a standard name:"
        " `org.opencontainers.image.authors`.",
        "use LABEL org.opencontainers.image.authors",
        "FROM alpine:3.20\nMAINTAINER me@example.org\n",
        'FROM alpine:3.20\nLABEL org.opencontainers.image.authors="me@example.org"\n',
        _maintainer_deprecated,
    ),
    Rule(
        "LegacyKeyValueFormat",
        "warning",
        "`ENV` and `LABEL` are written with `=`.",
        "`ENV name value` takes the rest of the line as the value, spaces, quotes and all; it can set one"
        " variable only, and is easily misread.",
        "write NAME=value",
        "FROM alpine:3.20\nENV MODE production build\n",
        'FROM alpine:3.20\nENV MODE="production build"\n',
        _legacy_key_value_format,
    ),
    Rule(
        "ExposeProtoCasing",
        "warning",
        "The protocol in `EXPOSE` is written in lower case.",
        "The protocol comes out in lower case whatever is written; other spellings may be refused in the"
        " future.",
        "write the protocol in lower case",
        "FROM alpine:3.20\nEXPOSE 53/UDP\n",
        "FROM alpine:3.20\nEXPOSE 53/udp\n",
        _expose_proto_casing,
    ),
    Rule(
        "ExposeInvalidFormat",
        "warning",
        "`EXPOSE` names ports of the container alone.",
        "`EXPOSE` notes in the image which ports its program listens on. Addresses and ports of the host are"
        " chosen when a container is started; here they are dropped without effect.",
        "name the port alone",
        "FROM alpine:3.20\nEXPOSE 127.0.0.1:8080:80\n",
        "FROM alpine:3.20\nEXPOSE 80\n",
        _expose_invalid_format,
    ),
    Rule(
        "InvalidDefinitionDescription",
        "warning",
        "A comment right above `FROM ... AS name` or `ARG name` begins with the name.",
        "Tools show such comments as descriptions of stages and arguments. Another comment there is taken for"
        " one by mistake; an empty line below it keeps it apart. The rule is experimental: it is off unless"
        " `# check=experimental=InvalidDefinitionDescription` turns it on.",
        "begin the comment with the name, or put an empty line below it",
        "# check=experimental=all\n\n# the version to fetch\nARG VERSION=1\nFROM alpine:3.20\n",
        "# check=experimental=all\n\n# VERSION is the version to fetch\nARG VERSION=1\nFROM alpine:3.20\n",
        _invalid_definition_description,
        experimental=True,
    ),
)
