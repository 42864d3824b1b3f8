"""Objects made from numbers: meshes, materials and textures by small grammars.

    make(catalog, number) -> Made -> files that an importer reads

An object is a function of (generator version, seed, number) alone. Its category and its
box are drawn by `dyso.spec.procedural`; everything else here, from named streams.
"""

from __future__ import annotations

from dyso.assets.procedural.draw import Draw
from dyso.assets.procedural.grammars import GRAMMARS
from dyso.assets.procedural.jointed import JOINTED
from dyso.assets.procedural.model import Made, Model
from dyso.spec import ProceduralCatalog


def make(catalog: ProceduralCatalog, number: int) -> Made:
    """Makes an object of a catalog."""
    return model_of(catalog, number).made()


def model_of(catalog: ProceduralCatalog, number: int) -> Model:
    """Returns an object as its grammar leaves it, before it is fitted into its box."""
    category, design = catalog.kind(number), catalog.design(number)
    key = (catalog.generator, catalog.seed, number)
    model = Model(catalog.sides(number), Draw(key, "shape"))
    if design is None:
        GRAMMARS[category](model)
    else:
        JOINTED[category](model, design)
    return model
