from hypothesis import given
from hypothesis import strategies as st

from dyso.spec import Cameras, Dynamics, Layout, Spec

sizes = st.integers(1, 7)


@given(sizes, sizes)
def test_in_a_grid_every_camera_sees_every_step(steps, cameras):
    layout = Layout(steps=steps, cameras=cameras, paired=False)
    check(layout)
    assert layout.shape == (steps, cameras)
    assert layout.pairs[cameras - 1 : cameras + 1] == ((0, cameras - 1), (1, 0))[:steps]


@given(sizes)
def test_paired_cameras_see_their_own_step_in_time_order(steps):
    layout = Layout(steps=steps, cameras=steps, paired=True)
    check(layout)
    assert layout.shape == (steps, 1)
    assert layout.pairs == tuple((step, step) for step in range(steps))


@given(sizes, sizes)
def test_held_out_cameras_beside_a_video_see_every_step(steps, beside):
    layout = Layout(steps=steps, cameras=steps + beside, paired=True)
    check(layout)
    assert layout.shape == (steps, 1 + beside)
    assert layout.pairs[:: 1 + beside] == tuple((step, step) for step in range(steps))
    assert layout.pairs[1 : 1 + beside] == tuple((0, steps + i) for i in range(beside))


def check(layout):
    """Checks that all methods agree, and that each view occurs once."""
    assert layout.views == len(set(layout.pairs)) == len(layout.pairs)
    for view, (step, camera) in enumerate(layout.pairs):
        assert layout.view(step, camera) == view
        # By time, as many views of every step.
        assert step == view * layout.steps // layout.views
    asked = {(s, c) for c in range(layout.cameras) for s in layout.steps_of(c)}
    assert asked == set(layout.pairs)


def test_a_spec_has_the_views_of_its_layout():
    fields = {"name": "a", "splits": {"train": 1}}
    assert Spec(**fields).views == 25
    cameras = Cameras(count=7, paired=True)
    assert Spec(**fields, dynamics=Dynamics(steps=7), cameras=cameras).views == 7
