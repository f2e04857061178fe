"""Trained parts: the floor for what learns (empty so far; needs the extra ``learned``)."""

from importlib.util import find_spec

if find_spec("torch") is None:
    raise ImportError('ritzkit.learned needs torch: python -m pip install "ritzkit[learned]"')

__all__: list[str] = []
