"""Indexes: rows arranged so that the mean of a neighbourhood is found without listing it.

    tree_order --> moment_tree --> traversal --> flat          the closed ball, exact
                        |              `-------> soft_cells    cells that the sphere cuts in part
                        |-- sigma_points ------> gaussian      with an error bound
                        |-- projection --------> projected     many columns, rows near few axes
                        |-- kth_neighbors, nearest, density, epanechnikov, neighbours

    sphere, torus: an index of another space around one of these; acceleration, of its fixed points

    base (the protocols), kernels (flat_kernel, gaussian_kernel; plain_rows for their traces),
    choice (which index), equal_rows, stopping, thresholds
    gaussian_products --> gaussian: shifts of rows that fill many columns, by matrix products
    filled_rows --> expansion, of positions that lie together --> gaussian_products
    gaussian --> gaussian_sums, direct_sums, error_bounds, series
    newton polishes modes
    box_distances: of positions to boxes and leaves, for traversal, gaussian, nearest, neighbours
    kth_neighbors --> kth_search, kth_products, kth_select
    nearest --> nearest_kernels; nearest_products, where columns are many; nearest_across, seams
    projected --> neighbour_list, of rows near a position while it moves little
    singles --> product_levels --> products         rows that fill many columns, by matrix products
                                   products --> ball_bits, ball_sums; product_choice probes

Imports `_jit` and `_input`.
"""
