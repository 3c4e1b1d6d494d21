"""`explore`: a page that shows the clusters of a table while its bandwidth is changed."""

from argparse import Namespace
from contextlib import suppress

from meanshift_fast._cli.commands import found_bandwidth, opened, print_answer


def explore(arguments: Namespace) -> None:
    """Serve the page until Ctrl-C or, with --once, until it is closed."""
    from meanshift_fast.explore import explore as open_page

    table = opened(arguments)
    parameters = {name: getattr(arguments, name) for name in arguments.parameters}
    if arguments.quantile is not None:
        parameters["bandwidth"] = float(found_bandwidth(arguments, table.read()))
    explorer = open_page(table, browser=arguments.browser, once=arguments.once, **parameters)
    ends = "when the page is closed" if arguments.once else "with Ctrl-C"
    facts = {"address": explorer.url, "columns": table.choice.features, "once": arguments.once}
    print_answer(arguments, facts, f"{arguments.input} at {explorer.url} ; it ends {ends}")
    with suppress(KeyboardInterrupt):
        explorer.wait()
    explorer.close()
