"""How far feet slide while they stand: `python benchmarks/gaits.py`.

Samples scenes of specs/creatures.yaml with 200 steps and poses their skeletons; nothing
is rendered. For each scene, prints the largest and the median move of a foot's joint
over the floor in one stance, millimetres, for creatures of 2 m.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from dyso.assets import procedural, resolve
from dyso.geometry import pose_matrix, transform
from dyso.sampling import sample_scene
from dyso.sampling.gaits import pose_at
from dyso.sampling.scene import SceneObject
from dyso.spec import ProceduralCatalog, load_spec

SPEC = Path(__file__).parent.parent / "specs/creatures.yaml"
SCENES = 12
CHANGES = (
    "dynamics.steps=200",
    "objects.categories=[quadruped, insect, centipede]",
    "cameras.count=1",
)


def slides(catalog: ProceduralCatalog, item: SceneObject) -> list[float]:
    """Returns how far a foot's joint moves in each stance of each leg, metres."""
    assert item.gait is not None
    skin = procedural.make(catalog, catalog.index(item.asset_id)).skin
    assert skin is not None
    rig = skin.rig.scaled(item.size)
    to_world = pose_matrix(
        np.array([pose.position for pose in item.poses]),
        np.array([pose.quaternion for pose in item.poses]),
    )
    stride = rig.stride_at(item.gait.amplitude)
    phases = np.array([step.phase + step.distance / stride for step in item.gait.steps])
    bones = np.stack([pose_at(rig, item.gait, n) for n in range(len(phases))])
    result = []
    for leg in rig.legs:
        foot = leg.bones[2]
        places = transform(to_world, transform(bones[:, foot], rig.joints[foot]))
        number, cycle = np.divmod(phases + leg.offset, 1)
        for each in np.unique(number):
            stands = (number == each) & (cycle < leg.stance)
            if stands.sum() > 2:
                result.append(float(np.ptp(places[stands, :2], axis=0).max()))
    return result


def main() -> None:
    """Prints a line for each scene."""
    resolved = resolve(load_spec(SPEC, CHANGES), SPEC.parent)
    assert isinstance(resolved.objects, ProceduralCatalog)
    for index in range(SCENES):
        [item] = sample_scene(resolved, "train", index).objects
        moved = 1000 * np.array(slides(resolved.objects, item))
        print(
            f"{item.category:10} {len(moved):4} stances: at most {moved.max():.1f} mm, "
            f"median {np.median(moved):.2f} mm"
        )


if __name__ == "__main__":
    main()
