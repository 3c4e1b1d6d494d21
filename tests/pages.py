"""The code blocks of a page of markdown: what runs, and what it must print."""

import contextlib
import doctest
import io
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
MANUAL = sorted(
    path
    for path in (ROOT / "docs").rglob("*.md")
    if not {"notebooks", "_build"} & set(path.relative_to(ROOT / "docs").parts[:-1])
)


def blocks_of(path):
    """The fenced blocks that name a language, in order; directives in braces are none."""
    return re.findall(r"^```(\w+)\n(.*?)^```$", path.read_text(), re.M | re.S)


def links_of(path):
    """What the page links to or shows, but for addresses on the web and places on the page."""
    text = re.sub(r"^```.*?^```$", "", path.read_text(), flags=re.M | re.S)
    found = re.findall(r'(?:src|srcset)="([^"]+)"|\]\(([^)\s#]+)(?:#[^)]*)?\)', text)
    return [link or image for image, link in found if not (link or image).startswith("http")]


def prose_of(path):
    """The page's own sentences: without blocks, code, formulas, links and what the bench writes."""
    text = re.sub(r"^```.*?^```$", "", path.read_text(), flags=re.M | re.S)
    text = re.sub(r"<!-- (\w+):begin -->.*?<!-- \1:end -->", "", text, flags=re.S)
    text = re.sub(r"^    .*$|\]\([^)]*\)|doi:[^\]]*", "", text, flags=re.M)
    return re.sub(r"`[^`]*`|\$+[^$]*\$+", "", text)


def is_printed(shown, printed):
    """Whether a text block shows what was printed; ``...`` stands for anything."""
    return doctest.OutputChecker().check_output(shown, printed, doctest.ELLIPSIS)


def run_shell(code, folder, commands=None):
    """Run a block of shell commands in a folder; what it prints.

    The commands of another folder, where given, are found before all others.
    """
    # .ci/run runs what installs, in an environment of its own.
    lines = [line for line in code.splitlines() if not line.startswith("pip install")]
    return run_process(["bash", "-euo", "pipefail", "-c", "\n".join(lines)], folder, commands)


def run_process(command, folder, commands=None):
    """Run a command with this Python and this tree; what it prints."""
    places = [commands, Path(sys.executable).parent, os.environ["PATH"]]
    environment = os.environ | {
        "PATH": os.pathsep.join(map(str, filter(None, places))),
        "PYTHONPATH": str(ROOT),
        "MPLBACKEND": "agg",
    }
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, f"{command[-1]}\n{done.stderr}"
    return done.stdout


def run_page(path, folder, commands=None):
    """Run a page's blocks in order, those of Python as one module; each prints what is shown."""
    names, printed = {"__name__": "__main__"}, ""
    for language, code in blocks_of(path):
        if language == "text":
            assert is_printed(code, printed), f"{path.name} shows\n{code}\nand prints\n{printed}"
            printed = ""
            continue
        assert language in {"python", "sh"}, language
        assert printed == "", f"{path.name} does not show what it prints:\n{printed}"
        if language == "sh":
            printed = run_shell(code, folder, commands)
            continue
        with contextlib.redirect_stdout(io.StringIO()) as out:
            exec(compile(code, str(path), "exec"), names)
        printed = out.getvalue()
    assert printed == "", f"{path.name} does not show what it prints:\n{printed}"
