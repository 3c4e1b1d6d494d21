"""The pipeline and its stages: seeds, ascent, modes, labels, and bandwidth rules.

    model --> pipeline: the stages on one page, of inputs; stages logs them

    bandwidth_rules --> scale_space
    seeding, of bins and grid --> ascent (coalescing, memo, history) --> modes --> basins
    ball_removal: of many modes; labelling, by mode
    prominence and shapes: modes merged across shallow saddles
    small_tables: the same steps in one call
    shared_bins: a warning where a bin holds several clusters
    trajectory: of a few points, in NumPy

Imports `_index`, `_input` and `_jit`; no estimator.
"""
