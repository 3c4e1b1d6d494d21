"""Pictures: what a page shows. Imported only where one is drawn.

    fit.py            the picture of a fit, in layers
    trajectories.py   the picture of a trace
    charts.py         rounds of a fit, clusters at each bandwidth
    prominences.py    each mode at its density and its saddle's
    projection.py     rows on the page: columns, principal components, the density of one column
    spaces.py         the same of other metrics: a map in degrees, directions, columns that wrap
    rasters.py        rows as markers or as a raster
    colours.py        the clusters' colours, the page's ink
    axes.py           figures, titles
    legends.py        where a legend hides no data
    slots.py          the room of axes in a grid

Imports the folders below, and matplotlib; no public module.
"""
