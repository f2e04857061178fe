"""Every matrix file of a folder, with the methods that its facts allow; without one, a few generated.

The files are read with `ritzkit.problems.load`, exactly as a user's are. Rectangular matrices are left out
(and named by ``ritzkit solve``).
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import UserError
from .base import Instance, Suite, SuiteOptions

__all__ = ["SUFFIXES", "SUITE", "matrix_files"]

SUFFIXES = (".mtx", ".mtx.gz", ".rb", ".hb", ".npz", ".h5", ".hdf5")
DEFINITE = ("auto", "scipy-cg", "cg", "jacobi-cg", "ic0-cg", "ict-cg", "sa-amg-cg", "direct")
SYMMETRIC = ("auto", "scipy-minres", "minres", "gmres", "ilu0-gmres", "direct")
GENERAL = (
    "auto",
    "scipy-gmres",
    "gmres",
    "bicgstab",
    "ilu0-gmres",
    "ilu2-fgmres",
    "scipy-ilu-gmres",
    "direct",
)


def matrix_files(folder: str | Path) -> list[Path]:
    """All matrix files of a folder, sorted by name.

    Raises
    ------
    UserError
        If it is not a folder, or holds no matrix file.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"--folder {folder}: not a folder")
    files = sorted(p for p in folder.iterdir() if p.name.lower().endswith(SUFFIXES))
    if not files:
        raise UserError(
            f"--folder {folder}: no matrix in it; wanted files such as {', '.join(SUFFIXES[:2])} or {SUFFIXES[4]}"
        )
    return files


def _export() -> Path:
    """Write three generated systems as Matrix Market files to a folder that goes away with the process."""
    from scipy.io import mmwrite

    from ...problems import Anisotropic, ConvectionDiffusion, Poisson

    folder = Path(tempfile.mkdtemp(prefix="ritzkit-files-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    rng = np.random.default_rng(0)
    for name, family in {
        "poisson-48": Poisson((48, 48)),
        "anisotropic-48": Anisotropic(48),
        "convection-48": ConvectionDiffusion(48, peclet=50.0),
    }.items():
        mmwrite(folder / f"{name}.mtx", family.sample(rng).A.tocsr())
    return folder


def _stem(path: Path) -> str:
    name = path.name
    for suffix in sorted(SUFFIXES, key=len, reverse=True):
        if name.lower().endswith(suffix):
            return name[: -len(suffix)]
    return name


def _definite(problem: Any) -> bool:
    """Whether a symmetric matrix may be positive definite; where it is not, methods fail visibly."""
    diagonal = problem.A.tocsr().diagonal()
    return bool(not np.iscomplexobj(diagonal) and (diagonal > 0).all())


def _instance(path: Path) -> Instance | None:
    from ...problems import load

    def make(rng: np.random.Generator) -> Any:
        return load(path)

    try:
        problem = load(path)
    except (ValueError, OSError) as error:
        raise UserError(f"--folder: {' '.join(str(error).split())}") from None
    if problem.A.shape[0] != problem.A.shape[1]:
        return None
    symmetric = bool(problem.A.symmetric)
    solvers = (DEFINITE if _definite(problem) else SYMMETRIC) if symmetric else GENERAL
    kind = "symmetric" if symmetric else "nonsymmetric"
    return Instance(
        f"{_stem(path)}", f"{_stem(path)} ({kind}, n = {problem.A.shape[0]:,})", make, _warm(solvers), solvers
    )


def _warm(solvers: tuple[str, ...]) -> Any:
    def warm(rng: np.random.Generator) -> Any:
        from ...problems import ConvectionDiffusion, Poisson

        return (ConvectionDiffusion(12, peclet=10.0) if solvers is GENERAL else Poisson((12, 12))).sample(rng)

    return warm


def _instances(options: SuiteOptions) -> list[Instance]:
    files = matrix_files(options.folder if options.folder is not None else _export())
    return [instance for instance in map(_instance, files) if instance is not None]


SUITE = Suite("files", "Every matrix of a folder (--folder DIR), or a few generated ones", _instances)
