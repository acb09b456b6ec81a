"""Unpacking ahead: in order, as soon as all below is there, and never the topmost."""

import pytest

from buildtool.diag import BuildError
from buildtool.digest import Digest, sha256
from buildtool.executor.ahead import Ahead
from buildtool.executor.work import ChainTree, LayerRef

LAYERS = [LayerRef(sha256(bytes([n])), sha256(bytes([n, n]))) for n in range(4)]


def unpacked(order: list[int], there: tuple[int, ...] = ()) -> list[int]:
    """How many layers the chains had that were unpacked, when layers arrived in an order."""
    seen: list[int] = []
    known = {LAYERS[n].diff_id for n in there}

    def unpack(chain: ChainTree) -> None:
        assert list(chain.layers) == LAYERS[: len(chain.layers)]
        seen.append(len(chain.layers))

    with Ahead(LAYERS, lambda layer: layer.diff_id in known, unpack) as ahead:
        for number in order:
            ahead.arrived(LAYERS[number].diff_id)
    return seen


@pytest.mark.parametrize(
    ("order", "there", "chains"),
    [
        ([0, 1, 2, 3], (), [1, 2, 3]),
        ([3, 2, 1, 0], (), []),
        ([1, 0, 3, 2], (), [2]),
        ([2], (0, 1, 3), []),
        ([1, 3], (0, 2), [3]),
    ],
)
def test_in_order_from_the_bottom(order: list[int], there: tuple[int, ...], chains: list[int]) -> None:
    assert unpacked(order, there) == chains


def test_what_goes_wrong_is_raised_at_the_end() -> None:
    def unpack(chain: ChainTree) -> None:
        raise BuildError("corrupt-blob", "broken")

    with pytest.raises(BuildError, match="broken"), Ahead(LAYERS, lambda layer: False, unpack) as ahead:
        ahead.arrived(LAYERS[0].diff_id)


def test_an_error_of_the_download_comes_first() -> None:
    def download() -> None:
        with Ahead(LAYERS, lambda layer: False, print) as ahead:
            ahead.arrived(Digest(LAYERS[0].diff_id))
            raise ValueError("download")

    with pytest.raises(ValueError, match="download"):
        download()
