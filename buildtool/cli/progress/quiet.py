"""The view that shows nothing while a build goes on, and the digest when it ends."""

import sys

from buildtool.cli.progress.view import Summary, View


class Quiet(View):
    """Writes the digest of each result to standard output; errors are told by the caller."""

    def summary(self, summary: Summary) -> None:
        for digest in [i.digest for i in summary.indexes] or [i.manifest for i in summary.images]:
            print(digest, file=sys.stdout)
