"""The network's parts: the shapes and sizes of the papers, and what may see what."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dyso.spec import UserError
from dyso.train.config import Model
from dyso.train.model import Dyst
from dyso.train.presets import PRESETS
from dyso.train.step import init_params


def shapes(preset):
    """Parameters' shapes and the model of a preset, without computing them."""
    config = PRESETS[preset].config
    return Dyst(config.model), jax.eval_shape(lambda: init_params(config))


def counts(tree):
    return {k: sum(x.size for x in jax.tree.leaves(v)) for k, v in tree.items()}


def test_dyst_has_the_papers_shapes():
    model, params = shapes("dyst")
    variables = {"params": params}

    def parts(variables, inputs, targets, owners, positions):
        scene = model.apply(variables, inputs, method="encode")
        latents = model.apply(variables, targets, scene, method="estimate")
        return (
            scene,
            latents,
            model.apply(variables, latents, owners, positions, scene, method="decode"),
        )

    scene, latents, colors = jax.eval_shape(
        parts,
        variables,
        jax.ShapeDtypeStruct((2, 3, 128, 128, 3), jnp.float32),
        jax.ShapeDtypeStruct((2, 4, 128, 128, 3), jnp.float32),
        jax.ShapeDtypeStruct((2, 8192), jnp.int32),
        jax.ShapeDtypeStruct((2, 8192, 2), jnp.float32),
    )
    assert scene.shape == (2, 768, 768)  # 3 views of 16 x 16 patches
    assert latents["camera"].shape == latents["dynamics"].shape == (2, 4, 8)
    assert colors.shape == (2, 8192, 3) and colors.dtype == jnp.float32
    # Six and eight convolutions: 8 x 8 and 16 x 16 patches.
    assert len([k for k in params["encoder"]["patches"] if "Conv" in k]) == 6
    assert len([k for k in params["estimator"]["patches"] if "Conv" in k]) == 8
    for part, layers in (("encoder", 5), ("estimator", 3), ("decoder", 2)):
        assert len([k for k in params[part] if k.startswith("layer")]) == layers
    assert "self" not in params["decoder"]["layer_0"]
    assert "cross" not in params["encoder"]["layer_0"]
    block = params["encoder"]["layer_0"]
    assert block["self"]["query"]["kernel"].shape == (768, 12, 64)
    assert block["Dense_0"]["kernel"].shape == (768, 1536)


def test_parameters_are_counted_as_the_docs_say():
    assert counts(shapes("dyst")[1]) == {
        "encoder": 29_386_272,
        "estimator": 37_650_736,
        "decoder": 10_081_539,
    }
    assert counts(shapes("rust")[1]) == {
        "encoder": 29_558_304,
        "estimator": 37_668_392,
        "decoder": 4_834_819,
    }
    assert counts(shapes("srt")[1]) == {"encoder": 29_713_824, "decoder": 4_870_659}


@pytest.fixture(scope="module")
def made(small):
    config = small
    params = init_params(config)
    model = Dyst(config.model)
    rng = np.random.default_rng(0)
    inputs = jnp.asarray(rng.random((2, 3, 16, 16, 3), np.float32))
    targets = jnp.asarray(rng.random((2, 4, 16, 16, 3), np.float32))
    return model, {"params": params}, inputs, targets


def test_every_pixel_is_decoded_by_itself_with_the_latents_of_its_target(made):
    model, variables, inputs, targets = made
    decode = lambda *a: model.apply(variables, *a, scene, method="decode")  # noqa: E731
    scene = model.apply(variables, inputs, method="encode")
    latents = model.apply(variables, targets, scene, method="estimate")
    rng = np.random.default_rng(1)
    positions = jnp.asarray(rng.random((2, 48, 2), np.float32))
    owners = jnp.asarray(rng.integers(4, size=(2, 48)))
    whole = decode(latents, owners, positions)
    some = decode(latents, owners[:, 3:5], positions[:, 3:5])
    assert jnp.allclose(whole[:, 3:5], some, atol=1e-6)
    changed = {name: value.at[:, 2].add(1.0) for name, value in latents.items()}
    differs = jnp.abs(decode(changed, owners, positions) - whole).max(axis=-1) > 1e-6
    assert (differs == (owners == 2)).all()


def test_only_the_first_view_is_distinguished(made):
    model, variables, inputs, _ = made
    scene = model.apply(variables, inputs, method="encode").reshape(2, 3, -1, 16)
    others = inputs[:, jnp.array([0, 2, 1])]
    swapped = model.apply(variables, others, method="encode").reshape(2, 3, -1, 16)
    assert jnp.allclose(scene[:, 0], swapped[:, 0], atol=1e-5)
    assert jnp.allclose(scene[:, 1], swapped[:, 2], atol=1e-5)
    first = inputs[:, jnp.array([1, 0, 2])]
    exchanged = model.apply(variables, first, method="encode").reshape(2, 3, -1, 16)
    assert not jnp.allclose(scene[:, 0], exchanged[:, 1], atol=1e-3)


def test_latents_see_one_target_and_the_first_view_alone(made):
    model, variables, inputs, targets = made
    scene = model.apply(variables, inputs, method="encode")
    estimate = lambda *a: model.apply(variables, *a, method="estimate")  # noqa: E731
    latents = estimate(targets, scene)
    alone = estimate(targets[:, 1:2], scene)
    assert jnp.allclose(latents["camera"][:, 1:2], alone["camera"], atol=1e-6)
    tokens = scene.shape[1] // 3
    elsewhere = scene.at[:, tokens:].set(0)
    without = scene.at[:, :tokens].set(0)
    assert jnp.allclose(latents["camera"], estimate(targets, elsewhere)["camera"])
    assert not jnp.allclose(latents["camera"], estimate(targets, without)["camera"])


def test_a_half_is_all_that_rusts_estimator_sees(made):
    model, variables, inputs, targets = made
    scene = model.apply(variables, inputs, method="encode")
    right = jnp.array([[False, True, False, True]] * 2)
    hidden = jnp.where(
        right[..., None, None, None],
        targets.at[..., :8, :].set(0.5),
        targets.at[..., 8:, :].set(0.5),
    )
    seen, blind = (
        model.apply(variables, views, scene, right, method="estimate")
        for views in (targets, hidden)
    )
    assert jnp.allclose(seen["camera"], blind["camera"])
    other = model.apply(variables, targets, scene, ~right, method="estimate")
    assert not jnp.allclose(seen["camera"], other["camera"])


def test_sizes_that_do_not_fit_are_one_line():
    with pytest.raises(UserError, match=r"model\.resolution: must be multiples of 16"):
        Model(resolution=(120, 128))
    with pytest.raises(UserError, match=r"model\.width: must be a multiple of 12"):
        Model(width=100)
