"""Files: the formats of tables and of images, and atomic writing. Imported only where needed.

    npy_format   csv_format -> text -> dialect   parquet_format   feather_format
          |            |                               |                |
          |            +-----------> arrow <-----------+----------------+
          +------------------------> tables        atomic    archive

    formats (all of these by their suffixes) --> writers        standard_input
    images       regions

Imports `_input`; pyarrow, Pillow, rasterio, scikit-image and Dask where a format needs them.
"""
