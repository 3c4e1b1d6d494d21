"""The demo: what it prints, what it draws, what it does when something is missing."""

import contextlib
import io
import re
import sys
import types
import zlib

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image
from sklearn.datasets import load_sample_image

from meanshift_fast import MeanShift, estimate_bandwidth, trace
from meanshift_fast._cli import demo, demo_picture
from meanshift_fast._cli.demo_picture import OUTLINE, Palette, Panel, outlined
from meanshift_fast._cli.main import main
from meanshift_fast._cli.output import print_line
from meanshift_fast.datasets import china_pixels, demo_table
from meanshift_fast.image import mean_shift_filter, mean_shift_segment
from served import run_script

BLACK = (
    [Panel(np.zeros((2, 2, 3), np.uint8), "a title", "a note")],
    Palette(np.zeros((1, 3), np.uint8), np.ones(1)),
)


@pytest.fixture
def crop(monkeypatch):
    """Show a piece of the photograph, 32 x 48 pixels, in place of all of it."""
    pixels, shape = china_pixels()
    piece = pixels.reshape(shape)[100:132, 100:148]
    small = np.ascontiguousarray(piece.reshape(-1, 3)), piece.shape
    monkeypatch.setattr(demo, "china_pixels", lambda: small)
    return small


@pytest.fixture
def drawn(monkeypatch):
    """Note the pictures in place of drawing them, a second for each; other tests look at them."""
    pictures = []
    monkeypatch.setattr(demo, "draw", lambda panels, palette, path: pictures.append(path))
    return pictures


@pytest.fixture(scope="module")
def table_lines():
    """What the demo says about the table, to a terminal that shows all letters."""
    shown = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    with contextlib.redirect_stdout(shown):
        demo.show_table(demo_table(), n_jobs=1)
    shown.flush()
    return shown.buffer.getvalue().decode().splitlines()


@pytest.mark.jitless
def test_the_table_is_the_same_everywhere_and_prints_whole():
    table = demo_table()
    hundredths = np.rint(table * 100).astype("<i8")
    np.testing.assert_array_equal(table, hundredths / 100)
    assert table.shape == (300, 2)
    assert table[:2].tolist() == [[2.36, 5.99], [5.33, 0.05]]
    assert zlib.crc32(hundredths.tobytes()) == 0xFB63ADC1


@pytest.mark.jitless
def test_the_pixels_are_the_photograph_row_by_row():
    pixels, shape = china_pixels()
    assert pixels.shape == (273_280, 3)
    assert pixels.dtype == np.float64
    np.testing.assert_array_equal(pixels.reshape(shape), load_sample_image("china.jpg"))


@pytest.mark.jitless
def test_the_table_is_printed_in_six_stages_in_order_with_shapes(table_lines):
    stages = [line for line in table_lines if re.match(r"\d\. ", line)]
    assert [stage.split(":")[0] for stage in stages] == [
        "1. Input",
        "2. Bandwidth",
        "3. Iteration",
        "4. Convergence, the training trace",
        "5. Clusters",
        "6. Prediction trace of row 124",
    ]
    assert stages[0] == "1. Input: X (300, 2)"
    assert stages[4] == "5. Clusters: centres (3, 2), labels (300,)"


@pytest.mark.jitless
def test_the_bandwidth_printed_is_the_estimated_one(table_lines):
    shown = f"estimate_bandwidth(X) = {estimate_bandwidth(demo_table()):.3f}"
    assert any(shown in line for line in table_lines)


@pytest.mark.jitless
def test_the_first_shift_printed_is_the_mean_of_the_neighbours(table_lines):
    number = r"-?\d+\.\d\d"
    (shift,) = (line for line in table_lines if " shifts to " in line)
    assert re.fullmatch(rf"   \[{number}, {number}\] shifts to \[{number}, {number}\]", shift)
    start, end = np.array(re.findall(number, shift), dtype=float).reshape(2, 2)
    X = demo_table()
    near = np.linalg.norm(X - start, axis=1) <= estimate_bandwidth(X)
    np.testing.assert_array_equal(end, X[near].mean(axis=0).round(2))


