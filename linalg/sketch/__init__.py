"""Random sketches: linear maps of shape (d, m) that keep the geometry of a small subspace.

Every sketch is an `Operator` with an exact adjoint, takes arrays, sparse matrices, operators and tensors, and is one
fixed map for each `rng`. Which one: `SparseSignSketch` to build preconditioners (fastest), `SRTTSketch` or `SRHTSketch`
where the sketched problem itself is the answer (dense, hence the guarantee in the maximum norm), `GaussianSketch` as the
yardstick, `TensorSRHT` for tensor products, `VerySparseProjection` for embeddings of many points, `CountSketch` to see what
goes wrong.
"""

from .base import AdjointSketch, Sketch
from .gaussian import GaussianSketch
from .quality import (
    CoordinateStatistics,
    coordinate_deviations,
    coordinate_statistics,
    embedding_distortion,
    linf_experiment,
    recommended_rows,
)
from .sparse import CountSketch, SparseSignSketch, VerySparseProjection
from .transform import CirculantSketch, SRHTSketch, SRTTSketch, TensorSRHT, fwht

__all__ = [
    "AdjointSketch",
    "CirculantSketch",
    "CoordinateStatistics",
    "CountSketch",
    "GaussianSketch",
    "SRHTSketch",
    "SRTTSketch",
    "Sketch",
    "SparseSignSketch",
    "TensorSRHT",
    "VerySparseProjection",
    "coordinate_deviations",
    "coordinate_statistics",
    "embedding_distortion",
    "fwht",
    "linf_experiment",
    "recommended_rows",
]
