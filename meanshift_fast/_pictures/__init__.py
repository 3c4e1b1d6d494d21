"""Pictures: what a page shows. Imported only where one is drawn.

    projection.py     rows on the page: columns, principal components, the density of one column
    trajectories.py   the picture of a trace
    rasters.py        rows as markers or as a raster
    colours.py        the clusters' colours, the page's ink
    axes.py           figures, legends, titles

Imports the wings below it, and matplotlib; no face.
"""
