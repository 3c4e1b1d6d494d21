"""The notebooks run from the first cell to the last, and carry no outputs."""

import asyncio
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


async def execute_all():
    """Each notebook as it was run, or what ended it. Two at a time: their kernels start slowly."""
    places = asyncio.Semaphore(2)

    async def execute(path):
        notebook = nbformat.read(path, as_version=4)
        resources = {"metadata": {"path": str(ROOT)}}
        async with places:
            return await NotebookClient(
                notebook, timeout=600, startup_timeout=600, kernel_name="python3",
                resources=resources,
            ).async_execute()  # fmt: skip

    ended = await asyncio.gather(*map(execute, NOTEBOOKS), return_exceptions=True)
    return dict(zip(NOTEBOOKS, ended, strict=True))


@pytest.fixture(scope="module")
def ended():
    return asyncio.run(execute_all())


@pytest.mark.filterwarnings("default")  # the client's event loop warns of its own affairs
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_to_its_end(path, ended):
    notebook = ended[path]
    if isinstance(notebook, BaseException):
        raise notebook
    last = [cell for cell in notebook.cells if cell.cell_type == "code"][-1]
    assert last.execution_count == sum(cell.cell_type == "code" for cell in notebook.cells)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_kept_without_outputs(path):
    cells = nbformat.read(path, as_version=4).cells
    assert not [cell for cell in cells if cell.get("outputs") or cell.get("execution_count")]
