"""Samples the scenes of a dataset from its spec, with numpy only."""

from dyso.sampling.sample import UnseenScene, sample_scene
from dyso.sampling.scene import (
    Articulation,
    Background,
    Camera,
    Color,
    Deformation,
    Gait,
    GaitPath,
    GaitStep,
    Material,
    Physics,
    Pose,
    Quaternion,
    Scene,
    SceneObject,
    Shape,
    Vector,
)

__all__ = [
    "Articulation",
    "Background",
    "Camera",
    "Color",
    "Deformation",
    "Gait",
    "GaitPath",
    "GaitStep",
    "Material",
    "Physics",
    "Pose",
    "Quaternion",
    "Scene",
    "SceneObject",
    "Shape",
    "UnseenScene",
    "Vector",
    "sample_scene",
]
