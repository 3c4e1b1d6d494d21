"""What a task of Dask does with a partition, and with the summaries of some.

partition --checked--> partition --sampled--> sample --merged_samples--> sample
`-----condensed--> cells ---merged_cells----> cells
"""

from typing import Any

from numpy.typing import ArrayLike

from meanshift_fast._cluster.grid import Grid
from meanshift_fast._input.metrics import Metric
from meanshift_fast._summaries.grid_cells import FIRST_CELLS, Cells, Condensed
from meanshift_fast._summaries.partitions import (
    Partition,
    Resolution,
    cells_of,
    checked_partition,
    condense_partition,
    sample_partition,
)
from meanshift_fast._summaries.priority_sample import Sample


def checked(block: Any, weights: Any, n_features: int, column: str | None, name: str) -> Partition:
    """Check a partition; an array's may have other columns than its metadata says."""
    if column is not None:
        block, weights = block.drop(columns=column), block[column]
    partition = checked_partition(block, weights, name)
    if partition.table.shape[1] != n_features:
        raise ValueError(
            f"{name} must have {n_features} columns, as the metadata of X says, got "
            f"{partition.table.shape[1]}; give map_blocks the chunks that the function returns"
        )
    return partition


def n_rows(partition: Partition) -> int:
    """The number of rows of a partition."""
    return len(partition.table)


def sampled(partition: Partition, first: int, metric: Metric) -> Sample:
    """Sample a partition whose first row has this number in the table."""
    sample = Sample(first)
    sample_partition(sample, partition, metric)
    return sample


def merged_samples(samples: list[Sample]) -> Sample:
    """Merge samples into a new one: Dask may run a task again on the same samples."""
    merged = Sample()
    for sample in samples:
        merged.merge(sample)
    return merged


def condensed(
    partition: Partition,
    width: float | ArrayLike,
    resolution: Resolution,
    n_features: int,
    metric: Metric,
) -> Condensed:
    """Condense a partition into cells."""
    cells = cells_of(width, resolution, n_features, metric)
    condense_partition(cells, partition, metric)
    return cells.condensed()


def merged_cells(parts: list[Condensed], n_fine: int) -> Condensed:
    """Merge the cells of partitions, on the coarsest of their grids."""
    grid, halvings = parts[0].grid, min(part.halvings for part in parts)
    base = Grid(grid.sizes, grid.n_parts >> parts[0].halvings)
    room = max(FIRST_CELLS, *(len(part.points) for part in parts))
    cells = Cells(base, halvings=halvings, n_fine=n_fine, room=room)
    for part in parts:
        cells.merge(part)
    return cells.condensed()
