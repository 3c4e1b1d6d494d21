"""The command line: its exit codes, its messages, its manners."""

import importlib
import importlib.metadata
import json
import os
import pty
import re
import runpy
import select
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import numba
import numpy as np
import pytest

from meanshift_fast import __version__
from meanshift_fast._cli import demo
from meanshift_fast._cli.main import main
from meanshift_fast._cli.parser import Parser
from served import BEFORE, run_script

MODULE = [sys.executable, "-m", "meanshift_fast"]


@pytest.mark.jitless
def test_the_installed_command_is_this_one():
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
    assert project["scripts"] == {"meanshift-fast": f"{main.__module__}:{main.__name__}"}


def test_the_package_is_the_command_too():
    ended = subprocess.run(
        [*MODULE, "--version"], text=True, capture_output=True, timeout=600, check=False
    )
    shown = (ended.returncode, ended.stdout, ended.stderr)
    assert shown == (0, f"meanshift-fast {__version__}\n", "")


@pytest.mark.jitless
def test_wrong_usage_of_the_package_is_that_of_the_command(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["-m", "dance"])
    monkeypatch.delitem(sys.modules, "meanshift_fast.__main__", raising=False)
    with pytest.raises(SystemExit) as end:
        runpy.run_module("meanshift_fast", run_name="__main__", alter_sys=True)
    printed = capsys.readouterr()
    assert (end.value.code, printed.out) == (2, "")
    assert printed.err.startswith("meanshift-fast: argument COMMAND: invalid choice: 'dance'")


@pytest.mark.jitless
def test_importing_the_module_of_the_command_runs_nothing():
    assert importlib.import_module("meanshift_fast.__main__").main is main


@pytest.mark.jitless
def test_what_argparse_sends_to_stderr_goes_there(capsys):
    with pytest.raises(SystemExit) as end:
        Parser(prog="meanshift-fast").exit(3, "a deprecated option\n")
    printed = capsys.readouterr()
    assert (end.value.code, printed.out, printed.err) == (3, "", "a deprecated option\n")


@pytest.mark.jitless
def test_the_manual_lists_all_commands(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    commands = re.findall(r"^    (\w+) ", capsys.readouterr().out, re.MULTILINE)
    page = (Path(__file__).parents[1] / "docs/guides/command_line.md").read_text()
    assert re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE) == commands


@pytest.mark.jitless
def test_version_says_the_version(capsys):
    with pytest.raises(SystemExit) as end:
        main(["--version"])
    assert end.value.code == 0
    assert capsys.readouterr().out == f"meanshift-fast {__version__}\n"


@pytest.mark.jitless
@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ([], "COMMAND"),
        (["dance"], "'dance'"),
        (["demo", "--n-jobs", "0"], "got '0'; -1 means all threads"),
        (["demo", "--n-jobs", "two"], "got 'two'; -1 means all threads"),
        (["demo", "--output", "picture.jpg"], "got 'picture.jpg'; name it *.png"),
        (["info", "--loud"], "--loud"),
    ],
)
def test_wrong_usage_is_exit_code_2_with_the_reason(arguments, reason, capsys):
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 2
    printed = capsys.readouterr()
    assert reason in printed.err
    assert printed.err.count("\n") == 1
    assert printed.out == ""


@pytest.mark.jitless
@pytest.mark.parametrize(
    ("arguments", "nearest"),
    [
        (["clutser", "t.csv"], "cluster"),
        (["cluster", "t.csv", "--bandwith", "1"], "--bandwidth"),
        (["cluster", "t.csv", "--bandwith=1", "-o", "o.csv"], "--bandwidth"),
        (["cluster", "t.csv", "-o", "o.csv", "--no-clusterall"], "--no-cluster-all"),
        (["cluster", "t.csv", "-o", "o.csv", "--kernel", "gausian"], "gaussian"),
        (["info", "--jsn"], "--json"),
        (["--verson"], "--version"),
    ],
)
def test_what_is_misspelt_has_the_nearest_beside_it(arguments, nearest, capsys):
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 2
    assert capsys.readouterr().err.endswith(f"; did you mean {nearest}?\n")


@pytest.mark.jitless
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "tcsh"])
def test_each_shell_has_a_script_with_all_commands_and_options(shell, capsys):
    with pytest.raises(SystemExit) as end:
        main(["--print-completion", shell])
    assert end.value.code == 0
    script = capsys.readouterr().out
    assert all(word in script for word in ("cluster", "predict", "warmup", "bin-seeding"))


