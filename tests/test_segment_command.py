"""`segment` on files: pictures, rasters with nodata and a georeference, outlines, tables."""

import json
import os
import struct
import sys
import zlib

import numpy as np
import pyarrow.parquet as pq
import pytest
import rasterio
import rasterio.features
from PIL import Image

from meanshift_fast._cli import segment
from meanshift_fast._cli.main import main
from meanshift_fast._files import images
from meanshift_fast._files.regions import RegionSums
from meanshift_fast.image import mean_shift_segment
from test_image import steps_and_noise

PICTURE = steps_and_noise((30, 40), 3, np.uint8)
RASTER = steps_and_noise((30, 44), 6, np.float32)
RASTER[4:9, 20:30] = -9999
RADII = "--spatial-radius 4 --range-radius 40 --min-size 12"
HOW = {"spatial_radius": 4, "range_radius": 40, "min_size": 12}
PLACE = rasterio.Affine(10, 0, 500_000, 0, -10, 4_000_000)

# rasterio 1.4 multiplies as affine 3 will no longer do.
pytestmark = pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Image.fromarray(PICTURE).save("photo.png")
    profile = {"driver": "GTiff", "count": 6, "dtype": "float32", "nodata": -9999}
    place = {"height": 30, "width": 44, "crs": "EPSG:32633", "transform": PLACE}
    with rasterio.open("bands.tif", "w", **profile, **place) as raster:
        raster.write(np.moveaxis(RASTER, -1, 0))
    return tmp_path


def run(command, capsys, code=0):
    assert main(command.split()) == code
    return capsys.readouterr()


def labels_in(path):
    with rasterio.open(path) as raster:
        return raster.read(1)


@pytest.mark.parametrize("form", ["tif", "png", "npy"])
def test_a_picture_is_labelled_as_the_function_does(form, folder, capsys):
    printed = run(f"segment photo.png -o labels.{form} {RADII} --no-convert2lab", capsys)
    expected = mean_shift_segment(PICTURE, convert2lab=False, **HOW)
    n_regions = expected.max()
    noun = "region" if n_regions == 1 else "regions"
    assert printed.out.startswith(f"30 x 40 pixels, 3 bands: {n_regions} {noun}; ")
    assert printed.out.endswith(f"s; labels in labels.{form}\n")
    path = folder / f"labels.{form}"
    assert n_regions > 1
    found = np.load(path) if form == "npy" else np.asarray(Image.open(path))
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("through", ["rasterio", "Pillow"])
@pytest.mark.parametrize("form", ["tif", "gif"])
def test_a_stack_of_images_is_refused(form, through, folder, capsys, monkeypatch):
    if through == "Pillow":
        monkeypatch.setattr(images, "_rasterio", lambda: None)
    pages = [Image.fromarray(np.full((8, 8), grey, np.uint8)) for grey in (10, 100, 200)]
    pages[0].save(f"stack.{form}", save_all=True, append_images=pages[1:])
    shown = run(f"segment stack.{form} -o labels.npy {RADII}", capsys, 1).err
    assert f"stack.{form} must hold one image, got 3 pages or frames; save each" in shown


def test_a_picture_of_a_camera_with_a_smaller_one_is_read(folder):
    picture = Image.fromarray(PICTURE)
    picture.save("camera.jpg", format="MPO", save_all=True, append_images=[picture.resize((4, 4))])
    assert images.open_image(folder / "camera.jpg").values.shape == PICTURE.shape


@pytest.mark.parametrize("window_side", [4096, 17])
def test_a_raster_keeps_its_georeference_and_masks_nodata(window_side, folder, capsys, monkeypatch):
    monkeypatch.setattr(images, "WINDOW_SIDE", window_side)
    command = f"segment bands.tif -o labels.tif {RADII} --regions regions.parquet --json"
    facts = json.loads(run(command, capsys).out)
    mask = RASTER[..., 0] > -9999
    expected = mean_shift_segment(RASTER, mask=mask, **HOW)
    assert facts["masked"] == 50
    assert facts["regions"] == expected.max()
    with rasterio.open("labels.tif") as raster:
        assert raster.crs.to_epsg() == 32633
        assert raster.transform == PLACE
        assert raster.nodata == 0
        np.testing.assert_array_equal(raster.read(1), expected)
    table = pq.read_table("regions.parquet").to_pydict()
    assert table["label"] == list(range(1, expected.max() + 1))
    for row, label in enumerate(table["label"]):
        inside = expected == label
        y, x = np.nonzero(inside)
        assert table["size"][row] == inside.sum()
        box = [
            table[name][row] for name in ("row_first", "column_first", "row_stop", "column_stop")
        ]
        assert box == [y.min(), x.min(), y.max() + 1, x.max() + 1]
        values = RASTER[inside].astype(float)
        for band in range(6):
            assert table[f"mean_{band + 1}"][row] == pytest.approx(values[:, band].mean())
            assert table[f"std_{band + 1}"][row] == pytest.approx(values[:, band].std())