@pytest.mark.jitless
def test_the_training_trace_printed_is_history(table_lines):
    head = next(i for i, line in enumerate(table_lines) if "largest shift" in line)
    history = MeanShift().fit(demo_table()).history_
    shown = [line.split() for line in table_lines[head + 1 : head + 1 + len(history)]]
    for words, row in zip(shown, history, strict=True):
        assert [int(words[i]) for i in (0, 1, 4)] == [
            row["round"], row["n_active"], row["n_converged"],
        ]  # fmt: skip
        shifts = [row["mean_shift"], row["max_shift"]]
        np.testing.assert_allclose(np.array(words[2:4], dtype=float), shifts, rtol=0, atol=5e-5)
    stars = [words[5] for words in shown]
    assert stars[0] == "*" * 24
    assert sorted(stars, key=len, reverse=True) == stars
    assert stars[-1] == "*"


@pytest.mark.jitless
def test_the_cluster_sizes_printed_add_up(table_lines):
    sizes = [int(line.split()[2]) for line in table_lines if line.startswith("   cluster ")]
    assert sizes == np.bincount(MeanShift().fit(demo_table()).labels_).tolist()
    assert sum(sizes) == 300


@pytest.mark.jitless
def test_the_prediction_trace_printed_is_the_trace_and_ends_in_the_label(table_lines):
    X = demo_table()
    model = MeanShift().fit(X)
    traced = str(trace(X, X[124], bandwidth=model.bandwidth_)).splitlines()
    assert [line[3:] for line in table_lines[-len(traced) - 1 : -1]] == traced
    assert table_lines[-1].endswith(f"cluster {model.labels_[124]}: the row's label.")


@pytest.mark.jitless
def test_the_text_is_ascii_and_fits_80_columns(table_lines):
    assert all(line.isascii() and len(line) <= 80 for line in table_lines)


@pytest.mark.jitless
def test_say_escapes_what_the_terminal_cannot_show(monkeypatch):
    terminal = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", terminal)
    print_line("caf\u00e9.png")
    assert terminal.buffer.getvalue() == b"caf\\xe9.png\n"


def test_the_whole_demo_clusters_the_whole_photograph(tmp_path, capsys):
    picture = tmp_path / "demo.png"
    assert main(["demo", "--output", str(picture), "--n-jobs", "1"]) == 0
    shown = capsys.readouterr().out
    pixels, _ = china_pixels()
    assert "X (273280, 3)" in shown
    assert "   rows       273,280\n" in shown
    assert "   bandwidth  25;" in shown
    n_clusters = len(MeanShift(bandwidth=25, bin_seeding=True).fit(pixels).cluster_centers_)
    assert f"   clusters   {n_clusters}\n" in shown
    assert len(re.findall(r"^   seconds    \d+\.\d{3}$", shown, re.MULTILINE)) == 2
    photograph = pixels.reshape(427, 640, 3).astype(np.uint8)
    labels = mean_shift_segment(photograph, 8, 16, min_size=200, convert2lab=False)
    assert "8. Segments: the same pixels by place and colour -> labels (427, 640)\n" in shown
    assert f"   segments   {labels.max()}, of at least 200 pixels\n" in shown
    assert f"   picture    {picture}\n" in shown
    assert [file.name for file in tmp_path.iterdir()] == ["demo.png"]
    with Image.open(picture) as image:
        assert (image.format, image.size) == ("PNG", (2800, 2188))


@pytest.mark.usefixtures("crop")
@pytest.mark.parametrize(("compare", "n_fits"), [(False, 1), (True, 2)])
def test_what_is_compared_is_a_second_fit(compare, n_fits, tmp_path, monkeypatch, drawn):
    fits = []

    def noted(self, *rows):
        fits.append(rows)
        return fit(self, *rows)

    fit = MeanShift.fit
    monkeypatch.setattr(MeanShift, "fit", noted)
    demo.show_photograph(tmp_path / "demo.png", compare, n_jobs=1)
    assert len(fits) == n_fits
    assert drawn == [tmp_path / "demo.png"]


@pytest.mark.usefixtures("crop")
def test_compare_prints_both_times_their_ratio_and_full_agreement(tmp_path, capsys, drawn):
    assert main(["demo", "--compare", "--output", str(tmp_path / "demo.png")]) == 0
    assert drawn == [tmp_path / "demo.png"]
    shown = capsys.readouterr().out
    theirs = float(re.search(r"   scikit-learn \S+ +([\d.]+) s\n", shown)[1])
    ours = float(re.search(r"   meanshift_fast \S+ +([\d.]+) s\n", shown)[1])
    assert theirs > 0
    assert ours > 0
    assert re.search(r"   ratio, one run of each +[\d.]+ x\n", shown)
    assert re.search(r"   ARI of the labels +1\.000000\n", shown)


