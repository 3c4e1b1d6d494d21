"""The pipeline and its stages: seeds, ascent, modes, labels, and bandwidth rules.

    seeding --> ascent (memo) --> modes --> basins
    bandwidth_rules --> scale_space
    trajectory, of a few points, in NumPy

Imports `_index`, `_input` and `_jit`; knows no estimator.
"""
