"""Synthetic records in the real format: a small benchmark whose every number is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ritzkit.reports.fields import encode
from ritzkit.reports.records import Recorder, environment, thin

CONFIG = {"threads": 2, "seed": 0, "repeats": 3, "rtol": 1e-8, "quick": True, "environment": "e"}

# solver: (decay per product, set-up seconds, seconds per product, external)
METHODS = {
    "scipy-cg": (0.95, 0.0, 3e-3, True),
    "cg": (0.95, 0.0, 1e-3, False),
    "jacobi-cg": (0.945, 0.0002, 1.1e-3, False),
    "ic0-cg": (0.86, 0.01, 2.2e-3, False),
    "mic-cg": (0.68, 0.01, 2.2e-3, False),
    "sa-amg-cg": (0.25, 0.25, 9e-3, False),
    "pyamg-sa-cg": (0.27, 0.26, 11e-3, True),
    "direct": (1e-12, 0.4, 20e-3, False),
}


def solve_record(
    suite: str = "poisson",
    problem: str = "poisson-2d-64",
    solver: str = "cg",
    repeat: int = 0,
    *,
    setup: float = 0.0,
    solve: float = 1.0,
    products: int = 10,
    solved: bool = True,
    external: bool = False,
    label: str | None = None,
    decay: float = 0.1,
) -> dict:
    count = np.arange(products + 1)
    residuals = decay**count
    if not solved:
        residuals = np.maximum(residuals, 3e-3)
    seconds = setup + solve * count / products
    reached = {}
    for target in ("1e-4", "1e-6", "1e-8"):
        below = np.flatnonzero(residuals <= float(target))
        reached[target] = (
            {"products": int(count[below[0]]), "seconds": float(seconds[below[0]])} if below.size else None
        )
    record = {
        "kind": "solve",
        "suite": suite,
        "problem": problem,
        "label": label or problem,
        "family": "poisson",
        "parameters": {"family": "poisson", "shape": (64, 64)},
        "n": 4096,
        "nnz": 20224,
        "environment": "e",
        "seed": 0,
        "threads": 2,
        "rtol": 1e-8,
        "repeats": 3,
        "repeat": repeat,
        "first_run_seconds": 0.5,
        "solver": solver,
        "title": solver,
        "solver_parameters": {},
        "external": external,
        "iterations": products,
        "matvecs": products,
        "psolves": products,
        "info": 0 if solved else 1,
        "outcome": "CONVERGED" if solved else "STAGNATION",
        "text": "done" if solved else "the residual no longer falls",
        "residual": 9e-9 if solved else 3e-3,
        "solved": solved,
        "setup_seconds": setup,
        "solve_seconds": solve,
        "reached": reached,
        "memory_bytes": 1000 * products,
    }
    record["history"] = thin({"residual": residuals, "products": count, "seconds": seconds})
    return record


def write_benchmark(path: Path) -> Path:
    rng = np.random.default_rng(7)
    with Recorder(path, CONFIG) as recorder:
        recorder.add_environment(environment(2))
        for suite, names in {
            "poisson": [
                "Poisson 2-D, 192 \N{MULTIPLICATION SIGN} 192",
                "Poisson 3-D, 32 \N{MULTIPLICATION SIGN} 32 \N{MULTIPLICATION SIGN} 32",
                "Obstacles (balls) 2-D, 192 \N{MULTIPLICATION SIGN} 192",
            ],
            "diffusion": ["Darcy flow, two materials (12/3), 128 \N{MULTIPLICATION SIGN} 128"],
        }.items():
            for number, label in enumerate(names):
                problem = f"{suite}-{number}"
                stretch = [1.0, 0.4, 1.3][number]
                for repeat in range(3):
                    for solver, (decay, setup, cost, external) in METHODS.items():
                        solved = not (solver == "scipy-cg" and number == 2)
                        products = max(1, round(np.log(1e-8) / np.log(decay) * stretch))
                        record = solve_record(
                            suite,
                            problem,
                            solver,
                            repeat,
                            setup=setup * (1 + 0.02 * repeat),
                            solve=cost * products,
                            products=products,
                            solved=solved,
                            external=external,
                            label=label,
                            decay=1e-8 ** (1 / products) * 0.999,
                        )
                        if solved or repeat == 0:
                            recorder.add(f"{problem}/{solver}/{repeat}", record)
                x, y = np.meshgrid(np.linspace(0, 1, 64), np.linspace(0, 1, 64), indexing="ij")
                field = np.sin(np.pi * x) * np.sin(2 * np.pi * y) * 2e-3
                hole = (x - 0.4) ** 2 + (y - 0.6) ** 2 < 0.02
                field[hole] = np.nan
                errors = [
                    {
                        "solver": s,
                        "relative_error": 10.0 ** -(2 + k),
                        "products": 10,
                        "field": encode(np.where(hole, np.nan, rng.standard_normal((64, 64)) * 10.0 ** -(5 + k))),
                    }
                    for k, s in enumerate(["cg", "mic-cg", "sa-amg-cg"])
                ]
                recorder.add(
                    f"{problem}/picture",
                    {
                        "kind": "picture",
                        "suite": suite,
                        "problem": problem,
                        "label": label,
                        "n": 4096,
                        "solution": {"field": encode(field)},
                        "errors": errors,
                        "residual": 1e-4,
                        "parameters": {},
                    },
                )
        for name, label, target, ours, theirs in [
            ("spmv", "Product A x, 7 points, 80³", 1.5, 1e-3, 2e-3),
            ("tri", "Lower triangular solve, 7 points, 80³", 20.0, 1e-3, 1.5e-2),
        ]:
            recorder.add(
                name,
                {
                    "kind": "kernel",
                    "suite": "kernels",
                    "problem": name,
                    "label": label,
                    "ours": "ours",
                    "theirs": "SciPy",
                    "target": target,
                    "ours_seconds": [ours] * 3,
                    "theirs_seconds": [theirs] * 3,
                    "deviation": 0.0,
                    "same_answer": True,
                    "threads": 2,
                    "environment": "e",
                },
            )
    return path


@pytest.fixture
def record_of():
    return solve_record


@pytest.fixture
def config() -> dict:
    return dict(CONFIG)


@pytest.fixture(scope="session")
def benchmark_records(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_benchmark(tmp_path_factory.mktemp("benchmark") / "records.jsonl")