def _fake_opencv(monkeypatch, filtered):
    """Put a module in OpenCV's place that answers with an image."""

    def filter(*arguments, **how):
        calls.append((arguments[1:], how))
        return filtered

    calls = []
    module = types.SimpleNamespace(
        pyrMeanShiftFiltering=filter, TERM_CRITERIA_COUNT=1, TERM_CRITERIA_EPS=2, __version__="5.5"
    )
    monkeypatch.setitem(sys.modules, "cv2", module)
    return calls


def test_compare_sets_the_filter_of_opencv_beside_ours(crop, tmp_path, monkeypatch, capsys):
    pixels, shape = crop
    photograph, picture = pixels.reshape(shape).astype(np.uint8), tmp_path / "demo.png"
    theirs = 255 - photograph
    calls = _fake_opencv(monkeypatch, theirs)
    demo.show_photograph(picture, compare=True, n_jobs=1)
    assert calls == [((8, 16), {"maxLevel": 0, "termcrit": (3, 100, 1e-3)})]
    ours = mean_shift_filter(photograph, 8, 16, convert2lab=False)
    shown = capsys.readouterr().out
    assert re.search(r"   OpenCV 5\.5 +\d+\.\d{3} s\n", shown)
    apart = np.median(np.abs(ours - theirs))
    assert re.search(rf"   median difference +{apart:.2f} of 255;", shown)
    np.testing.assert_array_equal(shown_in(picture, shape, 2, 0), ours.round())
    np.testing.assert_array_equal(shown_in(picture, shape, 2, 1), theirs)


