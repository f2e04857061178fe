"""Low rank: randomized singular values, Nystrom, pivoted Cholesky, CUR, updates, pivoted QR, node embeddings.

Every function takes dense, sparse, operator or tensor input, returns numpy factors in a frozen result, and says how often
it went over A.
"""

from .cholesky import KernelMatrix, rpcholesky
from .cur import cur
from .embedding import fastrp
from .nystrom import generalized_nystrom, nystrom_eigh
from .qr import sketched_qr
from .result import CUR, LowRankEigh, LowRankSVD, PivotedCholesky, PivotedQR
from .svd import block_krylov_svd, randomized_svd
from .update import StreamingSVD, update_svd

__all__ = [
    "CUR",
    "KernelMatrix",
    "LowRankEigh",
    "LowRankSVD",
    "PivotedCholesky",
    "PivotedQR",
    "StreamingSVD",
    "block_krylov_svd",
    "cur",
    "fastrp",
    "generalized_nystrom",
    "nystrom_eigh",
    "randomized_svd",
    "rpcholesky",
    "sketched_qr",
    "update_svd",
]
