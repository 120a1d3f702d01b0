"""The training set on disk: as it was written, mapped, replaced as a whole or not at all."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest

from barcode_pipeline.errors import UserError
from barcode_pipeline.events.files import POINTER
from barcode_pipeline.events.formats import FORMAT_VERSION
from barcode_pipeline.sequences.features import FEATURE_NAMES, FEATURE_VERSION
from barcode_pipeline.sequences.training_set import (
    ARRAYS,
    newest_training_set,
    read_training_set,
    write_training_set,
)

ABOUT = {"feature_version": FEATURE_VERSION, "cut": "2025-08-01T00:00:00"}


def arrays_of(seed, count=50):
    random = np.random.default_rng(seed)
    return {
        "features": random.normal(size=(count, len(FEATURE_NAMES))).astype(np.float16),
        "rule_labels": random.random((count, 5)) < 0.1,
        "offsets": np.arange(0, count + 1, 5, dtype=np.int64),
        "time": random.integers(0, 10**9, count),
        "lot": random.integers(0, 5, count).astype(np.int32),
        "part": random.integers(0, 5, count).astype(np.uint8),
        "source": random.permutation(count),
    }


def folders(folder):
    return sorted(path.name for path in folder.iterdir() if path.is_dir())


@pytest.mark.parametrize("count", [0, 50])
def test_comes_back_memory_mapped_as_it_was(tmp_path, count):
    arrays = arrays_of(1, count)
    about = write_training_set(tmp_path, arrays, ABOUT)
    found = read_training_set(tmp_path)
    assert len(found) == count
    assert found.about == about
    assert about.items() >= ABOUT.items()
    for name in ARRAYS:
        array = getattr(found, name)
        assert isinstance(array, np.memmap) or not array.size
        assert array.dtype == arrays[name].dtype
        np.testing.assert_array_equal(array, arrays[name])
        if array.size:
            with pytest.raises(ValueError, match="read-only"):
                array[0] = 0


def test_the_newest_is_what_was_made_last_however_far_the_other_goes(tmp_path):
    """All dates may have been split before they had rows: a night that brings some is newer all the same."""
    every, night = tmp_path / "every", tmp_path / "night"
    with pytest.raises(UserError, match=r"no training set in .*every"):
        newest_training_set([every, night])
    write_training_set(every, arrays_of(1), {**ABOUT, "last_date": "2025-12-31"})
    # File systems tell moments apart that are some milliseconds apart.
    os.utime(every / POINTER, (1, 1))
    write_training_set(night, arrays_of(2), {**ABOUT, "last_date": "2025-12-01"})
    assert newest_training_set([every, night]).about["last_date"] == "2025-12-01"
    write_training_set(every, arrays_of(1), {**ABOUT, "last_date": "2025-12-31"})
    assert newest_training_set([every, night]).about["last_date"] == "2025-12-31"


def test_same_content_has_the_same_name_and_the_same_bytes(tmp_path):
    for folder in (tmp_path / "a", tmp_path / "b"):
        write_training_set(folder, arrays_of(1), ABOUT)
    assert folders(tmp_path / "a") == folders(tmp_path / "b")
    for path in (tmp_path / "a").rglob("*"):
        if path.is_file():
            assert path.read_bytes() == (tmp_path / "b" / path.relative_to(tmp_path / "a")).read_bytes()


def test_every_array_and_fact_has_a_part_in_the_name(tmp_path):
    names = {write_training_set(tmp_path, arrays_of(1), ABOUT)["fingerprint"]}
    for name in ARRAYS:
        names.add(write_training_set(tmp_path, {**arrays_of(1), name: arrays_of(2)[name][::-1]}, ABOUT)["fingerprint"])
    names.add(write_training_set(tmp_path, arrays_of(1), {**ABOUT, "cut": "other"})["fingerprint"])
    assert len(names) == len(ARRAYS) + 2


def test_writing_the_same_again_leaves_the_files_alone(tmp_path):
    write_training_set(tmp_path, arrays_of(1), ABOUT)
    (current,) = folders(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / current).rglob("*")}
    write_training_set(tmp_path, arrays_of(1), ABOUT)
    assert folders(tmp_path) == [current]
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / current).rglob("*")} == before


def test_another_content_takes_its_place(tmp_path):
    write_training_set(tmp_path, arrays_of(1), ABOUT)
    write_training_set(tmp_path, arrays_of(2), ABOUT)
    np.testing.assert_array_equal(read_training_set(tmp_path).features, arrays_of(2)["features"])
    assert len(folders(tmp_path)) == 1


def test_a_mapped_set_stays_readable_while_it_is_replaced(tmp_path):
    write_training_set(tmp_path, arrays_of(1), ABOUT)
    before = read_training_set(tmp_path)
    write_training_set(tmp_path, arrays_of(2), ABOUT)
    np.testing.assert_array_equal(before.features, arrays_of(1)["features"])


def test_killed_while_writing_leaves_the_old_one(tmp_path, monkeypatch):
    write_training_set(tmp_path, arrays_of(1), ABOUT)
    save, saved = np.save, []

    def save_two(path, array, **more):
        if len(saved) == 2:
            raise KeyboardInterrupt
        saved.append(path)
        save(path, array, **more)

    monkeypatch.setattr(np, "save", save_two)
    with pytest.raises(KeyboardInterrupt):
        write_training_set(tmp_path, arrays_of(2), ABOUT)
    monkeypatch.undo()
    np.testing.assert_array_equal(read_training_set(tmp_path).features, arrays_of(1)["features"])
    write_training_set(tmp_path, arrays_of(2), ABOUT)
    np.testing.assert_array_equal(read_training_set(tmp_path).features, arrays_of(2)["features"])
    assert len(folders(tmp_path)) == 1, "what was half-written is still there"


def test_without_one_the_error_says_what_to_do(tmp_path):
    with pytest.raises(UserError, match=r"no training set.*make run"):
        read_training_set(tmp_path)


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("format_version", FORMAT_VERSION + 1, "format version"),
        ("feature_version", FEATURE_VERSION + 1, "features of version"),
    ],
)
def test_another_version_is_refused(tmp_path, key, value, words):
    write_training_set(tmp_path, arrays_of(1), ABOUT)
    path = next(tmp_path.rglob("about.json"))
    path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))
    with pytest.raises(UserError, match=rf"{words}.*train_eval_split again"):
        read_training_set(tmp_path)