@pytest.fixture
def bash(tmp_path, capsys):
    """An interactive bash on a pseudo-terminal, with the completions and one file."""
    with pytest.raises(SystemExit):
        main(["--print-completion", "bash"])
    (tmp_path / "script").write_text(capsys.readouterr().out)
    (tmp_path / "some-model").write_text("")
    terminal, inner = pty.openpty()
    shell = subprocess.Popen(
        ["bash", "--norc", "--noprofile", "-i"], stdin=inner, stdout=inner, stderr=inner,
        cwd=tmp_path, start_new_session=True, env=os.environ | {"PS1": "", "TERM": "dumb"},
    )  # fmt: skip
    yield terminal
    shell.kill()
    shell.wait()
    os.close(terminal)
    os.close(inner)


def read_until(terminal, text):
    """What a terminal shows up to a text."""
    screen, end = "", time.monotonic() + 600
    while text not in screen:
        assert time.monotonic() < end, screen
        if select.select([terminal], [], [], 1)[0]:
            screen += os.read(terminal, 4096).decode(errors="replace")
    return screen


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("meanshift-fast clu", "meanshift-fast cluster "),
        ("meanshift-fast cluster --bin-s", "cluster --bin-seeding "),
        ("meanshift-fast cluster --kernel ga", "--kernel gaussian "),
        ("meanshift-fast predict some-m", "predict some-model "),
    ],
)
def test_bash_completes_at_a_terminal(bash, typed, completed):
    os.write(bash, b"source ./script; echo re''ady\n")
    read_until(bash, "ready")
    os.write(bash, f"{typed}\t".encode())
    assert completed in read_until(bash, completed)


@pytest.mark.jitless
def test_completion_without_shtab_is_one_line_with_the_remedy(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "shtab", None)
    with pytest.raises(SystemExit) as end:
        main(["--print-completion", "bash"])
    assert end.value.code == 1
    assert 'pip install "meanshift_fast[completion]"' in capsys.readouterr().err


