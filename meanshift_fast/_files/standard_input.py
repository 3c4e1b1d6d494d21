"""Standard input as a table: commands read a table more than once, so that it is copied first."""

from pathlib import Path


class StandardInput(type(Path())):  # type: ignore[misc]
    """The path of the copy: it is opened there, and messages call it "standard input"."""

    def __str__(self) -> str:
        """Write what it is a copy of."""
        return "standard input"

    def __fspath__(self) -> str:
        """The path that the system opens."""
        return str(super().__str__())
