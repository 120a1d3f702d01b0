"""What the journal says of models: who was in service, what was kept and why, and what is removed."""

from __future__ import annotations

import datetime
import os

import pytest

from barcode_pipeline.errors import UserError
from barcode_pipeline.models.registry import JOURNAL, ModelEntry, ModelRegistry
from barcode_pipeline_tests.models.untrained import random_model

DAY = datetime.date(2025, 8, 1)
MODEL = random_model()


@pytest.fixture
def registry(tmp_path):
    return ModelRegistry(tmp_path)


def added(registry: ModelRegistry, count: int) -> list:
    return [registry.add(MODEL, DAY) for _ in range(count)]


def statuses(registry: ModelRegistry) -> list[str]:
    return [entry.status for entry in registry.entries()]


def test_a_model_without_a_journal_is_listed_by_its_name_alone(registry):
    first, second = added(registry, 2)
    assert registry.entries() == [ModelEntry(model_file=first.name), ModelEntry(model_file=second.name)]
    assert registry.entry(second.stem) == registry.entry(second.name)
    with pytest.raises(UserError, match=r"no model lstm_model_1\.pt.*there are: lstm_model_20250801\.pt"):
        registry.entry("lstm_model_1.pt")


def test_what_was_recorded_comes_back(registry):
    (path,) = added(registry, 1)
    entry = ModelEntry(
        model_file=path.name, added_at="2025-08-01 02:10:00", start="warm", warm_from="other.pt", trained_from="a",
        trained_to="b", status="kept", reason="worse", figures={"PR-AUC": 0.5, "recall": None},
    )  # fmt: skip
    registry.record(entry)
    registry.record(entry.model_copy(update={"reason": "still worse"}))
    assert registry.entries() == [entry.model_copy(update={"reason": "still worse"})]


def test_back_and_back_again(registry):
    paths = added(registry, 3)
    for path, moment in zip(paths, ("1", "2", "3"), strict=True):
        registry.put_in_service(path, moment, "better")
    before = registry.before_in_service()
    assert before is not None and before.model_file == paths[1].name and before.reason == "better"
    registry.put_in_service(paths[1], "4")
    back = registry.before_in_service()
    assert back is not None and back.model_file == paths[2].name
    assert registry.entry(paths[1].name).in_service_since == "4"
    assert registry.entry(paths[1].name).reason == "better"


def test_nothing_was_before_the_first(registry):
    assert registry.before_in_service() is None
    registry.put_in_service(*added(registry, 1))
    added(registry, 1)
    assert registry.before_in_service() is None, "a model that was never in service is nothing to go back to"


@pytest.mark.parametrize("renamed", [0, 1, 2])
def test_killed_at_any_write_leaves_a_pointer_that_loads_and_a_journal_that_says_so(registry, monkeypatch, renamed):
    """0: before the one in service is written down. 1: before the pointer moves. 2: before the journal knows."""
    first, second = added(registry, 2)
    registry.put_in_service(first, "1")
    real, done = os.replace, []

    def killed_later(*paths):
        if len(done) == renamed:
            raise KeyboardInterrupt
        done.append(paths)
        real(*paths)

    monkeypatch.setattr(os, "replace", killed_later)
    with pytest.raises(KeyboardInterrupt):
        registry.put_in_service(second, "2")
    monkeypatch.undo()
    moved = renamed == 2
    assert registry.load_in_service()[1] == (second if moved else first)
    assert statuses(registry) == ["promoted", "promoted" if moved else "new"]
    assert registry.prune(0) == ([] if moved else [second.name])
    third = registry.add(MODEL, DAY)
    registry.put_in_service(third, "3")
    assert statuses(registry)[0] == "promoted"
    if moved:
        assert registry.entry(second.name).status == "promoted", "it was in service, whatever came in between"


def test_what_was_in_service_stays_and_of_the_others_the_newest(registry):
    paths = added(registry, 12)
    registry.put_in_service(paths[0], "1")
    registry.put_in_service(paths[3], "2")
    gone = registry.prune(4)
    assert gone == [paths[place].name for place in (1, 2, 4, 5, 6, 7)]
    assert [entry.model_file for entry in registry.entries()] == [paths[place].name for place in (0, 3, 8, 9, 10, 11)]
    assert all(path.exists() == (path.name not in gone) for path in paths)
    assert registry.prune(4) == []
    assert registry.in_service() == paths[3]


def test_a_damaged_journal_is_a_sentence(registry):
    (path,) = added(registry, 1)
    registry.put_in_service(path)
    (registry.folder / JOURNAL).write_text('[{"model_file": 3}]')
    with pytest.raises(UserError, match=r"journal\.json cannot be read: remove it"):
        registry.entries()
    assert registry.load_in_service()[1] == path, "who is in service does not hang on it"


def test_the_newest_model_never_takes_the_name_of_one_that_was_removed(registry):
    paths = added(registry, 4)
    assert registry.prune(2) == [paths[0].name, paths[1].name]
    newest = registry.add(MODEL, DAY)
    assert newest.name not in {path.name for path in paths}
    assert registry.prune(2) == [paths[2].name], "the newest is the last to go"
