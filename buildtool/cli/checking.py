"""`buildtool build --check`: what would be built, checked and not built."""

from buildtool.cli.lint import status_of, tell
from buildtool.cli.request import BuildRequest
from buildtool.frontends.dockerfile.lint.check import Checked, check
from buildtool.frontends.dockerfile.request import Bases, Request
from buildtool.graph.model import Image
from buildtool.graph.stage import Stage
from buildtool.lock.model import Lock


def check_request(request: BuildRequest) -> int:
    """Check every Dockerfile that the request needs, tell what is found, and return the exit status."""
    from buildtool.cli.progress.choose import choose
    from buildtool.cli.session import Session

    checked: list[Checked] = []

    def take(text: bytes, asked: Request, bases: Bases, lock: Lock) -> Image:
        found = check(text, asked, bases, lock=lock)
        if found not in checked:
            checked.append(found)
        # What is checked is not built: any image will do for whoever asked for this one.
        return Stage.scratch(asked.platform, asked.epoch).image()

    with choose("quiet") as view, Session(request, view, take) as session:
        session.roots()
    tell(checked, "text")
    return status_of(checked)
