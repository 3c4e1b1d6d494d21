"""A disk that is full: one line that says so, exit code 1, old files as they were, no others."""

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from meanshift_fast import MeanShift
from meanshift_fast._cli.main import main
from meanshift_fast._explore.rows import rows_of
from meanshift_fast._explore.session import Session
from meanshift_fast._files.atomic import write_whole
from meanshift_fast._files.images import write_labels_image
from meanshift_fast.io import open_table
from meanshift_fast.models import save_model
from test_io import full_disk, named, save

DISK_BYTES = 8_192
X = np.random.default_rng(0).integers(0, 4, (8000, 1)) * 5 + np.random.default_rng(1).normal(
    size=(8000, 2)
)
BINS = "--bandwidth 1 --bin-seeding"
WINDOW = "--spatial-radius 1 --range-radius 2"


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """A folder of inputs, and beside them a disk of 8,192 bytes."""
    folder = tmp_path_factory.mktemp("tables")
    for form in (".npy", ".csv"):
        save(folder / f"t{form}", named(X))
    pixels = np.random.default_rng(0).integers(0, 256, (150, 150, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(folder / "t.png")
    save_model(MeanShift(bandwidth=1.0, bin_seeding=True).fit(X), folder / "m.model")
    # What is compiled is written to the cache, which the limit of a file's size counts as well.
    for command in (
        f"cluster t.npy -o w.csv --centers c.csv --model w.model {BINS}",
        f"cluster t.npy --stream -o w.npy {BINS}",
        f"cluster t.npy --model w.model --assign basin {BINS}",
        "predict m.model t.npy -o w.csv",
        f"segment t.png -o w.png --regions w.csv --boundaries b.png {WINDOW}",
    ):
        at = Path.cwd()
        os.chdir(folder)
        try:
            assert main(command.split()) == 0
        finally:
            os.chdir(at)
    (folder / "disk").mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(folder / "disk")]
    is_mounted = (
        bool(shutil.which("mount")) and not subprocess.run(mount, capture_output=True).returncode
    )
    yield folder, is_mounted
    if is_mounted:
        subprocess.run(["umount", folder / "disk"], check=True)


@pytest.fixture
def disk(tables, monkeypatch):
    """The disk; where none can be mounted, no file may grow beyond its size."""
    folder, is_mounted = tables
    monkeypatch.chdir(folder)
    for path in (folder / "disk").iterdir():
        path.unlink()
    (folder / "disk/old.npy").write_text("old")
    if is_mounted:
        yield "No space left on device"
    else:
        with full_disk(DISK_BYTES):
            yield "File too large"
    assert [path.name for path in (folder / "disk").iterdir()] == ["old.npy"]
    assert (folder / "disk/old.npy").read_text() == "old"


@pytest.mark.parametrize(
    "command",
    [
        f"cluster t.npy -o disk/old.npy {BINS}",
        f"cluster t.npy -o disk/o.csv {BINS}",
        f"cluster t.csv -o disk/o.parquet --keep x {BINS}",
        f"cluster t.npy -o disk/o.npy --centers disk/c.csv {BINS}",
        f"cluster t.npy --model disk/m.model --assign basin {BINS}",
        f"cluster t.npy --stream -o disk/o.npy {BINS}",
        "predict m.model t.npy -o disk/old.npy",
        "predict m.model t.csv -o disk/o.parquet --keep x --columns x,y",
        "predict m.model t.npy -o disk/o.npy",
        f"segment t.png -o disk/old.npy {WINDOW}",
        f"segment t.png -o disk/o.png {WINDOW}",
        f"segment t.png -o o.npy --regions disk/c.csv {WINDOW}",
        f"segment t.png -o o.npy --regions disk/c.geojson {WINDOW}",
        f"segment t.png -o o.npy --boundaries disk/b.png {WINDOW}",
    ],
)
def test_a_command_says_that_the_disk_is_full_and_leaves_the_old_file(command, disk, capsys):
    assert main(command.split()) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.splitlines()[-1].startswith("meanshift-fast: cannot write disk/")
    assert printed.err.endswith(f": {disk}\n")
    assert printed.err.count("\n") == 1
    assert not Path("o.npy").exists()


@pytest.mark.parametrize("shape", [(200, 200), (30, 70)])
def test_a_raster_that_ends_too_early_takes_no_name(shape, disk):
    labels = np.random.default_rng(0).integers(0, 1 << 30, shape).astype(np.int32)
    path = Path("disk/o.tif")
    with pytest.raises(OSError, match=r"cannot write disk/o.tif: it was not written whole; is the"):
        write_whole(
            {path: lambda part: write_labels_image(part, ".tif", labels, None, lambda *_: None)}
        )


@pytest.mark.parametrize("form", [".csv", ".parquet"])
def test_an_input_that_is_gone_while_labels_are_written_is_no_error_of_the_output(
    form, tables, tmp_path, monkeypatch, capsys
):
    kind = type(open_table(save(tmp_path / f"t{form}", named(X)))._file)
    parts = kind.parts

    def parts_of_what_is_gone(file, *settings):
        file.path.unlink()
        return parts(file, *settings)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(kind, "parts", parts_of_what_is_gone)
    Path("old.npy").write_text("old")
    model = tables[0] / "m.model"
    assert main(["predict", str(model), f"t{form}", "-o", "old.npy", "--columns", "x,y"]) == 1
    assert capsys.readouterr().err == (
        f"meanshift-fast: cannot open t{form}: No such file or directory\n"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["old.npy"]
    assert Path("old.npy").read_text() == "old"


@pytest.mark.parametrize("name", ["m.model", "old.npy"])
def test_a_model_is_saved_whole_or_not_at_all(name, disk):
    model = MeanShift(bandwidth=1.0, bin_seeding=True, assign="basin").fit(X)
    with pytest.raises(OSError, match=f"cannot write disk/{name}: {disk}"):
        save_model(model, f"disk/{name}")


@pytest.mark.parametrize(
    ("what", "name"), [("labels", "old.npy"), ("labels", "o.csv"), ("model", "m")]
)
def test_the_explorer_says_that_its_file_was_not_saved(what, name, disk):
    events = []
    given = {"bandwidth": 1.0, "assign": "basin", "bin_seeding": True}
    session = Session(rows_of(X), given, lambda *event: events.append(event))
    try:
        session.change(bandwidth=1.0)
        session.worker.wait()
        session.save(what, f"disk/{name}")
        session.worker.wait()
    finally:
        session.close()
    (text,) = [text for kind, text in events if kind == "error"]
    assert text == f"cannot write disk/{name}: {disk}"


@pytest.mark.parametrize(
    "command",
    [
        "trace t.npy --row 3 --bandwidth 1",
        "info --json",
        "--version",
        f"cluster t.npy -o - {BINS}",
        "predict m.model t.npy -o -",
        f"cluster t.npy -o o.csv {BINS}",
    ],
)
def test_an_answer_that_cannot_be_printed_is_one_line_and_exit_code_1(command, tables, executable):
    folder, _ = tables
    with open("/dev/full", "w") as full:
        run = subprocess.run(
            [executable, *command.split()],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            cwd=folder,
        )
    assert run.returncode == 1
    line = "meanshift-fast: cannot write to standard output: No space left on device\n"
    assert run.stderr == line
