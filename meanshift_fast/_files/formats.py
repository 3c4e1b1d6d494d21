"""The formats of tables by their suffixes: a new one is a module beside this, and a line."""

from collections.abc import Callable, Iterable
from typing import IO, Any, NamedTuple

from meanshift_fast._files.csv_format import Csv, write_csv
from meanshift_fast._files.feather_format import Feather
from meanshift_fast._files.npy_format import Npy, write_npy
from meanshift_fast._files.parquet_format import Parquet, write_parquet
from meanshift_fast._files.tables import File


class Format(NamedTuple):
    """How a format is read, and how it is written.

    ``open`` takes a path, of a text also a `Dialect` and whether its delimiter was given. ``write``
    takes a file and tables of pyarrow's, all with the columns of the first, or arrays where columns
    have no names.
    """

    open: Callable[..., File]
    write: Callable[[IO[bytes], Iterable[Any]], None] | None = None
    delimiter: str = ""
    has_names: bool = True


TABLES = {
    ".csv": Format(Csv, write_csv, delimiter=","),
    ".tsv": Format(Csv, delimiter="\t"),
    ".txt": Format(Csv, delimiter=","),
    ".npy": Format(Npy, write_npy, has_names=False),
    ".npz": Format(Npy, has_names=False),
    ".parquet": Format(Parquet, write_parquet),
    ".feather": Format(Feather),
    ".arrow": Format(Feather),
}
READABLE = tuple(TABLES)
UNNAMED = tuple(form for form in TABLES if not TABLES[form].has_names)
TEXTS = tuple(form for form in TABLES if TABLES[form].delimiter)
WRITABLE = [form for form in TABLES if TABLES[form].write]
FORMATS = tuple(sorted(WRITABLE, key=lambda form: form not in UNNAMED))  # without pyarrow first
