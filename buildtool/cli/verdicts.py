"""Verdicts in words: what came out the same, or what differs, through which perturbation, and where."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from buildtool.cli.origins import places
from buildtool.cli.progress.wording import printable
from buildtool.diag import PLAIN, Style
from buildtool.oci.layout import open_layout
from buildtool.store import Store
from buildtool.verify.compare import compare
from buildtool.verify.model import Comparison
from buildtool.verify.render import as_data
from buildtool.verify.render import as_text as comparison_text
from buildtool.verify.subject import Image, of_layout

if TYPE_CHECKING:
    from buildtool.cli.verifying import Claim, How
    from buildtool.digest import Digest
    from buildtool.verify.building import Made, Outcome
    from buildtool.verify.twice import Verdict

#: Rows of a failed build that are shown.
_ROWS = 12


def as_text(claim: "Claim", found: "Verdict", how: "How", rounds: int, style: Style = PLAIN) -> str:
    """The verdict for a person, in rows."""
    same = claim.holds(found)
    said = "is reproducible" if same else "is not reproducible"
    if claim.wanted is None and not rounds:
        said = "was built"
    elif claim.wanted is not None and found.elsewhere is None:
        said = f"is what {claim.source} says" if same else f"is not what {claim.source} says"
    rows = _rows("digest", found.here.made) if same else _differing(claim, found)
    rows.append(_row("builds", str(found.asked)))
    if rounds:
        rows.append(_row("perturbed", " ".join(p.name for p in how.possible)))
        rows += [_row("left out", f"{p.name}: {why}") for p in how.perturbations if (why := p.missing())]
    title = f"{style.bold}{printable(f'{claim.name} {said}')}{style.reset}"
    text = "\n".join([title, *(printable(row) for row in rows)]) + "\n"
    return text + "".join(f"\n{comparison_text(one.comparison, style)}" for one in comparisons(found))


def _row(title: str, text: str) -> str:
    return f"  {title:<10} {text}"


def _rows(title: str, made: "Sequence[Made]") -> list[str]:
    return [_made_row(title, one, len(made) > 1) for one in made]


def _made_row(title: str, made: "Made", several: bool) -> str:
    """A result, with its target where it is not the only one."""
    return _row(title, f"{made.digest}  {made.target}" if several else str(made.digest))


def _differing(claim: "Claim", found: "Verdict") -> list[str]:
    elsewhere = found.elsewhere
    if elsewhere is None:
        rows = _rows("here", found.here.made)
        rows += [_row("wanted", str(digest)) for digest in claim.wanted or ()]
        return rows + [_row("because", row) for row in claim.why(found.here)]
    rows = []
    if elsewhere.status:
        rows += _rows("here", found.here.made)
        rows.append(_row("elsewhere", f"the build fails, with status {elsewhere.status}"))
        rows += [f"  | {row}" for row in elsewhere.said.splitlines()[-_ROWS:]]
    else:
        several = len(found.here.made) > 1
        different = list(_different(found.here, elsewhere))
        if several:
            rows.append(_row("differ", f"{len(different)} of {len(found.here.made)} targets"))
        for one, two in different:
            rows += [_made_row("here", one, several), _made_row("elsewhere", two, several)]
    if found.unsteady:
        rows.append(_row("because", "two builds differ with nothing perturbed"))
    for cause in found.causes:
        names = " and ".join(p.name for p in cause)
        rows.append(_row("because", f"{names} ({', '.join(p.says for p in cause)})"))
    return rows


def as_json(claim: "Claim", found: "Verdict", how: "How", rounds: int) -> str:
    """The verdict for programs."""
    same = claim.holds(found)
    document: dict[str, Any] = {
        "subject": claim.name,
        "same": same,
        "here": list(found.here.digests),
        "elsewhere": _side(found.elsewhere),
        "wanted": None if claim.wanted is None else list(claim.wanted),
        "reasons": [] if same or found.elsewhere else claim.why(found.here),
        "causes": [[p.name for p in cause] for cause in found.causes],
        "unsteady": found.unsteady,
        "builds": found.asked,
        "perturbed": [p.name for p in how.possible] if rounds else [],
        "left-out": {p.name: why for p in how.perturbations if (why := p.missing())},
        "differences": [_data(one) for one in comparisons(found)],
    }
    return json.dumps(document, indent=2)


def _data(one: "Compared") -> dict[str, Any]:
    named = {"target": one.target, "platform": one.platform}
    return {name: text for name, text in named.items() if text} | as_data(one.comparison)


def _side(outcome: "Outcome | None") -> dict[str, Any] | None:
    if outcome is None:
        return None
    return {"status": outcome.status, "digests": list(outcome.digests), "said": outcome.said}


@dataclass(frozen=True, slots=True)
class Compared:
    """Where an image of a target (empty for a Dockerfile's), for a platform (of an index), differs."""

    target: str
    platform: str
    comparison: Comparison


def comparisons(found: "Verdict") -> Iterator[Compared]:
    """Where the results of two builds differ, as long as they are on the bench."""
    here, elsewhere = found.here, found.elsewhere
    if elsewhere is None or elsewhere.status:
        return
    for one, two in _different(here, elsewhere):
        for (platform, first), (_, second) in zip(one.images, two.images, strict=True):
            if first != second:
                target = printable(one.target) if len(here.made) > 1 else ""
                name = " ".join(word for word in (target, platform) if word)
                images = (_image(here, first, f"{name} here"), _image(elsewhere, second, f"{name} elsewhere"))
                worlds = (here.world, elsewhere.world)
                yield Compared(one.target, platform, compare(*images, worlds))


def _different(here: "Outcome", elsewhere: "Outcome") -> "Iterator[tuple[Made, Made]]":
    for one, two in zip(here.made, elsewhere.made, strict=True):
        if one.digest != two.digest:
            yield one, two


def _image(outcome: "Outcome", digest: "Digest", name: str) -> Image:
    layout = open_layout(outcome.store)
    descriptor = layout.named("", digest)
    with Store.open(outcome.store) as store:
        known = places(store, descriptor.digest)
    return of_layout(layout, descriptor, name.strip(), known)
