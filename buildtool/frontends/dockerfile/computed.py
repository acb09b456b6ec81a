"""The parser's table as Lark computes it from `dockerfile.lark`.

`make grammar` keeps it beside the grammar, where `grammar` takes it from; a grammar
that was changed since is computed when it is used.
"""

import json
from hashlib import sha256
from typing import Any

from lark import Lark

#: The characters that the `escape` directive can choose.
ESCAPES = ("\\", "`")
_WRITTEN = 'ESCAPE: "\\\\"'


def lark(grammar: str, escape: str) -> Lark:
    """Lark's own parser for Dockerfiles with that escape character."""
    if _WRITTEN not in grammar:
        raise ValueError(f"the grammar has no line {_WRITTEN}")
    text = grammar.replace(_WRITTEN, f'ESCAPE: "{escape}"') if escape != "\\" else grammar
    return Lark(text, parser="lalr", lexer="contextual", maybe_placeholders=False)


def table(grammar: str) -> str:
    """The table as JSON, a state a line; the shape is that of `lalr.Table`."""
    made = {escape: lark(grammar, escape) for escape in ESCAPES}
    fields = [_form(parser) for parser in made.values()]
    if fields[0] != fields[1]:
        raise ValueError("the escape character changes more than patterns")
    head = {"source": sha256(grammar.encode()).hexdigest(), **fields[0]}
    head["terminals"] = {escape: _patterns(parser) for escape, parser in made.items()}
    rows = [f"{json.dumps(name)}: {_rows(value)}" for name, value in head.items()]
    return "{\n" + ",\n".join(rows) + "\n}\n"


def _rows(value: Any) -> str:
    if not isinstance(value, list):
        return json.dumps(value)
    return "[\n" + ",\n".join(f" {json.dumps(row)}" for row in value) + "\n]"


def _form(made: Lark) -> dict[str, Any]:
    """All of the table but the patterns; states are numbered in the order of their rules."""
    found: Any = made.parser
    parse_table = found.parser.parser.parse_table
    rules = {rule: number for number, rule in enumerate(made.rules)}
    order = _order(parse_table)
    lexers: dict[tuple[str, ...], int] = {}
    states = []
    for state in order:
        tried = tuple(terminal.name for terminal in found.lexer.lexers[state].terminals)
        actions = {
            name: order[target] if action.name == "Shift" else -1 - rules[target]
            for name, (action, target) in sorted(parse_table.states[state].items())
        }
        states.append([lexers.setdefault(tried, len(lexers)), actions])
    return {
        "start": order[parse_table.start_states["start"]],
        "end": order[parse_table.end_states["start"]],
        "rules": [[r.origin.name, len(r.expansion), bool(r.options.expand1)] for r in rules],
        "lexers": [list(tried) for tried in lexers],
        "states": states,
    }


def _order(parse_table: Any) -> dict[int, int]:
    """A number for each state, by the way there from the start: Lark's own differ from run to run."""
    order: dict[int, int] = {}
    waiting = [parse_table.start_states["start"]]
    while waiting:
        state = waiting.pop(0)
        if state not in order:
            order[state] = len(order)
            actions = sorted(parse_table.states[state].items())
            waiting += [target for _, (action, target) in actions if action.name == "Shift"]
    return order


def _patterns(made: Lark) -> dict[str, str]:
    return {t.name: t.pattern.to_regexp() for t in sorted(made.terminals, key=lambda t: t.name)}
