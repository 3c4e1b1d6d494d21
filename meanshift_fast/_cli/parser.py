"""The parser: errors of one line that name the nearest option, and completion for shells."""

import argparse
import re
import sys
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NoReturn

from meanshift_fast._cli.output import print_line, print_note
from meanshift_fast._input.messages import not_installed, quoted

SHELLS = ("bash", "zsh", "fish", "tcsh")


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line on stderr; ``--help`` prints the usage."""

    is_command = False

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: Any = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Refuse options that a command does not have, before argparse misses another one."""
        options = list(self._option_string_actions)
        for text in sys.argv[1:] if args is None else args:
            name = text.partition("=")[0]
            if text == "--" or not (self.is_command or text.startswith("-")):
                break  # what follows are arguments of a command, or no options
            if text.startswith("--") and not any(known.startswith(name) for known in options):
                self.error(f"{self.prog} has no option {quoted(name)}{_nearest(name, options)}")
        return super().parse_known_args(args, namespace)

    def _print_message(self, message: str, file: Any = None) -> None:
        """Print help and version at once: argparse drops the error of a full disk."""
        if file is sys.stdout:
            print_line(message, end="")
        else:
            super()._print_message(message, file)

    def error(self, message: str) -> NoReturn:
        """Print one line, and end with code 2."""
        if wrong := re.search(r"invalid choice: '([^']*)' \(choose from (.*)\)", message):
            message += _nearest(wrong[1], re.findall(r"[\w.-]+", wrong[2]))
        print_note(message)
        raise SystemExit(2)


class PrintCompletion(argparse.Action):
    """The option that prints a shell's script of completions, as ``--version`` prints a version."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: Any, values: Any, option: Any = None
    ) -> NoReturn:
        """Print the script, and end with code 0; with 1 where shtab is not installed."""
        try:
            import shtab
        except ImportError:
            print_note(str(not_installed("completion needs shtab", "completion")))
            raise SystemExit(1) from None
        _complete_files(parser, shtab.FILE)
        print_line(shtab.complete(parser, shell=values))
        raise SystemExit(0)


def _complete_files(parser: argparse.ArgumentParser, files: Any) -> None:
    """Mark options and arguments that are paths, in a parser and in those of its commands."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                _complete_files(command, files)
        elif action.type is Path or getattr(action.type, "is_path", False):
            action.complete = files  # type: ignore[attr-defined]


def _nearest(given: str, known: Iterable[str]) -> str:
    """The end of an error, which names the known word spelt most like the given one, if any."""
    near = get_close_matches(given, known, n=1)
    return f"; did you mean {near[0]}?" if near else ""
