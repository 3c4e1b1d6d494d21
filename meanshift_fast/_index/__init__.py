"""Indexes: rows arranged so that the mean of a neighbourhood is found without listing it.

    tree_order --> moment_tree --> traversal --> flat          the closed ball, exact
                        |              `-------> soft_cells    cells that the sphere cuts in part
                        |-- sigma_points ------> gaussian      with an error bound
                        |-- projection --------> projected     many columns, rows near few axes
                        |-- kth_neighbors, nearest, density

Imports `_jit` and `_input`.
"""
