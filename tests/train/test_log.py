"""How much of the time the device waited for the loader."""

from concurrent.futures import Future

import pytest

from dyso.train.log import idle_seconds


def at(time):
    future = Future()
    future.set_result(time)
    return future


def test_the_device_waits_for_a_batch_only_once_it_has_nothing_left_to_do():
    fetches = [
        (0.0, 2.0, None),  # the first batch: nothing is computed yet
        (2.1, 4.0, at(5.0)),  # came while the device was busy
        (4.1, 8.0, at(6.5)),  # the device was done at 6.5
        (9.0, 9.5, at(8.5)),  # the device was done before the batch was asked for
    ]
    assert idle_seconds(fetches) == pytest.approx(2.0 + 0.0 + 1.5 + 0.5)
