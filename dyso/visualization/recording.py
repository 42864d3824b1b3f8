"""Recordings of scenes for the Rerun viewer, in 3D and over time.

Each scene has its own tree of entities, over the timeline `step`:

    <split>_<index>
      cameras/<camera>              pose and pinhole (`camera` in videos)
        color, depth, instance      images; depth along the optical axis, in metres
      points/color, points/instance points on objects that the cameras see, in metres
      objects/<object>              pose and bounding box
      objects/<object>/mesh         the mesh at each step, where the dataset has meshes
      objects/<object>_path         line through the object's positions
      tracks, tracks/points         points that the middle camera sees at the middle
                                    step: their ways, and where they are
      camera_path                   videos only: line through the camera's positions
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from jaxtyping import Float, Int, UInt8
from PIL import ImageColor

from dyso import geometry, records
from dyso.reading import MOTION_FIELDS, Dataset, views_of
from dyso.spec import Layout, UserError
from dyso.visualization.pictures import picture
from dyso.visualization.scenes import evenly, title
from dyso.visualization.tracks import grid

TIMELINE = "step"
MOST_PIXELS = 32 << 20
"""The most pixels of a scene, in all views together; 8 bytes each in the file."""
IMAGES = ("color", "depth", "instance")
_FIELDS = (
    *IMAGES,
    "intrinsics",
    "extrinsics",
    "objects/asset_id",
    "objects/category",
    "objects/sizes",
    "objects/positions",
    "objects/quaternions",
    "background/asset_id",
    "camera_pattern",
    *(field for field in MOTION_FIELDS if field.endswith("?")),
)
_OF_VIEWS = ("depth", "instance", "intrinsics", "extrinsics", "surface")
# Points whose tracks are shown.
_TRACKS = 48
# The most cameras whose images are shown next to the 3D view.
_BESIDE = 9
_GROUND = (14, 15, 17)
_LINE, _CAMERA_LINE = (232, 176, 75), (120, 170, 255)


def load_rerun() -> ModuleType:
    """Imports and returns Rerun.

    Raises:
      UserError: Rerun is not installed.
    """
    try:
        import rerun
    except ImportError as error:
        raise UserError(
            "the viewer, Rerun, is not installed: run `pip install 'dyso[view]'`"
        ) from error
    return rerun


@dataclass(frozen=True, kw_only=True, eq=False)
class _Subject:
    """A scene to show; its views are [T, C], or [T, 1] for a video."""

    root: str
    title: str
    record: Mapping[str, Any]
    cameras: tuple[str, ...]
    steps: int

    def views(self, field: str) -> np.ndarray:
        """Returns a field of all views with leading axes [T, C]."""
        values = self.record[field]
        return values.reshape(self.steps, len(self.cameras), *values.shape[1:])


def shown_cameras(layout: Layout, resolution: tuple[int, int]) -> tuple[int, ...]:
    """Returns the cameras to show: as many as `MOST_PIXELS` allows, at least one.

    Args:
      layout: the layout of the views; paired cameras are all shown.
      resolution: height and width.
    """
    if layout.paired:
        return tuple(range(layout.cameras))
    most = MOST_PIXELS // (layout.steps * resolution[0] * resolution[1])
    return evenly(layout.cameras, max(1, most))


def write_recording(
    path: Path, dataset: Dataset, chosen: Iterable[tuple[str, int]]
) -> None:
    """Writes scenes to one .rrd file, with the initial layout of the viewer.

    Args:
      path: the file to write.
      dataset: the dataset.
      chosen: splits and positions of the scenes; at least one.

    Raises:
      UserError: Rerun is not installed.
      RecordError: a scene is damaged.
      OSError: the file cannot be written.
    """
    rr = load_rerun()
    with records.replacing(path) as temporary:
        temporary.touch()
        with rr.RecordingStream(f"dyso {dataset.resolved.spec.name}") as stream:
            stream.save(temporary)
            tabs = [_log(stream, _subject(dataset, *scene)) for scene in chosen]
            stream.send_blueprint(_blueprint(tabs))
        stream.disconnect()


def _subject(dataset: Dataset, split: str, index: int) -> _Subject:
    spec = dataset.resolved.spec
    layout = spec.layout
    shown = shown_cameras(layout, spec.resolution)
    cameras: tuple[str, ...] = tuple(f"cameras/{camera}" for camera in shown)
    views = [layout.view(s, c) for s in range(layout.steps) for c in shown]
    if layout.paired:
        views = [layout.view(step, step) for step in range(layout.steps)]
        cameras = ("camera",)
    record = dataset[split].read(index, fields=_FIELDS, views=views)
    return _Subject(
        root=f"{split}_{index}",
        title=title(split, index, record),
        record=record,
        cameras=cameras,
        steps=layout.steps,
    )


def _log(stream: Any, subject: _Subject) -> Any:
    """Logs a scene's entities; returns its part of the blueprint."""
    import rerun as rr

    root = subject.root
    still = [(root, rr.ViewCoordinates.RIGHT_HAND_Z_UP), *_paths(subject)]
    followed, hues = _tracks(subject)
    if subject.steps > 1:
        ways = rr.LineStrips3D(
            followed.swapaxes(0, 1), colors=hues, radii=rr.Radius.ui_points(1)
        )
        still.append((f"{root}/tracks", ways))
    for entity, value in still:
        stream.log(entity, value, static=True, strict=True)
    for step in range(subject.steps):
        stream.set_time(TIMELINE, sequence=step)
        dots = rr.Points3D(followed[step], colors=hues, radii=rr.Radius.ui_points(3))
        for entity, value in (
            *_cameras(subject, step),
            *_objects(subject, step),
            *_meshes(subject, step),
            ("tracks/points", dots),
        ):
            stream.log(f"{root}/{entity}", value, strict=True)
    return _tab(subject)


