"""Numba kernels: plain functions on plain arrays. Index arrays come in as unsigned views."""
