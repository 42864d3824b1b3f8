"""Samples the scenes of a dataset from its spec, with numpy only."""

from dyso.sampling.sample import UnseenScene, sample_scene
from dyso.sampling.scene import (
    Background,
    Camera,
    Color,
    Material,
    Physics,
    Pose,
    Quaternion,
    Scene,
    SceneObject,
    Vector,
)

__all__ = [
    "Background",
    "Camera",
    "Color",
    "Material",
    "Physics",
    "Pose",
    "Quaternion",
    "Scene",
    "SceneObject",
    "UnseenScene",
    "Vector",
    "sample_scene",
]
