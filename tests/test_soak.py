"""The soak finds nothing where nothing is, and what is planted."""

import mmap
import re
import sys
from itertools import count
from types import SimpleNamespace

import numpy as np
import pytest

from bench import deeds, soak
from meanshift_fast import MeanShift
from meanshift_fast._jit.compiler import Parallel, serial

pytestmark = pytest.mark.filterwarnings("ignore:Binning data failed:UserWarning")


@pytest.fixture(autouse=True)
def a_trial_takes_a_second(monkeypatch):
    monkeypatch.setattr(soak, "time", SimpleNamespace(perf_counter=count().__next__))


@pytest.fixture
def _few_trials(monkeypatch):
    """Judge memory by a quarter of the trials; deeds that use no table have none drawn."""
    monkeypatch.setattr(soak, "FEWEST", soak.FEWEST // 4)
    monkeypatch.setattr(deeds, "drawn", lambda rng: None)


def run(capsys, *options):
    code = soak.main(options)
    told = capsys.readouterr()
    return code, told.out, re.findall(r"seed (\d+)", told.err)


def test_trials_go_by_consecutive_seeds_until_the_time_is_over(capsys):
    code, out, seeds = run(capsys, "--minutes", "0.3", "--seed", "100")
    assert code == 0, out
    assert seeds == [str(100 + number) for number in range(18)]
    assert "18 s, seeds 100 to 117: 18 trials" in out


@pytest.mark.parametrize("deed", deeds.DEEDS)
def test_each_deed_is_done(deed, monkeypatch):
    done = []
    act = deeds.DEEDS[deed]
    monkeypatch.setattr(deeds, "DEEDS", {deed: lambda *case: (act(*case), done.append(1))})
    assert sum(soak.attempt(seed) for seed in range(10)) == len(done) >= 7


def test_a_seed_is_the_same_case_again():
    cases = [deeds.drawn(np.random.default_rng(9)) for _ in range(2)]
    assert str(cases[0]) == str(cases[1])
    np.testing.assert_array_equal(cases[0].X, cases[1].X)


def mislabelled(predict):
    def wrong(model, X):
        labels = predict(model, X)
        labels[-1] = (labels[-1] + 1) % len(model.cluster_centers_)
        return labels

    return wrong


def misplaced(fit):
    def wrong(model, *args, **kwargs):
        fit(model, *args, **kwargs)
        model.cluster_centers_[-1] += 0.1 * np.max(model.bandwidth_)
        return model

    return wrong


@pytest.mark.parametrize(("name", "spoil"), [("predict", mislabelled), ("fit", misplaced)])
def test_a_wrong_answer_ends_it_and_its_seed_shows_it_again(name, spoil, capsys, monkeypatch):
    monkeypatch.setattr(deeds, "DEEDS", {"fit": deeds.fit})
    monkeypatch.setattr(MeanShift, name, spoil(getattr(MeanShift, name)))
    code, out, seeds = run(capsys, "--minutes", "1", "--seed", "7")
    assert code == 1
    told = re.search(r"FAULT, seed (\d+): fit: (\d+ x \d+ \w+, .*'bandwidth': .*)", out)
    assert told[1] == seeds[-1]
    again = run(capsys, "--minutes", "0", "--seed", seeds[-1])
    assert again[0] == 1
    assert told[0] in again[1]
    monkeypatch.undo()
    monkeypatch.setattr(deeds, "DEEDS", {"fit": deeds.fit})
    assert run(capsys, "--minutes", "0", "--seed", seeds[-1])[0] == 0


def test_an_error_that_is_not_documented_is_a_fault(capsys, monkeypatch):
    def fail(case, rng):
        raise ValueError("operands could not be broadcast")

    monkeypatch.setattr(deeds, "DEEDS", {"fit": fail})
    code, out, _ = run(capsys, "--minutes", "0", "--seed", "3")
    assert code == 1
    assert "seed 3: fit: " in out
    assert "operands could not be broadcast" in out


@pytest.mark.usefixtures("_few_trials")
@pytest.mark.parametrize("leaks", [False, True], ids=["as it is", "with a leak"])
def test_memory_that_is_not_given_back_is_a_fault(leaks, capsys, monkeypatch):
    kept = []

    def deed(case, rng):
        table = np.ones((200, 1000))  # 1.6 MB
        if leaks:
            kept.append(table)

    monkeypatch.setattr(deeds, "DEEDS", {"nothing": deed})
    code, out, _ = run(capsys, "--minutes", "1.25", "--seed", "50")
    assert code == leaks
    assert ("FAULT, seeds from 50: memory grows" in out) == leaks


@pytest.mark.usefixtures("_few_trials")
@pytest.mark.parametrize("loads", [True, False], ids=["loading", "leaking"])
def test_what_is_loaded_late_is_no_leak(loads, capsys, monkeypatch):
    kept = []

    def deed(case, rng):
        if len(kept) < 50:
            kept.append(np.ones((200, 1000)))
            if loads:
                monkeypatch.setitem(sys.modules, f"late_{len(kept)}", SimpleNamespace())

    monkeypatch.setattr(deeds, "DEEDS", {"nothing": deed})
    code, out, _ = run(capsys, "--minutes", "2", "--seed", "50")
    assert code == (not loads), out
    assert f"nothing loaded for {71 if loads else 120} trials" in out


def test_tables_have_pages_of_their_own_which_go_with_them():
    np.ones(1 << 21)  # 16 MB; when they go, glibc begins to take tables from among all else
    assert soak._frugal()(0) in (0, 1)
    # The first of them fill the holes that all tests before have left, of some 100 MB.
    tables = [np.empty(50_000) for _ in range(1500)]
    alone = [table.ctypes.data % mmap.PAGESIZE == 16 for table in tables]  # behind glibc's words
    assert all(alone[-200:])


def doubled(value):
    return 2.0 * value


def test_a_module_and_a_kernel_for_each_kind_of_call_count_as_loaded(monkeypatch):
    serial(doubled)(1.0)  # loads what compiling needs
    before = soak.loaded()
    module = SimpleNamespace(kernel=serial(doubled), spread=Parallel(doubled))
    monkeypatch.setitem(sys.modules, "meanshift_fast.late", module)
    assert soak.loaded() == before + 1
    for kernel in (module.kernel, module.spread.alone):
        kernel(1.0)
        kernel(1)
        kernel(2.0)
    assert soak.loaded() == before + 5


def test_memory_that_comes_and_goes_is_no_leak():
    waves = [(1 + number % 7 + number // 200 % 2) << 24 for number in range(1000)]
    assert soak.growth(waves) == 0
    rising = [(number % 7 << 24) + (number << 16) for number in range(1000)]
    assert soak.growth(rising) == pytest.approx(600 << 16, rel=0.05)
    assert soak.growth(rising[: soak.FEWEST - 1]) == 0
