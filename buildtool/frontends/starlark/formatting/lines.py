"""The lines of a text in the making: a margin, and comments that wait for the end of their line."""

from buildtool.frontends.starlark.syntax.tree import Comment


class Lines:
    """Rows that are done, and the one that is being written.

    `due` is whether the next statement has to begin in a new line: several blocks may end
    with one statement, and all of them ask for the same line break.
    """

    def __init__(self) -> None:
        self.rows: list[str] = []
        self.row = ""
        self.waiting: list[Comment] = []
        self.margin = 0
        self.depth = 0
        self.due = False

    def write(self, text: str) -> None:
        """Go on with a text, which may have lines of its own."""
        *rows, self.row = (self.row + text).split("\n") if "\n" in text else (self.row + text,)
        self.rows += rows

    def newline(self) -> None:
        """End the line, with the comments that wait for its end."""
        self.due = False
        if self.waiting:
            texts = [c.text for c in self.waiting]
            self.waiting = []
            self.write("  " + ("\n" + " " * self.margin).join(texts))
        self.rows.append(self.row.rstrip(" "))
        self.row = " " * self.margin

    def newline_if_due(self) -> None:
        """End the line if a statement or a block before has asked for that."""
        if self.due:
            self.newline()

    def own_line(self, comment: Comment) -> None:
        """A comment on a line of its own."""
        self.newline_if_due()
        self.write(comment.text)
        self.newline()

    def break_line(self) -> None:
        """Go on in a new line; outside of brackets that takes a backslash."""
        if self.depth:
            self.newline()
        else:
            self.write(" \\\n" + " " * self.margin)
