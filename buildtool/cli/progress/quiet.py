"""The view that shows nothing while a build goes on, and the digest when it ends."""

import sys

from buildtool.cli.progress.view import Summary, View


class Quiet(View):
    """Writes the digest of each result to standard output; errors are told by the caller."""

    def summary(self, summary: Summary) -> None:
        for _, result in summary.results:
            print(result.digest, file=sys.stdout)
