"""Which device computes."""

from __future__ import annotations

import pytest
import torch

from barcode_pipeline.errors import UserError
from barcode_pipeline.models.compute import Compute


@pytest.fixture
def card(monkeypatch):
    """Say whether there is a CUDA device."""
    return lambda there: monkeypatch.setattr(torch.cuda, "is_available", lambda: there)


@pytest.mark.parametrize(
    ("there", "asked", "chosen"),
    [
        (True, "auto", "cuda"),
        (False, "auto", "cpu"),
        (True, "cpu", "cpu"),
        (False, "cpu", "cpu"),
        (True, "cuda", "cuda"),
    ],
)
def test_auto_takes_cuda_where_there_is_one(card, there, asked, chosen):
    card(there)
    assert Compute.choose(asked).device == chosen


def test_cuda_without_a_card_is_refused_by_key(card):
    card(False)
    with pytest.raises(UserError, match=r"training\.device is cuda.*set it to auto or cpu"):
        Compute.choose("cuda")


def test_half_precision_is_for_cuda_alone(card):
    card(False)
    assert Compute.choose("auto", "bfloat16") == Compute("cpu", "float32")
    card(True)
    assert Compute.choose("auto", "bfloat16") == Compute("cuda", "bfloat16")


def test_float32_changes_no_result():
    a = torch.randn(3, 3)
    with Compute().autocast():
        assert (a @ a).dtype == torch.float32


def test_threads_come_back_after_the_block():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with pytest.raises(KeyError), Compute().few_threads():
            assert torch.get_num_threads() == 1
            raise KeyError
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_describes_itself():
    assert Compute().describe() == "cpu (float32)"
