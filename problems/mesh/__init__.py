"""Finite elements on unstructured meshes: linear on triangles and tetrahedra, quadratic on triangles; their families."""

from .elements import elasticity_matrix, gradients, lame, mass_matrix, rigid_motions, stiffness_matrix
from .evolution import MeshHeat, MeshWave
from .generate import Mesh, generate_mesh
from .quadratic import QuadraticMesh, quadratic
from .slotted import SlottedBlock, slotted_block
from .static import MeshElasticity, MeshPoisson

__all__ = [
    "Mesh",
    "MeshElasticity",
    "MeshHeat",
    "MeshPoisson",
    "MeshWave",
    "QuadraticMesh",
    "SlottedBlock",
    "elasticity_matrix",
    "generate_mesh",
    "gradients",
    "lame",
    "mass_matrix",
    "quadratic",
    "rigid_motions",
    "slotted_block",
    "stiffness_matrix",
]
