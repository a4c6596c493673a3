"""Work on several threads: compiled loops release the interpreter's lock."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import torch

_SMALL = 200_000
"""Work (matrix elements) below which starting a second thread costs more than it gains."""


def share(solve: Callable[[int, int], object], items: int, elements: int) -> None:
    """Calls `solve(start, stop)` for all items, of so many matrix elements each, on `torch.get_num_threads()`."""
    workers = min(torch.get_num_threads(), 1 + items * elements // _SMALL)
    edges = [items * k // workers for k in range(workers + 1)]
    if workers == 1:
        solve(*edges)
        return
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(solve, edges[:-1], edges[1:]))