@pytest.mark.jitless
def test_info_answers_in_json(capsys):
    assert main(["info", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["meanshift_fast"] == __version__
    assert facts["packages"]["numba"] == numba.__version__
    assert facts["threads"] == numba.get_num_threads()
    assert facts["threading_layer"] == numba.threading_layer()
    assert all(isinstance(count, int) for count in facts["cache_folders"].values())


@pytest.mark.jitless
def test_info_names_versions_threads_and_cache(capsys):
    assert main(["info"]) == 0
    shown = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert shown["meanshift_fast"] == __version__
    assert shown["numba"] == numba.__version__
    assert shown["threads"] == f"{numba.get_num_threads()} of {numba.config.NUMBA_NUM_THREADS}"
    assert shown["threading"] == f"layer  {numba.threading_layer()}"
    assert shown["cache"].startswith("folder  ")


@pytest.mark.jitless
def test_info_says_when_a_package_is_missing(capsys, monkeypatch):
    real = importlib.metadata.version

    def version(name):
        if name == "pillow":
            raise importlib.metadata.PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    assert main(["info"]) == 0
    assert "pillow           not installed\n" in capsys.readouterr().out


# The package is imported anew for the second warm-up. Of the kernels that find equal rows: all of
# them take ten seconds.
WARMED_TWICE = """
import numpy

for _ in range(2):
    forget_package()
    import meanshift_fast
    from meanshift_fast._cli import main
    from meanshift_fast._index import equal_rows
    from meanshift_fast._input.scaling import readonly
    meanshift_fast.warm_up = lambda: equal_rows.find_repeats(readonly(numpy.zeros((3, 2))))
    main.main(["warmup"])
"""


def test_warmup_says_compiling_on_an_empty_cache_and_loading_after(tmp_path, executable):
    environment = {"NUMBA_DISABLE_JIT": "0", "NUMBA_CACHE_DIR": str(tmp_path)}
    first, second = run_script(executable, WARMED_TWICE, environment=environment).splitlines()
    assert re.fullmatch(
        r"Compiling kernels \.\.\. [1-9]\d* compiled in [\d.]+ s; "
        r"later runs load them from the cache\.",
        first,
    )
    assert second.startswith("Loading kernels ... ready in ")
    assert second.endswith(" s, nothing to compile.")


def test_after_a_warmup_nothing_is_left_to_compile(capsys, executable):
    assert main(["warmup"]) == 0
    assert capsys.readouterr().err == ""
    again = subprocess.run([executable, "warmup"], capture_output=True, text=True, timeout=6000)
    assert (again.returncode, again.stderr) == (0, "")
    assert again.stdout.startswith("Loading kernels ... ready in ")
    assert again.stdout.endswith(" s, nothing to compile.\n")


@pytest.mark.jitless
def test_a_missing_folder_is_exit_code_1_and_one_line(tmp_path, capsys):
    assert main(["demo", "--output", str(tmp_path / "nowhere" / "x.png")]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    assert "nowhere" in printed.err
    assert "choose another --output" in printed.err


@pytest.mark.jitless
def test_an_error_is_one_line_even_if_its_message_is_not(monkeypatch, capsys):
    def fail(*_, **__):
        raise ValueError("bandwidth must be positive,\n  got -1.0")

    monkeypatch.setattr(demo, "run", fail)
    assert main(["demo"]) == 1
    assert capsys.readouterr().err == "meanshift-fast: bandwidth must be positive, got -1.0\n"


@pytest.mark.jitless
def test_a_mistake_of_ours_is_not_hidden(monkeypatch):
    def fail(*_, **__):
        raise AttributeError("no such thing")

    monkeypatch.setattr(demo, "run", fail)
    with pytest.raises(AttributeError):
        main(["demo"])


@pytest.mark.jitless
def test_interruption_is_exit_code_130_without_a_traceback(monkeypatch, capsys):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(demo, "run", interrupt)
    assert main(["demo"]) == 130
    assert capsys.readouterr().err == "\nmeanshift-fast: interrupted\n"


@pytest.mark.parametrize(
    ("name", "code", "what"),
    [("SIGINT", 130, "interrupted"), ("SIGTERM", 143, "terminated")],
)
@pytest.mark.parametrize("form", ["script", "module"])
def test_signals_while_the_package_is_imported_are_the_same(form, name, code, what, tmp_path):
    ended = interrupted_import(tmp_path, name, form, "numpy")  # the first that takes long
    assert ended.returncode == code
    assert (ended.stdout, ended.stderr) == ("", f"\nmeanshift-fast: {what}\n")


def test_signals_late_in_the_import_are_the_same(tmp_path):
    ended = interrupted_import(tmp_path, "SIGINT", "script", "meanshift_fast._cli.demo")
    assert (ended.returncode, ended.stdout) == (130, "")
    assert ended.stderr == "\nmeanshift-fast: interrupted\n"


def test_signals_while_another_module_imports_the_package_are_its_own(tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "__init__.py").write_text("import meanshift_fast")
    (tmp_path / "other" / "__main__.py").write_text("")
    ended = interrupted_import(tmp_path, "SIGINT", "module", "numpy", "other")
    assert ended.stderr.endswith("KeyboardInterrupt\n")
    assert "Traceback" in ended.stderr


def interrupted_import(folder, name, form, at, module="meanshift_fast"):
    """What the command says that gets a signal when it imports a module."""
    (folder / "sitecustomize.py").write_text(
        f"""
import os, signal, sys

class Interrupt:
    def find_spec(self, name, *_):
        if name == "{at}":
            os.kill(os.getpid(), signal.{name})

sys.meta_path.insert(0, Interrupt())
"""
    )
    script = folder / "meanshift-fast"
    script.write_text("import sys; from meanshift_fast._cli.main import main; sys.exit(main())")
    command = [script] if form == "script" else ["-m", module]
    path = os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])
    return subprocess.run(
        [sys.executable, *command, "info"], capture_output=True, text=True, timeout=600,
        check=False, env=os.environ | {"PYTHONPATH": path},
    )  # fmt: skip


@pytest.mark.jitless
def test_closed_streams_are_no_error(monkeypatch, tmp_path):
    np.save(tmp_path / "t.npy", np.arange(20.0).reshape(10, 2))
    table, labels = str(tmp_path / "t.npy"), str(tmp_path / "o.npy")
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    assert main(["cluster", table, "-o", labels, "--bandwidth", "3"]) == 0
    assert main(["cluster", table, "-o", labels, "--columns", "x"]) == 1


def test_a_reader_that_has_left_ends_the_command_quietly(executable):
    reading, writing = os.pipe()
    os.close(reading)
    try:
        ended = subprocess.run(
            [executable, "info"], stdout=writing, stderr=subprocess.PIPE, timeout=6000, check=False
        )
    finally:
        os.close(writing)
    assert (ended.returncode, ended.stderr) == (1, b"")


def test_output_is_ascii_where_the_terminal_has_no_other_encoding(tmp_path, executable):
    how = "backslashreplace"  # as Python opens it
    ended = subprocess.run(
        [executable, "bandwidth", str(tmp_path / "caf\u00e9.npy")],
        text=True, capture_output=True, timeout=6000, check=False,
        env=os.environ | {BEFORE: f"sys.stderr = open(2, 'w', encoding='ascii', errors={how!r})"},
    )  # fmt: skip
    assert ended.returncode == 1
    assert "caf\\xe9" in ended.stderr
