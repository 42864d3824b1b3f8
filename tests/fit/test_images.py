import jax.numpy as jnp
import numpy as np
import pytest
from skimage.metrics import structural_similarity

from dyso.fit import images


def pair():
    rng = np.random.default_rng(0)
    true = rng.uniform(0, 1, (20, 24, 3))
    return true, np.clip(true + rng.normal(0, 0.1, true.shape), 0, 1)


def test_psnr_is_that_of_the_mean_squared_error():
    assert float(images.psnr(jnp.zeros(8), jnp.full(8, 0.1))) == pytest.approx(20)


def test_ssim_is_scikit_images_away_from_the_edges():
    true, predicted = pair()
    black = np.zeros((40, 44, 3))
    inside = (slice(10, 30), slice(10, 34))
    # Black around the images makes their edges the same.
    framed = [black.copy(), black.copy()]
    for frame, image in zip(framed, (true, predicted), strict=True):
        frame[inside] = image
    _, expected = structural_similarity(
        *framed,
        data_range=1.0,
        channel_axis=-1,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        full=True,
    )
    found = float(images.ssim(jnp.asarray(true), jnp.asarray(predicted)))
    assert found == pytest.approx(expected[inside].mean(), abs=1e-5)
    assert float(images.ssim(jnp.asarray(true), jnp.asarray(true))) == pytest.approx(1)
