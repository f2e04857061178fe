"""Families of systems to solve, random fields and matrix files.

A family is a frozen dataclass of parameters; ``family.sample(rng)`` draws a `Problem`. `FAMILIES` maps the
names of the command line to the classes; `load` and `save` read and write files, `from_cells` takes a voxel
geometry; `generate` writes datasets of solved samples, `validate_dataset` checks them.
"""

from .anisotropic import Anisotropic
from .base import Family, Problem, right_hand_side
from .convection_diffusion import ConvectionDiffusion
from .darcy import Darcy
from .datasets import Manifest, generate, order_samples, validate_dataset
from .fields import gaussian_field, lognormal_field, scattered_field, smooth_field, threshold_field
from .files import load, load_vector, save
from .heat import Heat
from .helmholtz import Helmholtz
from .mesh import Mesh, MeshElasticity, MeshHeat, MeshPoisson, MeshWave, SlottedBlock, generate_mesh
from .obstacles import Obstacles, from_cells
from .poisson import Poisson
from .skr import SKRDarcy, SKRHelmholtz
from .skr_elements import SKRPoisson, SKRThermal

#: Families by their name on the command line.
FAMILIES: dict[str, type[Family]] = {
    family.family_name: family
    for family in (
        Poisson,
        Obstacles,
        Darcy,
        Anisotropic,
        ConvectionDiffusion,
        Helmholtz,
        Heat,
        MeshPoisson,
        MeshHeat,
        MeshWave,
        MeshElasticity,
        SlottedBlock,
        SKRDarcy,
        SKRThermal,
        SKRPoisson,
        SKRHelmholtz,
    )
}

__all__ = [
    "FAMILIES",
    "Anisotropic",
    "ConvectionDiffusion",
    "Darcy",
    "Family",
    "Heat",
    "Helmholtz",
    "Manifest",
    "Mesh",
    "MeshElasticity",
    "MeshHeat",
    "MeshPoisson",
    "MeshWave",
    "Obstacles",
    "Poisson",
    "Problem",
    "SKRDarcy",
    "SKRHelmholtz",
    "SKRPoisson",
    "SKRThermal",
    "SlottedBlock",
    "from_cells",
    "gaussian_field",
    "generate",
    "generate_mesh",
    "load",
    "load_vector",
    "lognormal_field",
    "order_samples",
    "right_hand_side",
    "save",
    "scattered_field",
    "smooth_field",
    "threshold_field",
    "validate_dataset",
]
