"""Images: mean shift on a lattice of pixels, in the joint domain of position and range.

    checks --> colours --> lattice --> window --> ascent (memo) --> regions --> labels

    pipeline    these stages for an image in memory
    order       slab after slab, and in each block after block of neighbours
    tiles       the same for an image of Dask, tile by tile; `packed` keeps their regions

A neighbourhood in space needs no tree on a lattice: `window` reads the blocks of pixels around a
position, and `cut_blocks` tests the pixels of those at its rim. Images of bytes are pairs of small
integers, `byte_pairs`, which `byte_blocks` tests and adds. `ascent` follows each pixel to its
endpoint, `regions` joins pixels, `prominence` merges what meets at a shallow saddle, and
`small_regions` what is small.

Imports `_jit`, `_input`, `_index` and `_cluster`; scikit-image where colours are converted, Dask
for tiles.
"""