def test_geojson_has_the_outlines_in_the_rasters_coordinates(folder, capsys):
    run(f"segment bands.tif -o labels.tif {RADII} --regions regions.geojson", capsys)
    collection = json.loads((folder / "regions.geojson").read_text())
    labels = labels_in("labels.tif")
    assert len(collection["features"]) == labels.max()
    assert collection["crs"]["properties"]["name"] == "EPSG:32633"
    for feature in collection["features"]:
        shape = [(feature["geometry"], 1)]
        drawn = rasterio.features.rasterize(shape, labels.shape, transform=PLACE)
        np.testing.assert_array_equal(drawn == 1, labels == feature["properties"]["label"])


def test_regions_are_merged_by_prominence_as_the_function_does(folder, capsys):
    run(f"segment photo.png -o a.npy {RADII} --merge 0.2 --min-prominence 0.4", capsys)
    how = HOW | {"merge": 0.2}
    expected = mean_shift_segment(PICTURE, min_prominence=0.4, **how)
    np.testing.assert_array_equal(np.load("a.npy"), expected)
    assert (expected != mean_shift_segment(PICTURE, **how)).any()


def test_boundaries_are_drawn_over_the_picture(folder, capsys):
    options = f"{RADII} --no-convert2lab --boundaries outlined.png"
    run(f"segment photo.png -o labels.npy {options}", capsys)
    drawn = np.asarray(Image.open("outlined.png"))
    labels = np.load("labels.npy")
    changed = (drawn != PICTURE).any(axis=-1)
    assert drawn.shape == PICTURE.shape
    assert (drawn[changed] == (255, 255, 0)).all()
    assert labels.max() > 1
    assert changed.any()


def test_transparent_pixels_are_masked_and_deep_greys_are_read(folder, capsys):
    alpha = np.full((30, 40), 255, np.uint8)
    alpha[:5, :7] = 0
    Image.fromarray(np.dstack([PICTURE, alpha])).save("clear.png")
    facts = json.loads(run(f"segment clear.png -o a.npy {RADII} --json", capsys).out)
    assert facts["masked"] == 35
    assert (np.load("a.npy")[:5, :7] == 0).all()
    grey = PICTURE[..., 0].astype(np.uint16) * 200
    Image.fromarray(grey).save("deep.png")
    run("segment deep.png -o b.npy --spatial-radius 4 --range-radius 4000", capsys)
    expected = mean_shift_segment(grey, 4, 4000, channel_axis=None)
    np.testing.assert_array_equal(np.load("b.npy"), expected)


@pytest.mark.parametrize("window_side", [4096, 17])
@pytest.mark.parametrize("nodata", [None, 255])
@pytest.mark.parametrize("n_bands", [1, 3])
def test_an_alpha_band_is_the_mask_of_a_raster_as_of_a_picture(
    n_bands, nodata, window_side, folder, monkeypatch
):
    monkeypatch.setattr(images, "WINDOW_SIDE", window_side)
    bands, alpha = np.minimum(PICTURE[..., :n_bands], 254), np.full((30, 40, 1), 255, np.uint8)
    alpha[:5, :7], alpha[5:9, :7] = 0, 1
    bands[20, 30, -1] = 255
    both = np.concatenate([bands, alpha], axis=-1)
    Image.fromarray(both).save("clear.png")
    layout = {"driver": "GTiff", "count": n_bands + 1, "dtype": "uint8", "alpha": "yes"}
    place = {"height": 30, "width": 40, "transform": PLACE, "nodata": nodata}
    with rasterio.open("clear.tif", "w", **layout, **place) as raster:
        raster.write(np.moveaxis(both, -1, 0))
    for name in ("clear.png", "clear.tif"):
        image = images.open_image(folder / name)
        assert image.values.dtype == np.uint8
        np.testing.assert_array_equal(image.values, bands if n_bands == 3 else bands[..., 0])
        expected = alpha[..., 0] > 0
        expected[20, 30] = name == "clear.png" or nodata is None
        np.testing.assert_array_equal(image.mask, expected)


@pytest.mark.parametrize(
    ("depth", "is_coloured", "rows", "clear"),
    [
        (1, False, b"\0\x40\0\x80", [1]),
        (2, False, b"\0\x10\0\x40", [1]),
        (4, False, b"\0\x1f\0\xf2", [15]),
        (8, False, b"\0\1\7\0\7\2", [7]),
        (16, False, b"\0\0\7\1\7\0\1\7\0\1", [263]),
        (8, True, b"\0\1\2\3\4\5\6\0\4\5\6\4\5\7", [4, 5, 6]),
        (16, True, b"\0\1\0\2\0\3\0\4\0\5\0\6\1\0\4\0\5\0\6\1\4\0\5\0\7\0",
         [1024, 1280, 1537]),
    ],
)  # fmt: skip
def test_a_colour_that_a_png_names_transparent_is_masked(depth, is_coloured, rows, clear, folder):
    def chunk(kind, data):
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = struct.pack(">IIBBBBB", 2, 2, depth, 2 * is_coloured, 0, 0, 0)
    named = struct.pack(f">{len(clear)}H", *clear)
    chunks = [(b"IHDR", head), (b"tRNS", named), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    (folder / "clear.png").write_bytes(
        b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*parts) for parts in chunks)
    )
    image = images.open_image(folder / "clear.png")
    assert image.values.ndim == (3 if is_coloured else 2)
    np.testing.assert_array_equal(image.mask, [[True, False], [False, True]])


