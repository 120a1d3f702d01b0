"""Model files and the pointer: never overwritten, never half-moved."""

from __future__ import annotations

import datetime
import json
import os

import pytest
import torch

from barcode_pipeline.errors import UserError
from barcode_pipeline.models.lstm import load_lstm
from barcode_pipeline.models.registry import POINTER, ModelRegistry
from barcode_pipeline_tests.models.untrained import random_model

DAY = datetime.date(2025, 8, 1)


@pytest.fixture
def registry(tmp_path):
    return ModelRegistry(tmp_path)


def test_files_of_one_day_are_numbered_and_none_is_overwritten(registry):
    names, contents = [], {}
    for seed in range(3):
        path = registry.add(random_model(seed), DAY)
        names.append(path.name)
        contents[path] = path.read_bytes()
    assert names == ["lstm_model_20250801.pt", "lstm_model_20250801_2.pt", "lstm_model_20250801_3.pt"]
    assert all(path.read_bytes() == content for path, content in contents.items())
    assert registry.add(random_model(), DAY + datetime.timedelta(days=1)).name == "lstm_model_20250802.pt"


def test_a_file_that_someone_put_there_stays(registry):
    path = registry.add(random_model(), DAY)
    path.write_bytes(b"mine")
    registry.add(random_model(), DAY)
    assert path.read_bytes() == b"mine"


def test_nothing_is_in_service_at_first(registry):
    assert registry.in_service() is None
    with pytest.raises(UserError, match=r"No model is in service.*barcode-pipeline train"):
        registry.load_in_service()


def test_adding_a_model_puts_none_in_service(registry):
    registry.add(random_model(), DAY)
    assert registry.in_service() is None


def test_the_pointer_moves(registry):
    paths = [registry.add(random_model(seed), DAY) for seed in range(2)]
    for path in (*paths, paths[0]):
        registry.put_in_service(path)
        assert registry.in_service() == path
        model, found = registry.load_in_service()
        assert found == path
        assert model.about == load_lstm(path).about
    assert json.loads((registry.folder / POINTER).read_text()) == {"model_file": paths[0].name}


def test_killed_while_the_pointer_moves_leaves_the_old_one(registry, monkeypatch):
    paths = [registry.add(random_model(seed), DAY) for seed in range(2)]
    registry.put_in_service(paths[0])

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        registry.put_in_service(paths[1])
    monkeypatch.undo()
    assert registry.in_service() == paths[0]
    registry.put_in_service(paths[1])
    assert registry.in_service() == paths[1]


def test_killed_while_a_file_is_written_leaves_no_file(registry, monkeypatch):
    def killed(content, path):
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", killed)
    with pytest.raises(KeyboardInterrupt):
        registry.add(random_model(), DAY)
    monkeypatch.undo()
    assert not list(registry.folder.glob("*.pt"))
    assert registry.add(random_model(), DAY).name == "lstm_model_20250801.pt"


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b'{"model_file": 3}', b'"lstm.pt"', b"\xff\xfe"])
def test_a_damaged_pointer_is_a_sentence(registry, content):
    registry.put_in_service(registry.add(random_model(), DAY))
    (registry.folder / POINTER).write_bytes(content)
    with pytest.raises(UserError, match=r"in_service\.json cannot be read.*barcode-pipeline train"):
        registry.load_in_service()


def test_a_pointer_to_a_file_that_is_gone_is_a_sentence(registry):
    path = registry.add(random_model(), DAY)
    registry.put_in_service(path)
    path.unlink()
    with pytest.raises(UserError, match=r"no model file .*lstm_model_20250801\.pt"):
        registry.load_in_service()
