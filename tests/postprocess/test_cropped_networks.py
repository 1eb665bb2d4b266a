"""A tile computed without what it does not need: the same bits as with it."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from dream.postprocess.cropped_networks import Margins, run_on_tile
from tests.postprocess.conftest import compact, rrdb


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize(
    ("network", "scale"),
    [
        (compact(64, 14), 4),
        (compact(16, 14), 4),
        (compact(24, 14, 2), 2),
        (rrdb(4, 1, 64, 32), 4),
        (rrdb(2, 1, 64, 32), 2),
        (rrdb(1, 1, 64, 32), 1),
    ],
)
@pytest.mark.parametrize(
    ("margins", "size"),
    [
        (Margins(16, 16, 16, 16), (20, 28)),
        (Margins(0, 16, 0, 8), (16, 32)),
        (Margins(), (20, 12)),
        (Margins(12, 0, 16, 0), (4, 60)),
    ],
)
def test_the_bits_are_those_of_the_network(
    network: nn.Module, scale: int, margins: Margins, size: tuple[int, int], dtype: torch.dtype
) -> None:
    network = network.to(dtype).to(memory_format=torch.channels_last)
    height, width = size[0] + margins.top + margins.bottom, size[1] + margins.left + margins.right
    image = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(0))
    around = image.to(dtype).contiguous(memory_format=torch.channels_last)
    top, bottom, left, right = margins.scale(scale)
    with torch.inference_mode():
        whole = network(around)
        expected = whole[:, :, top : whole.shape[2] - bottom, left : whole.shape[3] - right]
        found = run_on_tile(network, around, margins, scale)
    assert found.shape == (1, 3, size[0] * scale, size[1] * scale)
    assert torch.equal(found, expected)


def test_another_engine_computes_all_of_it() -> None:
    network = compact(16, 14).to(memory_format=torch.channels_last)
    seen: list[torch.Size] = []
    own = network.forward

    def forward(around: torch.Tensor) -> torch.Tensor:
        seen.append(around.shape)
        made: torch.Tensor = own(around)
        return made

    around = torch.rand(1, 3, 24, 24).contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        expected = run_on_tile(network, around, Margins(8, 0, 0, 8), 4)
        network.forward = forward  # type: ignore[method-assign]
        assert torch.equal(run_on_tile(network, around, Margins(8, 0, 0, 8), 4), expected)
    assert seen == [around.shape]
