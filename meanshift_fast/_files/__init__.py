"""Files: the formats of tables, and atomic writing. Imported only where needed.

    npy_format   csv_format -> text -> dialect   parquet_format   feather_format
          |            |                               |                |
          |            +-----------> arrow <-----------+----------------+
          +------------------------> tables        writers    atomic    archive

Imports `_input`; pyarrow where a format needs it.
"""
