"""The libraries that the products are measured against: found, told the number of threads, or reported as absent.

None of them is needed. One that is missing, or that does not load, leaves its columns at "not installed"; the reason
goes into the records. MKL is found through ``MKL_RT`` or in the library folder of the Python environment. Its threads
wait by spinning and would take the second core from everybody else: ``KMP_BLOCKTIME=0`` is set before MKL loads, unless the
user chose otherwise.
"""

from __future__ import annotations

import ctypes
import functools
import importlib
import os
import sys
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

__all__ = ["PEERS", "Peer", "find", "report"]

MKL, GRAPHBLAS, TORCH = "Intel MKL", "SuiteSparse:GraphBLAS", "torch"


@dataclass(frozen=True)
class Peer:
    """A library that is there, or the reason why it is not.

    Attributes
    ----------
    name, title : str
        Short name ("mkl") and name for people.
    module : module or None
        What to call; None where the library is not installed.
    version : str
        Its version; empty where it is not installed.
    reason : str
        Why it is absent; empty where it is there.
    library : ctypes.CDLL or None
        The C library behind it, for the staged product.
    settings : mapping
        What it says of itself: ``threads``, the number it may use; of MKL also ``dynamic``, whether it may decide on fewer
        (its default, and left alone).
    """

    name: str
    title: str
    module: Any = None
    version: str = ""
    reason: str = ""
    library: Any = None
    settings: Mapping[str, Any] = field(default_factory=dict)


def _find_mkl() -> None:
    if "MKL_RT" in os.environ:
        return
    for folder, pattern in (("lib", "libmkl_rt.so*"), ("lib", "libmkl_rt*.dylib"), ("Library/bin", "mkl_rt*.dll")):
        found = sorted((Path(sys.prefix) / folder).glob(pattern))
        if found:
            os.environ["MKL_RT"] = str(found[0])
            return


def _mkl(threads: int) -> Peer:
    os.environ.setdefault("KMP_BLOCKTIME", "0")
    _find_mkl()
    sparse_dot_mkl: Any = importlib.import_module("sparse_dot_mkl")
    functions: Any = importlib.import_module("sparse_dot_mkl._mkl_interface._cfunctions")
    sparse_dot_mkl.mkl_set_num_threads(threads)
    version = " ".join(str(sparse_dot_mkl.get_version_string()).split())
    number = version.partition("Version ")[2].partition(" ")[0].partition("-")[0]
    # a handle of our own on the same library: its functions carry no argument types of the wrapper
    library = ctypes.CDLL(functions.mkl_library_name())
    version = f"{number or version} (sparse_dot_mkl {metadata.version('sparse_dot_mkl')})"
    settings = {"threads": int(library.MKL_Get_Max_Threads()), "dynamic": bool(library.MKL_Get_Dynamic())}
    return Peer("mkl", MKL, sparse_dot_mkl, version, library=library, settings=settings)


def _graphblas(threads: int) -> Peer:
    graphblas: Any = importlib.import_module("graphblas")
    graphblas.ss.config["nthreads"] = threads
    inner = metadata.version("suitesparse-graphblas")
    version = f"{inner} (python-graphblas {metadata.version('python-graphblas')})"
    settings = {"threads": int(graphblas.ss.config["nthreads"])}
    return Peer("graphblas", GRAPHBLAS, graphblas, version, settings=settings)


def _torch(threads: int) -> Peer:
    torch: Any = importlib.import_module("torch")
    torch.set_num_threads(threads)
    return Peer("torch", TORCH, torch, str(torch.__version__), settings={"threads": int(torch.get_num_threads())})


PEERS: dict[str, tuple[str, Callable[[int], Peer]]] = {
    "mkl": (MKL, _mkl),
    "graphblas": (GRAPHBLAS, _graphblas),
    "torch": (TORCH, _torch),
}
"""Title and loader of every optional peer."""


@functools.lru_cache
def find(name: str, threads: int) -> Peer:
    """Load a peer and give it its threads; say why where that does not work.

    Parameters
    ----------
    name : str
        One of `PEERS`.
    threads : int
        Number of threads.
    """
    title, load = PEERS[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return load(threads)
        except (ImportError, OSError, AttributeError, RuntimeError, ValueError) as error:
            text = (str(error).strip().splitlines() or [type(error).__name__])[0]
            return Peer(name, title, reason=text if len(text) <= 160 else text[:157] + "...")


def report(threads: int) -> dict[str, dict[str, Any]]:
    """Say of every peer whether it is there, in which version, with how many threads."""
    found = {}
    for name in PEERS:
        peer = find(name, threads)
        found[name] = {
            "title": peer.title,
            "installed": peer.module is not None,
            "version": peer.version,
            "reason": peer.reason,
            **peer.settings,
        }
    return found