def test_files_are_whole_or_not_there(folder, capsys, monkeypatch):
    (folder / "labels.npy").write_bytes(b"old")

    def fail(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("meanshift_fast._cli.segment.write_boundaries", fail)
    command = f"segment photo.png -o labels.npy {RADII} --boundaries outlined.png"
    assert "No space left" in run(command, capsys, 1).err
    assert (folder / "labels.npy").read_bytes() == b"old"
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["bands.tif", "labels.npy", "photo.png"]


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("nothing.png -o a.npy", "no such file"),
        ("folder.png -o a.npy", "cannot open folder.png: it is a folder; name a file"),
        ("pipe.tif -o a.npy", "cannot open pipe.tif: it is a pipe or a device; name a file"),
        ("notes.txt -o a.npy", "must be an image by its name"),
        ("broken.png -o a.npy", "does not know what it is"),
        ("photo.png -o nowhere/a.npy", "there is no folder"),
        ("bands.tif -o a.npy --convert2lab", "three bands of red, green and blue"),
    ],
)
def test_bad_files_are_one_line_and_code_1(command, message, folder, capsys):
    (folder / "notes.txt").write_text("x")
    (folder / "broken.png").write_text("x")
    (folder / "folder.png").mkdir()
    os.mkfifo(folder / "pipe.tif")
    printed = run(f"segment {command} {RADII}", capsys, 1)
    assert message in printed.err
    assert printed.err.count("\n") == 1


@pytest.mark.parametrize("window_side", [2048, 16])
@pytest.mark.parametrize("name", ["bands.tif", "photo.png", "photo.jpg"])
@pytest.mark.parametrize("damage", ["cut", "overwritten"])
def test_an_error_about_a_damaged_image_names_it_and_not_the_output(
    damage, name, window_side, folder, capsys, monkeypatch
):
    monkeypatch.setattr(images, "WINDOW_SIDE", window_side)
    Image.fromarray(PICTURE).save(folder / "photo.jpg")
    whole = (folder / name).read_bytes()
    half = len(whole) // 2
    rest = b"" if damage == "cut" else bytes(255 - byte for byte in whole[half:])
    (folder / name).write_bytes(whole[:half] + rest)
    code = main(f"segment {name} -o a.npy {RADII}".split())
    printed = capsys.readouterr()
    if code or damage == "cut":
        assert code == 1
        assert printed.err.count("\n") == 1
        assert name in printed.err
        assert "a.npy" not in printed.err
        assert not (folder / "a.npy").exists()


@pytest.mark.parametrize(
    ("option", "missing", "message"),
    [
        ("--boundaries b.png", "skimage.segmentation", "--boundaries needs scikit-image"),
        ("--regions r.geojson", "rasterio", "GeoJSON needs rasterio"),
        ("--regions r.parquet", "pyarrow", "need pyarrow"),
    ],
)
def test_what_an_option_needs_is_missed_before_the_work(
    option, missing, message, folder, capsys, monkeypatch
):
    monkeypatch.setitem(sys.modules, missing, None)
    monkeypatch.setattr(segment, "mean_shift_segment", lambda *_, **__: pytest.fail("worked"))
    printed = run(f"segment photo.png -o a.npy {RADII} {option}", capsys, 1)
    assert message in printed.err
    assert printed.err.count("\n") == 1
    assert "install it with" in printed.err


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("photo.png -o a.jpg", "must end in .tif"),
        ("photo.png -o photo.png", "must differ"),
        ("photo.png -o a.npy --boundaries b.tif", "must end in .png"),
        ("photo.png -o a.npy --regions a.npy", "must end in .csv"),
        ("photo.png -o a.npy --range-radius 0", "range_radius must be"),
        ("photo.png -o a.npy --min-prominence auto", "min_prominence must be"),
    ],
)
def test_wrong_usage_is_code_2(command, message, folder, capsys):
    with pytest.raises(SystemExit) as ended:
        main(f"segment {RADII} {command}".split())
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


def test_sums_of_regions_far_from_0_lose_no_digits():
    values = 1e9 + np.random.default_rng(0).normal(size=(20, 30))
    labels = np.ones((20, 30), np.int32)
    sums = RegionSums(1)
    for start in (0, 7, 14):
        rows = slice(start, min(start + 7, 20))
        sums.add(rows, slice(0, 30), labels[rows], values[rows])
    assert sums.columns()["std_1"][0] == pytest.approx(values.std(), rel=1e-6)
