"""Verdicts in words: what came out the same, or what differs, through which perturbation, and where."""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from buildtool.cli.origins import places
from buildtool.cli.progress.wording import printable
from buildtool.cli.services import this_platform
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
    from buildtool.verify.building import Outcome
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
    rows = (
        [_row("digest", str(digest)) for digest in found.here.digests] if same else _differing(claim, found)
    )
    rows.append(_row("builds", str(found.asked)))
    if rounds:
        rows.append(_row("perturbed", " ".join(p.name for p in how.possible)))
        rows += [_row("left out", f"{p.name}: {why}") for p in how.perturbations if (why := p.missing())]
    title = f"{style.bold}{printable(f'{claim.name} {said}')}{style.reset}"
    text = "\n".join([title, *(printable(row) for row in rows)]) + "\n"
    return text + "".join(f"\n{comparison_text(one, style)}" for one in comparisons(found))


def _row(title: str, text: str) -> str:
    return f"  {title:<10} {text}"


def _differing(claim: "Claim", found: "Verdict") -> list[str]:
    rows = [_row("here", str(digest)) for digest in found.here.digests]
    elsewhere = found.elsewhere
    if elsewhere is None:
        rows += [_row("wanted", str(digest)) for digest in claim.wanted or ()]
        return rows + [_row("because", row) for row in claim.why(found.here)]
    if elsewhere.status:
        rows.append(_row("elsewhere", f"the build fails, with status {elsewhere.status}"))
        rows += [f"  | {row}" for row in elsewhere.said.splitlines()[-_ROWS:]]
    rows += [_row("elsewhere", str(digest)) for digest in elsewhere.digests]
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
        "differences": [as_data(one) for one in comparisons(found)],
    }
    return json.dumps(document, indent=2)


def _side(outcome: "Outcome | None") -> dict[str, Any] | None:
    if outcome is None:
        return None
    return {"status": outcome.status, "digests": list(outcome.digests), "said": outcome.said}


def comparisons(found: "Verdict") -> Iterator[Comparison]:
    """Where the results of two builds differ, as long as they are on the bench."""
    here, elsewhere = found.here, found.elsewhere
    if elsewhere is None or elsewhere.status:
        return
    for one, two in zip(here.digests, elsewhere.digests, strict=True):
        if one != two:
            images = _image(here, one, "here"), _image(elsewhere, two, "elsewhere")
            yield compare(*images, (here.world, elsewhere.world))


def _image(outcome: "Outcome", digest: "Digest", name: str) -> Image:
    layout = open_layout(outcome.store)
    descriptor = layout.resolve("", digest, this_platform())
    with Store.open(outcome.store) as store:
        known = places(store, descriptor.digest)
    return of_layout(layout, descriptor, name, known)
