"""Indexes: rows arranged so that "where does each position shift to?" is answered without a list.

    moment_tree --> traversal --> flat          the closed ball, exact
         |              `-------> soft_cells    cells that the sphere cuts count in part
         |-- sigma_points ------> gaussian      with an error bound
         |-- projected                          many columns, rows near few axes
         |-- kth_neighbors, nearest, density, equal_rows

Imports `_jit` and `_input`.
"""
