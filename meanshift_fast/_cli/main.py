"""The command line: `meanshift-fast cluster | predict | bandwidth | trace | explore | ...`.

Exit codes: 0 for success, 1 for bad data, a missing optional package or a closed pipe, 2 for wrong
usage, 130 for Ctrl-C, 143 for SIGTERM and 129 for a terminal that was closed. Errors are one line
on stderr, never a traceback.
"""

import argparse
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import meanshift_fast
from meanshift_fast import MeanShift
from meanshift_fast._cli import commands, demo, explore, segment, signals
from meanshift_fast._cli.arguments import (
    add_metric,
    add_parameters,
    add_quantile,
    choices,
    length,
    lengths,
    n_jobs,
    names,
    number,
    one_character,
    output_file,
    png,
    table_file,
    whole,
)
from meanshift_fast._cli.image_options import add_segment
from meanshift_fast._cli.info import info
from meanshift_fast._cli.output import print_note
from meanshift_fast._cli.parser import SHELLS, Parser, PrintCompletion
from meanshift_fast._cli.places import add_degrees
from meanshift_fast._cli.places import clash as clash_of_metrics
from meanshift_fast._files.atomic import real_path
from meanshift_fast._files.formats import READABLE, UNNAMED
from meanshift_fast._input.messages import quoted
from meanshift_fast._input.scaling import CELL_WIDTH, CELL_WIDTHS


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; None takes the process's own arguments.

    Returns 0, 1 or 130, for `sys.exit`. Raises SystemExit with code 2 on wrong usage, with 0 after
    ``--help`` and ``--version``, with 143 or 129 where a signal ended the command.
    """
    code: object = None
    try:
        signals.begin()
        return _run(argv)
    except KeyboardInterrupt:
        print_note("interrupted", "\n")
        return 130
    except SystemExit as ended:
        code = ended.code
        raise
    finally:
        signals.end(code)


def _run(argv: Sequence[str] | None) -> int:
    """Run one command, and print its error, if any, in a line."""
    try:
        arguments = _parser().parse_args(argv)
        if problem := _clash(arguments):
            arguments.parser.error(problem)
        with warnings.catch_warnings(), commands.spooled(arguments):
            warnings.simplefilter("always", UserWarning)
            warnings.showwarning = _show_warning
            arguments.command(arguments)
    except BrokenPipeError:
        # stdout is closed. What Python still buffers would fail once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (ValueError, ImportError, OSError, MemoryError) as error:
        print_note(_error_text(error))
        return 1
    return 0


def _error_text(error: Exception) -> str:
    """The text of an error; without its number where it is one of the operating system."""
    if isinstance(error, OSError) and error.filename is not None:
        return f"cannot open {error.filename}: {error.strerror}"
    return str(error) or type(error).__name__


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    """Print a warning as one line on stderr."""
    print_note(f"warning: {message}")


def _parser() -> Parser:
    """The parser of all commands."""
    parser = Parser(
        prog="meanshift-fast",
        description="Mean shift clustering with scikit-learn's own answer.",
        epilog="Formats, examples and exit codes: the manual's page guides/command_line.",
    )
    parser.add_argument(
        "--version", action="version", version=f"meanshift-fast {meanshift_fast.__version__}"
    )
    parser.add_argument(
        "--print-completion",
        action=PrintCompletion,
        choices=SHELLS,
        metavar="SHELL",
        help=f"print the script with which a shell completes options: {', '.join(SHELLS)}",
    )
    parsers = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    def add(name: str, command: Callable[[argparse.Namespace], None], does: str) -> Any:
        """Add a command, with what it does as its help."""
        added = parsers.add_parser(name, help=does, description=f"{does[0].upper()}{does[1:]}.")
        added.set_defaults(command=command, parser=added)
        added.is_command = True
        return added

    _add_cluster(add("cluster", commands.cluster, "cluster the rows of a file, and label them"))
    _add_predict(add("predict", commands.predict, "label the rows of a file by a model"))
    _add_bandwidth(add("bandwidth", commands.bandwidth, "estimate the bandwidth of a file's rows"))
    _add_trace(add("trace", commands.trace, "follow one row to its mode, step by step"))
    _add_explore(add("explore", explore.explore, "choose a bandwidth by looking, in a browser"))
    add_segment(add("segment", segment.segment, "segment an image, and label its pixels"))
    _add_demo(
        add("demo", demo.run, "show the pipeline on a table, then cluster and segment a photograph")
    )
    add("warmup", lambda _: demo.warm_up(), "compile the kernels, or load them from the cache")
    about = add("info", info, "show versions, threads and the cache folder")
    about.add_argument("--json", action="store_true", help="answer in JSON, on one line")
    return parser


def _add_cluster(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "In the manual: guides/bandwidth, guides/noise, guides/command_line."
    _add_input(parser)
    _add_weight_column(parser)
    _add_output(parser)
    parser.add_argument(
        "--centers", type=table_file, metavar="FILE", help="write the centres too, in label order"
    )
    parser.add_argument(
        "--model", type=Path, metavar="FILE", help="write the model too, for `predict`"
    )
    add_parameters(parser, MeanShift, lengths)
    parser.add_argument(
        "--scale",
        action="store_true",
        help="measure each column in its standard deviation, and the bandwidth too",
    )
    parser.add_argument(
        "--stream",
        action=argparse.BooleanOptionalAction,
        help="read batch by batch, and fit the points of cells (default: where the rows would not "
        "fit in half of the free memory)",
    )
    parser.add_argument(
        "--resolution",
        type=number("resolution", [CELL_WIDTHS]),
        default=CELL_WIDTH,
        metavar="X",
        help="in a stream, no cell is wider than so many bandwidths (default: %(default)s)",
    )


def _add_predict(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", type=Path, metavar="MODEL", help="from `cluster --model`")
    _add_input(parser)
    add_degrees(parser)
    _add_output(parser)


def _add_bandwidth(parser: argparse.ArgumentParser) -> None:
    _add_input(parser)
    _add_weight_column(parser)
    parser.add_argument(
        "--method",
        choices=["quantile", *choices("bandwidth")],
        default="quantile",
        help="mean distance to the k-th neighbour, or a rule of thumb (default: %(default)s)",
    )
    add_quantile(parser, default=0.3)
    add_metric(parser)
    parser.add_argument(
        "--n-samples", type=whole("n_samples", 1), metavar="N", help="look at N rows only"
    )
    parser.add_argument(
        "--random-state",
        type=whole("random_state", 0),
        default=0,
        metavar="N",
        help="what draws the rows (default: %(default)s)",
    )


def _add_trace(parser: argparse.ArgumentParser) -> None:
    parser.epilog = (
        "Every step looks at all rows: an npy file of float64 without weights stays on disk and "
        "is mapped, all else is held in memory, at 8 bytes a number."
    )
    _add_input(parser)
    _add_weight_column(parser)
    parser.add_argument(
        "--row", type=whole("row", 0), required=True, metavar="N", help="which; the first is 0"
    )
    add_parameters(parser, meanshift_fast.trace, length)


def _add_explore(parser: argparse.ArgumentParser) -> None:
    _add_input(parser)
    _add_weight_column(parser)
    about = "columns of the input that go before the labels that the page saves"
    _add_names(parser, "--keep", about)
    parser.add_argument(
        "--once", action="store_true", help="end when the page is closed, not with Ctrl-C"
    )
    parser.add_argument(
        "--browser",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="open a browser (default: yes); the address is printed either way",
    )
    parser.set_defaults(scale=False)
    add_parameters(parser, MeanShift, length, bin_seeding=True)


def _add_demo(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--compare",
        action="store_true",
        help="run scikit-learn on the same pixels too, and OpenCV's filter where it is installed",
    )
    parser.add_argument(
        "--output",
        type=png,
        default=Path("meanshift_fast_demo.png"),
        metavar="PNG",
        help="where the picture goes (default: %(default)s)",
    )
    _add_n_jobs(parser)


def _add_input(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "input",
        type=Path,
        metavar="INPUT",
        help=f"a file that ends in {', '.join(READABLE)}, texts also with .gz, .bz2 or .zst after "
        "it; a folder of parquet files; - for standard input, with --format",
    )
    parser.add_argument(
        "--format",
        choices=[form.removeprefix(".") for form in READABLE],
        help="what the input is, whatever its name ends in",
    )
    _add_dialect(parser.add_argument_group("texts"))
    parser.add_argument(
        "--drop-missing",
        action="store_true",
        help="leave out rows with missing values, which are errors otherwise",
    )
    about = "the features, by name or, in npy, by number (default: all columns of numbers)"
    _add_names(parser, "--columns", about, None)
    _add_names(parser, "--exclude", "columns that are none of the features")
    _add_n_jobs(parser)
    parser.add_argument("--json", action="store_true", help="answer in JSON, on one line")


def _add_dialect(group: Any) -> None:
    group.add_argument(
        "--delimiter",
        type=one_character,
        metavar="C",
        help="what separates cells (default: what a first line sep=; names, else a comma; in tsv, "
        "a tab)",
    )
    group.add_argument(
        "--decimal", choices=[".", ","], default=".", help="the decimal mark (default: %(default)s)"
    )
    group.add_argument(
        "--header",
        action=argparse.BooleanOptionalAction,
        help="whether the first line names the columns; if not, they are 0, 1, ... (default: yes, "
        "and a line of numbers is an error)",
    )
    group.add_argument(
        "--comment",
        type=one_character,
        metavar="C",
        help="skip lines that begin with this character",
    )
    group.add_argument(
        "--encoding", default="utf-8", metavar="NAME", help="of the text (default: %(default)s)"
    )
    _add_names(group, "--na", "words that mean missing, besides empty cells, NA, null and the like")


def _add_names(group: Any, flag: str, about: str, default: Sequence[str] | None = ()) -> None:
    group.add_argument(flag, type=names, metavar="A,B", default=default, help=about)


def _add_weight_column(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--weight-column", metavar="W", help="a row of weight w is w rows")


def _add_output(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-o",
        "--output",
        type=output_file,
        metavar="OUTPUT",
        help="where the labels go: an npy, csv or parquet file; - for csv on standard output",
    )
    about = "columns of the input that go into a csv or parquet output, before the labels"
    _add_names(parser, "--keep", about)
    parser.add_argument(
        "--missing-label",
        choices=["empty", "-1"],
        default="empty",
        help="of rows that --drop-missing leaves out (default: %(default)s; in npy always -1)",
    )


def _add_n_jobs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--n-jobs", type=n_jobs, metavar="N", help="threads; -1 and the default: all of them"
    )


def _clash(arguments: argparse.Namespace) -> str | None:
    """Describe options or files that exclude each other; None where there are none."""
    if hasattr(arguments, "boundaries"):
        if str(arguments.input) == "-":
            return "segment reads an image from a file, got -; name the file"
        written = [arguments.output, arguments.boundaries, arguments.regions]
        paths = [real_path(path) for path in (arguments.input, *filter(None, written))]
        is_clash = len(set(paths)) < len(paths)
        return "INPUT, --output, --boundaries and --regions must differ" if is_clash else None
    if str(getattr(arguments, "input", "")) == "-" and arguments.format is None:
        return "- needs --format, as standard input has no name"
    method = getattr(arguments, "method", None)
    if method in commands.OF_WHOLE_TABLES and arguments.n_samples is not None:
        return f"--n-samples is for the other methods; leave it out with --method {method}"
    return clash_of_metrics(arguments) or (
        _label_clash(arguments) if hasattr(arguments, "missing_label") else None
    )


def _label_clash(arguments: argparse.Namespace) -> str | None:
    """The same for commands that write labels."""
    if len({"label", *arguments.keep}) <= len(arguments.keep):
        given = quoted(arguments.keep)
        return f"--keep must name different columns, none of them label, got {given}"
    is_read, is_written = [arguments.input], [arguments.output]
    if hasattr(arguments, "centers"):
        is_written += [arguments.centers, arguments.model]
    else:
        is_read.append(arguments.model)
    if not any(is_written):
        others = ", or --centers, or --model" if hasattr(arguments, "centers") else ""
        return f"the following arguments are required: -o/--output{others}"
    if arguments.keep and arguments.output and arguments.output.suffix.lower() in UNNAMED:
        return f"--keep needs a csv or parquet output, got {arguments.output}"
    return _same_file(is_read, [path for path in is_written if path and path != Path("-")])


def _same_file(is_read: Sequence[Path], is_written: Sequence[Path]) -> str | None:
    """Describe a file that is both read and written, or written twice; None where there is none."""
    read, written = ([real_path(path) for path in paths] for paths in (is_read, is_written))
    if len(set(written)) < len(written):
        return "--output, --centers and --model must be different files"
    for path in written:
        if not {path, *path.parents}.isdisjoint(read):
            return f"{path} is read, or lies in the folder that is; write to another place"
    return None