@pytest.mark.usefixtures("crop")
def test_without_opencv_the_comparison_says_how_to_install_it(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "cv2", None)
    picture = tmp_path / "demo.png"
    demo.show_photograph(picture, compare=True, n_jobs=1)
    assert "   OpenCV is not installed; pip install opencv-python" in capsys.readouterr().out
    with Image.open(picture) as image:
        assert image.size == (2800, 2 * (200 + 1280 * 32 // 48) + 80)


def shown_in(picture, shape, row, column):
    """The middles of an image's pixels in a panel of the picture.

    200 dots an inch, panels 1280 dots wide, 80 dots from the border and from each other, and 200
    dots for the titles above each.
    """
    with Image.open(picture) as image:
        drawn = np.asarray(image.convert("RGB"))
    side = 1280 / shape[1]
    top = 200 + row * (200 + side * shape[0])
    rows = (top + side * (np.arange(shape[0]) + 0.5)).astype(int)
    columns = (80 + column * 1360 + side * (np.arange(shape[1]) + 0.5)).astype(int)
    return drawn[np.ix_(rows, columns)]


def test_the_picture_shows_the_pixels_their_colours_and_the_palette(crop, tmp_path):
    pixels, shape = crop
    model = MeanShift(bandwidth=25, bin_seeding=True).fit(pixels)
    picture = tmp_path / "demo.png"
    demo.show_photograph(picture, compare=False, n_jobs=1)
    np.testing.assert_array_equal(shown_in(picture, shape, 0, 0), pixels.reshape(shape))
    clustered = model.cluster_centers_.round()[model.labels_].reshape(shape)
    np.testing.assert_array_equal(shown_in(picture, shape, 1, 0), clustered)

    # Swatches fill the last panel; 20 dots from its left no label interferes.
    shares = np.bincount(model.labels_) / len(pixels)
    order = np.argsort(-shares, kind="stable")
    middles = np.cumsum(shares[order]) - shares[order] / 2
    with Image.open(picture) as image:
        drawn = np.asarray(image.convert("RGB"))
    height = 1280 * shape[0] / shape[1]
    swatches = drawn[(400 + height * (1 + middles)).astype(int), 1460]
    np.testing.assert_array_equal(swatches, model.cluster_centers_[order].round())


def test_the_segments_are_drawn_in_their_mean_colours_with_outlines(crop, tmp_path, monkeypatch):
    pixels, shape = crop
    monkeypatch.setattr(demo, "MIN_SIZE", 20)
    photograph = pixels.reshape(shape).astype(np.uint8)
    labels = mean_shift_segment(photograph, 8, 16, min_size=20, convert2lab=False)
    assert labels.max() > 1
    drawn = outlined(photograph, labels)
    assert drawn.shape == (64, 96, 3)
    for label in range(1, labels.max() + 1):
        mean = photograph[labels == label].mean(axis=0).round()
        # The first dot of a pixel has its segment's colour, the last the outline where another is.
        assert (drawn[::2, ::2][labels == label] == mean).all()
    right = labels[:, :-1] != labels[:, 1:]
    np.testing.assert_array_equal((drawn[::2, 1:-2:2] == OUTLINE).all(axis=2), right)
    below = labels[:-1] != labels[1:]
    np.testing.assert_array_equal((drawn[1:-2:2, ::2] == OUTLINE).all(axis=2), below)

    picture = tmp_path / "demo.png"
    demo.show_photograph(picture, compare=False, n_jobs=1)
    shown = shown_in(picture, (64, 96, 3), 0, 1)
    np.testing.assert_array_equal(shown, drawn)


@pytest.mark.jitless
@pytest.mark.parametrize(("n_panels", "n_rows"), [(1, 2), (2, 2), (3, 2), (4, 3), (5, 3)])
def test_all_panels_and_the_palette_lie_within_the_picture(n_panels, n_rows, tmp_path):
    (panel,), black = BLACK
    red = np.full((2, 4, 3), (255, 0, 0), np.uint8)
    picture = tmp_path / "demo.png"
    demo_picture.draw([panel._replace(image=red)] * n_panels, black, picture)
    with Image.open(picture) as image:
        assert image.size == (2800, n_rows * (200 + 640) + 80)
    for place in (0, 1, 2, 4, 5)[:n_panels]:
        np.testing.assert_array_equal(shown_in(picture, red.shape, *divmod(place, 2)), red)
    np.testing.assert_array_equal(shown_in(picture, red.shape, 1, 1)[:, 1:3], 0)


@pytest.mark.jitless
def test_the_picture_is_replaced_whole_or_not_at_all(tmp_path, monkeypatch):
    picture = tmp_path / "demo.png"
    picture.write_bytes(b"yesterday's")

    def full_disk(self, path, **_):
        path.write_bytes(b"half a ")
        raise OSError("No space left on device")

    monkeypatch.setattr(Figure, "savefig", full_disk)
    with pytest.raises(OSError, match="No space left"):
        demo_picture.draw(*BLACK, picture)
    assert picture.read_bytes() == b"yesterday's"
    assert list(tmp_path.iterdir()) == [picture]


@pytest.mark.jitless
def test_drawing_leaves_pyplot_and_the_backend_alone(tmp_path, executable):
    code = (
        "import sys, pathlib, numpy as np\n"
        "from meanshift_fast._cli.demo_picture import Palette, Panel, draw\n"
        "assert 'matplotlib' not in sys.modules\n"
        "panel = Panel(np.zeros((2, 2, 3), np.uint8), 'a', 'b')\n"
        "palette = Palette(np.zeros((1, 3), np.uint8), np.ones(1))\n"
        "draw([panel], palette, pathlib.Path(sys.argv[1]))\n"
        "assert 'matplotlib.figure' in sys.modules\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    picture = tmp_path / "demo.png"
    run_script(executable, code, picture)
    assert picture.stat().st_size > 1000


@pytest.mark.parametrize(("module", "package"), [("matplotlib", "matplotlib"), ("PIL", "pillow")])
def test_a_missing_package_is_exit_code_1_with_the_remedy(
    module, package, tmp_path, monkeypatch, capsys
):
    monkeypatch.setitem(sys.modules, module, None)
    assert main(["demo", "--output", str(tmp_path / "demo.png")]) == 1
    printed = capsys.readouterr()
    assert "6. Prediction trace" in printed.out
    assert "7. Real input" not in printed.out
    assert printed.err.count("\n") == 1
    assert f"needs {package}, which is not installed" in printed.err
    assert 'pip install "meanshift_fast[demo]"' in printed.err
    assert list(tmp_path.iterdir()) == []
