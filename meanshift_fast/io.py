"""Tables in files: arrays, text, parquet and arrow, in the order of the rows.

open_table(path) -> Table -- read() ----> one Batch, all rows
-- parts() ---> Batch after Batch, each of bounded size
-- batches() -> the same as arrays, or as (array, weights)
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from meanshift_fast._files.atomic import check_source
from meanshift_fast._files.dialect import Dialect
from meanshift_fast._files.formats import READABLE, TABLES, TEXTS
from meanshift_fast._files.tables import (
    MAX_BATCH_VALUES,
    Batch,
    Choice,
    File,
    check_names,
    column_list,
    import_pyarrow,
)
from meanshift_fast._files.text import is_compressed, named_delimiter
from meanshift_fast._input.messages import cut, quoted
from meanshift_fast._input.scaling import is_number

_SPREADSHEETS = (".xlsx", ".xls", ".ods")


@dataclass(frozen=True)
class Table:
    """A table in a file, with its columns chosen and its rows unread; made by `open_table`.

    Attributes
    ----------
    path : Path
        The file, or the folder of parquet files.
    choice : Choice
        Its columns.
    n_rows : int
        How many rows; in text and arrow files a guess, from the first lines or rows.
    has_names : bool
        Whether the columns have names, not only numbers.
    left_out : dict of str to str
        The columns that were left out because they hold no numbers, and what each holds; empty
        where the features were named.
    options : dict
        The arguments that `open_table` was given besides the path, without those that are defaults.
    """

    path: Path
    choice: Choice
    n_rows: int
    has_names: bool
    left_out: dict[str, str]
    options: dict[str, Any]
    _file: File
    in_degrees: ClassVar[bool] = False  # of the command line, which reads them as radians

    def parts(self, most_values: int = MAX_BATCH_VALUES) -> Iterator[Batch]:
        """Read the rows in parts of at most so many values (and at least one row) each.

        Raises
        ------
        ValueError
            Where a value is no finite number, the file is broken, or there are no rows.
        """
        n_rows = n_whole = 0
        for part in self._file.parts(self.choice, most_values):
            if part.weights is not None and (part.weights < 0.0).any():
                row = int(np.argmax(part.weights < 0.0))
                raise ValueError(
                    f"{self.path}: column {quoted(self.choice.weight)} must hold weights of at "
                    f"least 0, got {part.weights[row]} at row {n_rows + part.row_of(row)}"
                )
            n_rows += part.n_rows
            n_whole += len(part.X)
            if part.n_rows:
                yield part
        if n_whole == 0:
            which = " without missing values" if n_rows else ""
            raise ValueError(f"{self.path} has no rows{which}; there is nothing to cluster")

    def batches(self) -> Iterator[Any]:
        """Read the rows as arrays or, where there is a weight column, (array, weights) tuples."""
        for part in self.parts():
            if len(part.X):
                yield part.X if part.weights is None else (part.X, part.weights)

    def read(self) -> Batch:
        """Read all rows; an npy file without weights is mapped, and read as it is used."""
        parts = list(self.parts(np.iinfo(np.int64).max))
        if len(parts) == 1:
            return parts[0]
        X, weights, kept, missing = zip(*parts, strict=True)
        return Batch(
            np.concatenate(X),
            np.concatenate(weights) if self.choice.weight is not None else None,
            import_pyarrow().concat_tables(kept) if self.choice.keep else None,
            np.concatenate(missing) if self.choice.drop_missing else None,
        )


def open_table(
    path: str | Path,
    *,
    columns: str | Sequence[str] | None = None,
    weight_column: str | None = None,
    keep: str | Sequence[str] = (),
    exclude: str | Sequence[str] = (),
    format: str | None = None,
    delimiter: str | None = None,
    decimal: str = ".",
    header: bool | None = None,
    comment: str | None = None,
    encoding: str = "utf-8",
    na: str | Sequence[str] = (),
    drop_missing: bool = False,
) -> Table:
    """Look into a file and choose its columns.

    Read more in :doc:`/guides/command_line`.

    Parameters
    ----------
    path : str or Path
        A file that ends in .npy, .npz (of one array), .csv, .tsv, .txt, .parquet, .feather or
        .arrow, texts also with .gz, .bz2 or .zst after it; or a folder of parquet files, which are
        one table in the order of their names, numbers in them counted as numbers.
    columns : str or sequence of str, default=None
        The features, by name, or by number from 0 in an npy file. None: all columns of numbers
        but the weights and those to keep.
    weight_column : str, default=None
        The column that holds the rows' weights.
    keep : str or sequence of str, default=()
        Columns to hand through unread.
    exclude : str or sequence of str, default=()
        Columns that are none of the features.
    format : str, default=None
        What the file is, as "csv", whatever its name ends in.
    delimiter : str, default=None
        What separates the cells of a text; a space stands for any number of them. None: what a
        first line such as ``sep=;`` names, else a comma, in .tsv a tab.
    decimal : {".", ","}, default="."
        The decimal mark of a text.
    header : bool, default=None
        Whether the first line of a text names the columns. If not, their names are their numbers.
        None: it does, and one of numbers, which are seldom names, is an error.
    comment : str, default=None
        Lines of a text that begin with this character are skipped, but not within a quoted cell.
    encoding : str, default="utf-8"
        The encoding of a text.
    na : str or sequence of str, default=()
        Words of a text that mean missing, besides empty cells, NA, null and the like.
    drop_missing : bool, default=False
        Whether rows with missing values, which a NaN is too, are dropped. If not, they are errors.
        ``missing`` of a batch has their places.

    Returns
    -------
    Table
        Its rows are still in the file: ``read()`` gives them all, ``batches()`` in batches.

    Raises
    ------
    OSError
        If there is no such file, or it cannot be read.
    ValueError
        If it is not of its format, has no such columns, or an option is for another format.
    ImportError
        If the format needs pyarrow and it is not installed.

    Warns
    -----
    UserWarning
        If points among the numbers of a text with semicolons or tabs may mark thousands.

    See Also
    --------
    meanshift_fast.stream.fit_batches : Takes ``table.batches``.

    Notes
    -----
    A csv column holds numbers if its first value is one. Cells that are empty or mean it (such as
    NA and null), a NaN, an infinity and a number with a comma leave that to those below them. An
    index that pandas left in a parquet file is no column unless it is named.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from meanshift_fast.io import open_table
    >>> with TemporaryDirectory() as folder:
    ...     np.save(f"{folder}/points.npy", [[1.0, 2.0], [3.0, 4.0]])
    ...     open_table(f"{folder}/points.npy", columns=["1"]).read().X.tolist()
    [[2.0], [4.0]]
    """
    columns = None if columns is None else _texts(columns)
    keep, exclude, na = _texts(keep), _texts(exclude), _texts(na)
    weight_column = None if weight_column is None else str(weight_column)
    options = _given(locals())
    path = path if isinstance(path, Path) else Path(path)
    dialect = Dialect(
        delimiter or "", decimal, header is not False, comment or "", encoding, tuple(na),
        is_header_given=bool(header),
    )  # fmt: skip
    file = _opened(path, format, dialect)
    choice, left_out = _chosen(path, file, columns, weight_column, keep, exclude)
    choice = choice._replace(drop_missing=drop_missing)
    check_names(path, [*choice.all, *exclude], file.names)
    if len(set(choice.features)) < len(choice.features):
        raise ValueError(f"columns must differ, got {cut(', '.join(choice.features))}")
    if weight_column in choice.features:
        raise ValueError(
            f"the weight column must be none of the features, got {quoted(weight_column)} as both; "
            "leave it out of the columns to cluster by, or cluster without weights"
        )
    file.check(choice)
    return Table(path, choice, file.n_rows, file.has_names, left_out, options, file)


def _texts(given: Any) -> list[str]:
    """Names or words as texts; one alone is a list of one, and a number is its digits."""
    is_one = isinstance(given, str) or is_number(given)
    return [str(given)] if is_one else [str(item) for item in given]


def _given(arguments: dict[str, Any]) -> dict[str, Any]:
    """Of the arguments of `open_table`, those that are options and not their defaults."""
    defaults = open_table.__kwdefaults__ or {}
    return {
        name: value
        for name, value in arguments.items()
        if name in defaults and value != defaults[name] and value != []
    }


def format_of(path: Path, format: str | None = None) -> str:
    """The suffix that says what a file is, without that of a compression."""
    if format is not None:
        return f".{format}"
    if path.is_dir():
        return ".parquet"
    form = path.suffix.lower()
    if is_compressed(path):
        form = Path(path.stem).suffix.lower()
        form = form if form in TEXTS else path.suffix.lower()
    return form


def _opened(path: Path, format: str | None, dialect: Dialect) -> File:
    """Open a file by the format that its name ends in."""
    check_source(path)
    form = format_of(path, format)
    if form in TEXTS:
        named = named_delimiter(path, dialect.encoding)
        given = dialect.delimiter or named
        dialect = dialect._replace(
            delimiter=given or TABLES[form].delimiter, has_sep_line=bool(named)
        )
        return TABLES[form].open(path, dialect.checked(), bool(given))
    if format is not None and form not in READABLE:
        known = ", ".join(suffix.removeprefix(".") for suffix in READABLE)
        raise ValueError(f"format must be one of {known}, got {quoted(format)}")
    if form not in TABLES:
        remedy = "; save the sheet as CSV first" if form in _SPREADSHEETS else ""
        raise ValueError(
            f"{path} must end in {', '.join(READABLE)} or be a folder of parquet files, "
            f"got {quoted(path.suffix)}{remedy}"
        )
    if dialect._replace(is_header_given=False) != Dialect(""):
        raise ValueError(
            f"delimiter, decimal, header, comment, encoding and na are for text, got {path}; "
            "leave them out"
        )
    return TABLES[form].open(path)


def _chosen(
    path: Path,
    file: File,
    columns: list[str] | None,
    weight: str | None,
    keep: list[str],
    exclude: list[str],
) -> tuple[Choice, dict[str, str]]:
    """Choose the features where none are named, and list the columns left out for it."""
    if columns is not None:
        excluded = set(exclude)
        columns = [name for name in columns if name not in excluded]
        if not columns:
            raise ValueError(
                "columns must name at least one column that exclude leaves, got none; "
                f"{column_list(file.names)}"
            )
        return Choice(columns, weight, keep), {}
    others = {weight, *keep, *exclude}
    features = [name for name in file.numeric if name not in others]
    if not features:
        kept = "those to keep are features only where --columns names them too; "
        remedy = kept if set(keep) & set(file.numeric) else ""
        raise ValueError(
            f"{path} has no column of numbers to cluster by; {remedy}{column_list(file.names)}"
        )
    left_out = {name: held for name, held in file.others.items() if name not in others}
    return Choice(features, weight, keep), left_out
