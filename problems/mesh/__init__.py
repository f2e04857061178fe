"""P1 finite elements on unstructured meshes of triangles and tetrahedra, and the families that use them."""

from .elements import elasticity_matrix, gradients, lame, mass_matrix, rigid_motions, stiffness_matrix
from .evolution import MeshHeat, MeshWave
from .generate import Mesh, generate_mesh
from .static import MeshElasticity, MeshPoisson

__all__ = [
    "Mesh",
    "MeshElasticity",
    "MeshHeat",
    "MeshPoisson",
    "MeshWave",
    "elasticity_matrix",
    "generate_mesh",
    "gradients",
    "lame",
    "mass_matrix",
    "rigid_motions",
    "stiffness_matrix",
]
