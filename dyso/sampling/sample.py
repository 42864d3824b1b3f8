"""`sample_scene`: a scene as a pure function of (spec, split, index, attempt)."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Literal

import numpy as np
from jaxtyping import Float

from dyso.sampling import animation, articulation, gaits
from dyso.sampling.cameras import Trajectory, sample_cameras
from dyso.sampling.deformation import reach, sample_deformation
from dyso.sampling.dynamics import Motion, sample_initial_velocity, sample_motion
from dyso.sampling.materials import sample_material
from dyso.sampling.poses import DECIMALS, pose, vector
from dyso.sampling.rng import Streams
from dyso.sampling.scene import (
    Animation,
    Articulation,
    Background,
    Camera,
    Deformation,
    Gait,
    Physics,
    Scene,
    SceneObject,
)
from dyso.sampling.visibility import sampled_fault
from dyso.spec import Asset, ResolvedSpec, Spec

_STREAMS = {
    "cameras": ["cameras"],
    "dynamics": ["placement", "dynamics", "deform", "gait", "articulate", "animate"],
}
"""The streams of each factor that twins may share."""
_Changes = tuple[Deformation | None, Gait | None, Articulation | None, Animation | None]
"""How an object changes its shape."""


class UnseenScene(Exception):
    """All attempts that the spec allows were rejected.

    Attributes:
      split: the split's name.
      index: the scene's index in its split.
      attempts: how many were sampled; 0 if the first was already past the limit.
      reason: the most frequent reason, or that no attempt was left.
    """

    def __init__(self, split: str, index: int, attempts: int, reason: str):
        super().__init__(split, index, attempts, reason)
        self.split, self.index = split, index
        self.attempts, self.reason = attempts, reason

    def __str__(self) -> str:
        return (
            f"split {self.split!r}, scene {self.index}: none of {self.attempts} "
            f"attempts can be shown: {self.reason}"
        )


def sample_scene(
    resolved: ResolvedSpec, split: str, index: int, attempt: int = 0
) -> Scene:
    """Samples one scene; equal arguments return equal scenes.

    Tries `attempt` and the numbers after it until the objects have room and are visible
    as the spec's `visibility` requires, and the cameras are above the floor, inside the
    dome and outside the objects. The accepted attempt is in the scene. Twins
    (`Spec.twins`) are accepted together, so that both have the same attempt.

    Args:
      resolved: the spec and its catalogs.
      split: the split's name; scenes can also be sampled for other names.
      index: from 0; may lie beyond the split's end.
      attempt: the first attempt to sample. To replace a scene that could not be
        rendered, pass its attempt plus one.

    Raises:
      UnseenScene: no attempt below `visibility.attempts` was accepted.
      UserError: the spec leaves the split without assets.
    """
    faults: Counter[str] = Counter()
    for number in range(attempt, resolved.spec.visibility.attempts):
        scene = _sample(resolved, split, index, number)
        if isinstance(scene, Scene) and resolved.spec.twins:
            twin = _sample(resolved, split, index ^ 1, number)
            scene = scene if isinstance(twin, Scene) else f"its twin: {twin}"
        if isinstance(scene, Scene):
            return scene
        faults[scene] += 1
    [(reason, count)] = faults.most_common(1) or [("no attempt is left", 0)]
    total = faults.total()
    share = f" ({count} of {total})" if count else ""
    raise UnseenScene(split, index, total, reason + share)


def _sample(
    resolved: ResolvedSpec, split: str, index: int, attempt: int
) -> Scene | str:
    """Samples one attempt; returns the scene, or the reason why it is rejected."""
    spec = resolved.spec
    streams = Streams(
        seed=spec.seed,
        split=split,
        index=index,
        attempt=attempt,
        shared=[name for factor in spec.twins for name in _STREAMS[factor]],
    )
    assets = _choose_objects(streams.named("object"), resolved, split)
    half = np.stack([_half_sides(asset, spec.objects.size) for asset in assets])
    deformations: list[Deformation | None] = [None] * len(assets)
    if spec.dynamics.deform.any:
        rng = streams.named("deform")
        for i, sides in enumerate(half):
            deformation = sample_deformation(
                rng, spec.dynamics.deform, spec.dynamics.steps, sides
            )
            # From here on, the box is one that holds the object at every step.
            deformations[i], half[i] = deformation, reach(sides, deformation)
    jointed: list[Articulation | None] = [None] * len(assets)
    if spec.dynamics.articulate.any:
        rng = streams.named("articulate")
        for i, asset in enumerate(assets):
            joints = articulation.in_scene(asset, spec.objects.size)
            moved = articulation.sample_articulation(
                rng, spec.dynamics.articulate, spec.dynamics.steps, joints
            )
            jointed[i], half[i] = moved, articulation.reach(half[i], moved)
    played: list[Animation | None] = [None] * len(assets)
    animate = spec.dynamics.animate
    if animate.any:
        rng = streams.named("animate")
        for i, asset in enumerate(assets):
            clips = asset.playable(animate.clips)
            plays = animation.sample_animation(rng, animate, spec.dynamics.steps, clips)
            played[i] = plays
            if plays.clip:
                half[i] = animation.reach(asset, plays.clip, spec.objects.size)
    moves = [
        resolved.objects.gait(asset.category) if spec.dynamics.gait.any else None
        for asset in assets
    ]
    for i, kind in enumerate(moves):
        half[i] = gaits.reach(half[i]) if kind else half[i]
    dynamics = streams.named("dynamics")
    upright = np.array(
        [
            resolved.objects.stands(asset)
            or bool(asset.joints)
            or (plays is not None and bool(plays.clip))
            for asset, plays in zip(assets, played, strict=True)
        ]
    )
    motion = sample_motion(
        streams.named("placement"), dynamics, spec.dynamics, half, upright
    )
    if motion is None:
        return "no room for the objects in dynamics.spawn_radius"
    walks = _gaits(streams.named("gait"), spec, moves, motion)
    trajectory = sample_cameras(streams.named("cameras"), spec.cameras)
    wrong = sampled_fault(spec, trajectory, motion, half)
    if wrong:
        return wrong
    return Scene(
        dataset=spec.name,
        spec_hash=resolved.hash,
        split=split,
        index=index,
        attempt=attempt,
        resolution=spec.resolution,
        objects=_objects(
            streams.named("material"),
            resolved,
            assets,
            motion,
            [*zip(deformations, walks, jointed, played, strict=True)],
        ),
        contact=spec.dynamics.contact,
        settle_time=spec.dynamics.settle_time,
        physics=_physics(dynamics, spec, motion),
        pattern=trajectory.pattern,
        cameras=_cameras(trajectory, spec.cameras.sensor_width / 1000),
        paired=spec.cameras.paired,
        skeletal=spec.skeletal,
        background=_background(streams.named("background"), resolved, split),
        render=spec.render,
        render_seed=int(streams.named("render").integers(2**31)),
    )


def _choose_objects(
    rng: np.random.Generator, resolved: ResolvedSpec, split: str
) -> list[Asset]:
    """Draws the number of objects and, with replacement, the objects."""
    low, high = resolved.spec.objects.count
    pool = resolved.objects_of(split)
    count = rng.integers(low, high + 1)
    return [pool[i] for i in rng.integers(len(pool), size=count)]


def _half_sides(asset: Asset, size: float) -> Float[np.ndarray, " 3"]:
    """Returns half the sides of the bounding box whose longest side is `size`."""
    lower, upper = asset.bounds
    sides = np.subtract(upper, lower)
    return sides * (size / 2 / sides.max())


def _objects(
    rng: np.random.Generator,
    resolved: ResolvedSpec,
    assets: list[Asset],
    motion: Motion,
    changes: list[_Changes],
) -> tuple[SceneObject, ...]:
    return tuple(
        SceneObject(
            asset_id=asset.id,
            category=asset.category,
            category_id=resolved.objects.category_ids[asset.category],
            size=resolved.spec.objects.size,
            poses=tuple(map(pose, positions, quaternions)),
            material=None if asset.textured else sample_material(rng),
            deformation=deformation,
            gait=walk,
            articulation=moved,
            animation=plays,
        )
        for asset, positions, quaternions, (deformation, walk, moved, plays) in zip(
            assets, motion.positions, motion.quaternions, changes, strict=True
        )
    )


def _gaits(
    rng: np.random.Generator,
    spec: Spec,
    moves: list[Literal["swim", "walk"] | None],
    motion: Motion,
) -> list[Gait | None]:
    """Draws the gaits of the objects with skeletons, and lifts those that swim."""
    walks: list[Gait | None] = [None] * len(moves)
    for i, kind in enumerate(moves):
        if kind is None:
            continue
        walk = gaits.sample_gait(
            rng,
            spec.dynamics.gait,
            kind,
            spec.dynamics.steps,
            None if motion.travels is None else float(motion.travels[i]),
            None if motion.paths is None else motion.paths[i],
        )
        walks[i] = walk
        if spec.dynamics.motion != "physics":
            motion.positions[i, :, 2] += walk.height
    return walks


def _physics(rng: np.random.Generator, spec: Spec, motion: Motion) -> Physics | None:
    if spec.dynamics.motion != "physics":
        return None
    initial = sample_initial_velocity(rng, spec.dynamics, motion.positions[:, 0])
    return Physics(
        frame_rate=spec.dynamics.frame_rate,
        velocities=tuple(map(vector, initial.velocities)),
        spins=tuple(map(vector, initial.spins)),
        share=spec.visibility.share,
        views=spec.visibility.share_of_views,
    )


def _cameras(trajectory: Trajectory, sensor_width: float) -> tuple[Camera, ...]:
    return tuple(
        Camera(
            pose=pose(position, quaternion),
            focal_length=round(float(focal_length), DECIMALS),
            sensor_width=sensor_width,
        )
        for position, quaternion, focal_length in zip(
            trajectory.positions,
            trajectory.quaternions,
            trajectory.focal_lengths,
            strict=True,
        )
    )


def _background(
    rng: np.random.Generator, resolved: ResolvedSpec, split: str
) -> Background:
    pool = resolved.backgrounds_of(split)
    backgrounds = resolved.spec.backgrounds
    background = Background(
        asset_id=pool[rng.integers(len(pool))].id,
        rotation=round(rng.uniform(*np.radians(backgrounds.rotation)), DECIMALS),
        backdrop=backgrounds.backdrop,
        dome_radius=backgrounds.dome_radius,
        dome_height=backgrounds.dome_height,
    )
    if backgrounds.ground == "photo" or backgrounds.backdrop != "dome":
        return background
    return replace(background, ground_seed=int(rng.integers(2**31)))
