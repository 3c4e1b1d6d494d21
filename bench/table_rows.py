"""Write what was measured as the rows of the bench's tables."""

from collections.abc import Iterable, Iterator

from bench.targets import Results
from bench.workloads import WORKLOADS


def speed_rows(results: Results, names: Iterable[str]) -> Iterator[str]:
    """Write the table of fits."""
    yield "| work | meanshift_fast | scikit-learn | mlpack | agreement with scikit-learn |"
    yield "| --- | ---: | ---: | ---: | --- |"
    for name in names:
        yield speed_row(name, results["speed"][name])


def speed_row(name: str, libraries: Results) -> str:
    """Write one row of the table of fits."""
    ours = libraries["meanshift_fast"]
    work = WORKLOADS[name].title if name in WORKLOADS else "blobs, `estimate_bandwidth`"
    cells = [f"{ours['rows']:,} x {ours['features']} {work}", spoken(ours["seconds"])]
    for library in ("scikit-learn", "mlpack"):
        if library not in libraries:
            cells.append("")
            continue
        theirs = libraries[library]
        ratio = theirs["seconds"] / ours["seconds"]
        notes = [f"{ratio:,.0f} x" if ratio >= 10 else f"{ratio:.1f} x"]
        if "ari" in theirs:
            notes.append(f"ARI {theirs['ari']:.4f}")
        about = "~ " if "sample" in theirs else ""
        cells.append(f"{about}{spoken(theirs['seconds'])} ({', '.join(notes)})")
    if "ari" in ours:
        cells.append(f"ARI {ours['ari']:.4f}, centres to {ours['center_distance']:.0e} bandwidths")
    else:
        cells.append(f"equal to {ours['difference']:.0e}")
    if "NumPy" in libraries:
        theirs = libraries["NumPy"]["seconds"]
        cells[-1] += f"; NumPy's products {spoken(theirs)} ({theirs / ours['seconds']:.1f} x)"
    return f"| {' | '.join(cells)} |"


def column_rows(found: Results) -> Iterator[str]:
    """Write the rows of Gaussian fits in many columns; none before they are measured."""
    for bandwidth, times in found.items():
        ratio = times["numpy_s"] / times["ours_s"]
        yield (
            f'| {times["rows"]:,} x 256 token embeddings, `kernel="gaussian"`, bandwidth '
            f"{bandwidth}, {times['rounds']} rounds | {spoken(times['ours_s'])} "
            f"| NumPy's products with `exp`: {spoken(times['numpy_s'])} ({ratio:.1f} x) |"
        )


def basin_rows(results: Results) -> Iterator[str]:
    """Write the table of what has no counterpart elsewhere."""
    basins, shifts = results["basins"], results["gaussian"]
    blobs = f"{basins['rows']:,} x 2 blobs"
    yield "| basins, the Gaussian kernel, bandwidths | | beside the plain way, or the fit |"
    yield "| --- | ---: | --- |"
    yield (
        f'| {blobs}, `assign="basin", coalesce=0.01` | {spoken(basins["flat_s"])} | every row to '
        f"its own end: {spoken(basins['plain_s'])}; ARI to its basins {basins['ari']:.5f} |"
    )
    yield f'| the same, `kernel="gaussian"` | {spoken(basins["gaussian_s"])} | |'
    yield (
        f"| {blobs}, one Gaussian shift of a row, accuracy 0.001 | {shifts['ours_us']:.2f} us "
        f"| all rows summed, compiled and parallel: {shifts['brute_us']:,.0f} us "
        f"({shifts['brute_us'] / shifts['ours_us']:,.0f} x); largest error {shifts['error']:.0e} "
        "bandwidths |"
    )
    for what, key in (
        (f"{basins['rows']:,} x 2", "estimate_s"),
        (f"{basins['rows'] // 10:,} x 8", "estimate_8_s"),
    ):
        share = basins[key] / basins["plain_s"]
        yield (
            f"| {what} blobs, `estimate_bandwidth` | {spoken(basins[key])} | {share:.2f} of the "
            f"time of a fit of {blobs} from every row |"
        )
    yield from prominence_rows(results.get("prominence", {}))
    yield from column_rows(results.get("gaussian_columns", {}))


def prominence_rows(found: Results) -> Iterator[str]:
    """Write the rows of merging and log densities; nothing for results that are older than they."""
    if not found:
        return
    rows, ours_us, theirs_us = found["rows"], found["ours_us"], found["kernel_density_us"]
    for what, suffix in ((f"{rows:,} x 2", ""), (f"{rows // 10:,} x 8", "_8")):
        merged_s, plain_s = found[f"merged{suffix}_s"], found[f"plain{suffix}_s"]
        yield (
            f'| {what} blobs, `assign="basin", coalesce=0.01, min_prominence="auto"` | '
            f"{spoken(merged_s)} | {merged_s / plain_s:.2f} of the time of the same without "
            "prominence, whose labels a cut at 0 has |"
        )
    yield (
        f"| {rows:,} x 2 blobs, `score_samples` of a row | {ours_us:.2f} us | scikit-learn's "
        f"KernelDensity: ~ {theirs_us:,.0f} us ({theirs_us / ours_us:,.0f} x); largest difference "
        f"{found['difference']:.0e} |"
    )


def explorer_rows(changes: Results) -> Iterator[str]:
    """Write the table of the explorer; nothing for results that are older than it."""
    if not changes:
        return
    yield "| the explorer, from the slider's event to the picture | | the fit in it |"
    yield "| --- | ---: | ---: |"
    for rows, found in changes.items():
        change, fit = (spoken(found[name]) for name in ("change_s", "fit_s"))
        yield f"| {int(rows):,} x 2 blobs | {change} | {fit} |"
    yield ""


def spoken(seconds: float) -> str:
    """Write a time with three figures, in milliseconds, seconds or hours."""
    if seconds < 0.1:
        return f"{1e3 * seconds:.3g} ms"
    return f"{seconds:.3g} s" if seconds < 1000 else f"{seconds / 3600:.3g} h"
