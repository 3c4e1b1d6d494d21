"""What a partition of a large table becomes: grid cells, and a priority sample.

    batch or partition --partitions--> grid_cells --> merged --> fit
                             `-------> priority_sample --> bandwidth
    tasks: the same as functions that Dask calls

Imports the folders below (`_cluster`, `_index`, `_input`, `_jit`).
"""