def _names(record: Mapping[str, Any]) -> list[str]:
    pairs = zip(record["objects/asset_id"], record["objects/category"], strict=True)
    return [f"{asset} ({category})" if category else asset for asset, category in pairs]


def _paths(subject: _Subject) -> Iterator[tuple[str, Any]]:
    """Yields lines through the positions of each object and of a video's camera."""
    import rerun as rr

    lines = {
        f"objects/{i}_path": (positions, _LINE)
        for i, positions in enumerate(subject.record["objects/positions"])
    }
    if subject.cameras == ("camera",):
        to_world = geometry.invert(subject.record["extrinsics"].astype(np.float64))
        lines["camera_path"] = to_world[..., 3], _CAMERA_LINE
    for name, (points, color) in lines.items():
        entity = f"{subject.root}/{name}"
        if len(points) > 1:
            radius = rr.Radius.ui_points(1.5)
            yield entity, rr.LineStrips3D([points], colors=color, radii=radius)
        yield f"{entity}/steps", rr.Points3D(points, colors=color, radii=0.03)


def _tracks(
    subject: _Subject,
) -> tuple[Float[np.ndarray, "T P 3"], UInt8[np.ndarray, "P 3"]]:
    """Returns points on the objects at each step, metres in the world, and colours.

    The middle camera sees them at the middle step.
    """
    record, count = subject.record, len(subject.cameras)
    own = {k: v[count // 2 :: count] for k, v in record.items() if k in _OF_VIEWS}
    views = views_of({**record, **own}, range(subject.steps))
    source = views.at(subject.steps // 2)
    pixels = grid(source.instance, _TRACKS)
    _, points = geometry.follow(source, pixels, views)
    hues = np.linspace(0, 300, len(pixels[0])).tolist()
    colors = [ImageColor.getrgb(f"hsv({hue:.0f}, 90%, 100%)")[:3] for hue in hues]
    return points, np.array(colors, np.uint8).reshape(-1, 3)


def _meshes(subject: _Subject, step: int) -> Iterator[tuple[str, Any]]:
    """Yields the objects' meshes, which the transforms of the objects place."""
    import rerun as rr

    record = subject.record
    if "mesh/vertices" not in record:
        return
    faces, owner = record["mesh/faces"], record["mesh/instance"]
    palette = picture("instance", np.arange(256)[:, None, None, None])[:, 0, 0]
    for i in range(len(record["objects/sizes"])):
        own = np.flatnonzero(owner == i + 1)
        place = np.zeros(len(owner), np.int64)
        place[own] = np.arange(len(own))
        triangles = place[faces[owner[faces[:, 0]] == i + 1]]
        vertices = record["mesh/vertices"][step, own]
        mesh = rr.Mesh3D(
            vertex_positions=vertices,
            triangle_indices=triangles,
            vertex_normals=_normals(vertices, triangles),
            albedo_factor=palette[i + 1],
        )
        yield f"objects/{i}/mesh", mesh


def _normals(
    vertices: Float[np.ndarray, "K 3"], triangles: Int[np.ndarray, "F 3"]
) -> Float[np.ndarray, "K 3"]:
    """Returns the vertices' normals, the mean of their faces' by area."""
    a, b, c = np.moveaxis(vertices[triangles].astype(np.float64), 1, 0)
    of_faces = np.cross(b - a, c - a).repeat(3, axis=0)
    corners, count = triangles.ravel(), len(vertices)
    sums = [np.bincount(corners, of_faces[:, axis], count) for axis in range(3)]
    total = np.stack(sums, axis=-1)
    lengths = np.linalg.norm(total, axis=-1, keepdims=True)
    return total / np.where(lengths > 0, lengths, 1)


def _cameras(subject: _Subject, step: int) -> Iterator[tuple[str, Any]]:
    import rerun as rr

    extrinsics = subject.views("extrinsics")[step].astype(np.float64)
    to_world = geometry.invert(extrinsics)
    distances = np.linalg.norm(
        subject.record["objects/positions"][:, step].mean(0) - to_world[..., 3], axis=-1
    )
    for i, name in enumerate(subject.cameras):
        color, depth, instance, k = (
            subject.views(field)[step, i] for field in (*IMAGES, "intrinsics")
        )
        height, width = depth.shape[:2]
        pose, at_infinity = to_world[i], ~np.isfinite(depth[..., 0])
        yield (
            name,
            rr.Transform3D(translation=pose[:, 3], mat3x3=pose[:, :3], axis_length=0.0),
        )
        lens = rr.Pinhole(
            image_from_camera=k,
            resolution=(width, height),
            camera_xyz=rr.ViewCoordinates.RDF,
            image_plane_distance=float(distances.mean()) / 6,
        )
        yield name, lens
        yield f"{name}/color", rr.Image(color)
        # Rerun expects depth along the optical axis, and 0 for unknown.
        z = np.where(at_infinity, 0, depth[..., 0] / _lengths(k, height, width))
        yield f"{name}/depth", rr.DepthImage(z.astype(np.float32), meter=1.0)
        yield f"{name}/instance", rr.SegmentationImage(instance[..., 0])


def _lengths(
    k: Float[np.ndarray, "3 3"], height: int, width: int
) -> Float[np.ndarray, "H W"]:
    """Returns the length of each pixel's ray from the camera centre to z = 1."""
    centred = geometry.pixel_grid(height, width, np) - k[:2, 2]
    return np.sqrt(1 + ((centred / k[[0, 1], [0, 1]]) ** 2).sum(-1))


def _objects(subject: _Subject, step: int) -> Iterator[tuple[str, Any]]:
    import rerun as rr

    record = subject.record
    for i, name in enumerate(_names(record)):
        entity = f"objects/{i}"
        quaternion = record["objects/quaternions"][i, step].astype(np.float64)
        yield (
            entity,
            rr.Transform3D(
                translation=record["objects/positions"][i, step],
                mat3x3=geometry.quaternion_to_matrix(quaternion),
            ),
        )
        yield (
            entity,
            rr.Boxes3D(
                half_sizes=[record["objects/sizes"][i] / 2],
                class_ids=i + 1,
                labels=name,
                show_labels=False,
            ),
        )
    depth, k = subject.views("depth")[step, ..., 0], subject.views("intrinsics")[step]
    extrinsics = subject.views("extrinsics")[step].astype(np.float64)
    instance = subject.views("instance")[step, ..., 0]
    shown = (instance > 0) & np.isfinite(depth)
    points = geometry.unproject(
        np.where(shown, depth, 1).astype(np.float64), k, extrinsics
    )
    # Points as large as their pixels form a closed surface.
    radii = (depth / k[:, :1, :1])[shown] / 2
    colors = subject.views("color")[step][shown]
    visible = points[shown]
    yield "points/color", rr.Points3D(visible, colors=colors, radii=radii)
    ids = instance[shown]
    yield "points/instance", rr.Points3D(visible, class_ids=ids, radii=radii)


def _tab(subject: _Subject) -> Any:
    """Returns the blueprint of a scene: a 3D view, and a tab of images per layer."""
    import rerun.blueprint as rrb

    root = subject.root
    cameras = [f"{root}/{name}" for name in subject.cameras]
    hidden = [f"{c}/{name}" for c in cameras for name in ("depth", "instance")]
    hidden.append(f"{root}/points/instance")
    # The coloured points lie on them.
    if "mesh/vertices" in subject.record:
        hidden += [
            f"{root}/objects/{i}/mesh" for i in range(len(_names(subject.record)))
        ]
    space = rrb.Spatial3DView(
        origin=root,
        name=subject.title,
        overrides={path: rrb.EntityBehavior(visible=False) for path in hidden},
        background=rrb.Background(kind="solidcolor", color=_GROUND),
    )
    beside = [cameras[i] for i in evenly(len(cameras), _BESIDE)]
    layers = [
        rrb.Grid(
            *(
                rrb.Spatial2DView(
                    origin=camera,
                    contents=f"{camera}/{layer}",
                    name=camera.removeprefix(f"{root}/").replace("cameras/", "camera "),
                )
                for camera in beside
            ),
            name=layer,
            grid_columns=1 if len(beside) == 1 else 2,
        )
        for layer in IMAGES
    ]
    images = rrb.Tabs(*layers, active_tab=0)
    return rrb.Horizontal(space, images, column_shares=[3, 2], name=root)


def _blueprint(tabs: Sequence[Any]) -> Any:
    import rerun.blueprint as rrb

    return rrb.Blueprint(
        tabs[0] if len(tabs) == 1 else rrb.Tabs(*tabs, active_tab=0),
        rrb.BlueprintPanel(state="collapsed"),
        rrb.SelectionPanel(state="collapsed"),
        rrb.TimePanel(state="collapsed"),
        auto_views=False,
    )
