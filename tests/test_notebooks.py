"""The notebooks run from the first cell to the last, and carry no outputs."""

import asyncio
from pathlib import Path

import nbformat
import pytest
from jupyter_client.manager import start_new_async_kernel
from nbclient import NotebookClient

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
FORGET = "%reset -f"


async def execute_all():
    """Each notebook as it was run, or what ended it; one kernel, whose imports take seconds."""
    manager, client = await start_new_async_kernel(
        kernel_name="python3", startup_timeout=600, cwd=str(ROOT)
    )
    ended = {}
    try:
        for path in NOTEBOOKS:
            notebook = nbformat.read(path, as_version=4)
            notebook.cells.insert(0, nbformat.v4.new_code_cell(FORGET))
            runner = NotebookClient(notebook, km=manager, timeout=600)
            runner.kc = client
            try:
                ended[path] = await runner.async_execute()
            except Exception as error:
                ended[path] = error
    finally:
        client.stop_channels()
        await manager.shutdown_kernel()
    return ended


@pytest.fixture(scope="module")
def ended():
    return asyncio.run(execute_all())


@pytest.mark.filterwarnings("default")  # the client's event loop warns of its own affairs
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_to_its_end(path, ended):
    notebook = ended[path]
    if isinstance(notebook, BaseException):
        raise notebook
    counts = [cell.execution_count for cell in notebook.cells if cell.cell_type == "code"]
    assert len(counts) > 1
    assert counts == list(range(counts[0], counts[0] + len(counts)))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_kept_without_outputs(path):
    cells = nbformat.read(path, as_version=4).cells
    assert not [cell for cell in cells if cell.get("outputs") or cell.get("execution_count")]
