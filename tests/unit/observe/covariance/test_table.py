"""Tables of covariances: linear between nodes, nearest beyond them and in gaps, positive definite everywhere."""

import gzip
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from sqwirrel import limits
from sqwirrel.errors import InputError
from sqwirrel.observe.covariance import CovarianceTable, files, read_covariance

H, K, L, E = ([-1.0, 0.0, 0.5, 1.0], [0.0, 0.3, 1.0], [0.0, 2.0], [0.0, 5.0, 9.0])
BASE = torch.tensor([[2.0, 0.3, -0.5], [0.3, 1.0, 0.2], [-0.5, 0.2, 4.0]], dtype=torch.float64)


def points(*axes: list[float]) -> Tensor:
    return torch.cartesian_prod(*(torch.tensor(axis, dtype=torch.float64) for axis in axes))


def linear(rows: Tensor) -> Tensor:
    """A covariance that rises evenly along every axis."""
    size = torch.eye(rows.shape[1], dtype=torch.float64)
    size[:3, :3] += BASE
    return size * (10 + rows @ torch.arange(1, rows.shape[1] + 1, dtype=torch.float64))[:, None, None]


def random(rows: int, n: int = 3) -> Tensor:
    a = torch.randn(rows, n, n, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    return a @ a.mT


def spread(table: CovarianceTable, at: list[list[float]]) -> Tensor:
    """At rows of (h, k, E)."""
    x = torch.tensor(at, dtype=torch.float64)
    return table.at(torch.cat((x[:, :2], torch.full((len(x), 1), 7.0, dtype=torch.float64)), 1), x[:, 2])


def test_linear_between_nodes_in_any_order_of_rows() -> None:
    rows = points(H, K, E)
    mixed = rows[torch.randperm(len(rows), generator=torch.Generator().manual_seed(2))]
    table = CovarianceTable(mixed, linear(mixed))
    at = [[-0.3, 0.1, 4.0], [0.7, 0.9, 8.9], [1.0, 1.0, 9.0], [-1.0, 0.0, 0.0]]
    assert torch.allclose(spread(table, at), linear(torch.tensor(at, dtype=torch.float64)), rtol=1e-12)


def test_four_axes() -> None:
    rows = points(H, K, L, E)
    table = CovarianceTable(rows, linear(rows))
    at = torch.tensor([[-0.3, 0.1, 1.5, 4.0], [0.7, 0.9, 0.1, 8.9]], dtype=torch.float64)
    assert torch.allclose(table.at(at[:, :3], at[:, 3]), linear(at), rtol=1e-12)


def test_beyond_the_edges_the_nearest_value_holds() -> None:
    rows = points(H, K, E)
    table = CovarianceTable(rows, random(len(rows)))
    far, near = [[-9.0, 0.3, 99.0], [0.25, 7.0, -3.0]], [[-1.0, 0.3, 9.0], [0.25, 1.0, 0.0]]
    assert torch.equal(spread(table, far), spread(table, near))


def test_a_gap_has_the_covariance_of_its_nearest_node() -> None:
    rows = points(H, K, E)
    matrices = random(len(rows))
    missing = (rows[:, 0] == -1) & (rows[:, 1] > 0.2) & (rows[:, 2] == 5)  # two nodes
    table = CovarianceTable(rows[~missing], matrices[~missing])
    around = [
        x
        for x in range(len(rows))
        if float((rows[x] - torch.tensor([-1, 1.0, 5.0]).double()).abs().sum()) in (1.0, 4.0, 5.0)
    ]
    found = spread(table, [[-1.0, 1.0, 5.0]])[0]
    assert any(torch.equal(found, matrices[x]) for x in around)
    assert torch.equal(
        spread(table, [[0.0, 1.0, 5.0]])[0], matrices[(rows == torch.tensor([0.0, 1.0, 5.0]).double()).all(1)][0]
    )


def test_shapes_of_any_rank_and_positive_definite() -> None:
    rows = points(H, K, E)
    table = CovarianceTable(rows, random(len(rows)))
    seed = torch.Generator().manual_seed(3)
    q, energy = (torch.randn(*shape, generator=seed, dtype=torch.float64) * 5 for shape in ((40, 25, 3), (40, 25)))
    found = table.at(q, energy)
    assert found.shape == (40, 25, 3, 3)
    assert int((torch.linalg.cholesky_ex(found).info != 0).sum()) == 0


def test_one_value_along_an_axis() -> None:
    rows = points(H, [0.5], E)
    assert torch.allclose(
        spread(CovarianceTable(rows, linear(rows)), [[0.2, 3.0, 1.0]]),
        linear(torch.tensor([[0.2, 0.5, 1.0]]).double()),
        rtol=1e-7,
    )


def test_a_hundred_thousand_places_in_half_a_second() -> None:
    rows = points(*(torch.linspace(-1, 1, n).tolist() for n in (23, 23, 25)))
    table = CovarianceTable(rows, random(len(rows)))
    x = torch.rand(100_000, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    best = 9.0
    for _ in range(3):
        start = time.process_time()
        table.at(x, x[:, 2])
        best = min(best, time.process_time() - start)
    assert best < 0.5


def refused(tmp_path: Path, content: str | bytes, name: str = "table.txt") -> str:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError) as error:
        read_covariance(path)
    return str(error.value)


ROW = "0 0 {e} 1 0 0 0 1 0 0 0 1\n"


def test_text_and_gzip_are_read_alike(tmp_path: Path) -> None:
    rows = points(H, K, E)
    matrices = random(len(rows))
    plain = tmp_path / "table.txt"
    np.savetxt(plain, np.hstack((rows.numpy(), matrices.flatten(1).numpy())), fmt="%.17g", header="Qh Qk E ...")
    (tmp_path / "table.txt.gz").write_bytes(gzip.compress(plain.read_bytes()))
    for name in ("table.txt", "table.txt.gz"):
        assert torch.equal(read_covariance(tmp_path / name).covariance.reshape(-1, 3, 3), matrices)


def test_bad_tables_are_refused_in_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good = ROW.format(e=0) + ROW.format(e=1)
    with pytest.raises(InputError, match="there is no file"):
        read_covariance(tmp_path / "no.txt")
    assert "holds no rows" in refused(tmp_path, "# only a comment\n")
    assert "has 4 columns; expected 12" in refused(tmp_path, "1 2 3 4\n")
    assert "is no table of numbers: could not convert string 'x'" in refused(
        tmp_path, good + "0 0 x 1 0 0 0 1 0 0 0 1\n"
    )
    assert "is no table of numbers: the number of columns changed" in refused(tmp_path, good + "1 2 3\n")
    assert "gives one of its points twice" in refused(tmp_path, good + ROW.format(e=1))
    assert "not finite" in refused(tmp_path, good + ROW.format(e="nan"))
    assert "[0.0, 0.0, 2.0] (rlu, meV) is not symmetric" in refused(tmp_path, good + "0 0 2 1 0 0 0 -1 0 0 0 1\n")
    assert "do not lie on a grid: there are 30 x 30 x 1" in refused(
        tmp_path, "".join(f"{n} {n} 0 1 0 0 0 1 0 0 0 1\n" for n in range(30))
    )
    assert "is binary from byte 2 on" in refused(tmp_path, b"\xff\xfe\x00")
    assert "cannot be read" in refused(tmp_path, gzip.compress(good.encode())[:-12])
    for module in (files, limits):
        monkeypatch.setattr(module, "LONGEST", 2**20)
    assert "holds more than 1048576 bytes of text" in refused(tmp_path, gzip.compress(b" " * (2**20 + 1)))
