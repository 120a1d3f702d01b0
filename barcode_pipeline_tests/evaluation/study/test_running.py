"""A killed study goes on where it was; what is there is not done again, unless it would come to something else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from barcode_pipeline.errors import UserError
from barcode_pipeline.evaluation.study.cells import Cell, chosen
from barcode_pipeline.evaluation.study.figures import headline
from barcode_pipeline.evaluation.study.results import Results, ResultsFile, as_text, key_of
from barcode_pipeline.evaluation.study.running import Answer, run, time_left
from barcode_pipeline.evaluation.study.worlds import WorldKey
from barcode_pipeline_tests.evaluation.study.made_up import cell, row

CELLS = [cell(arm=arm, world=world) for world in ("default", "missed_10") for arm in ("rules", "lstm")]


class Answers:
    """Answers with one row, notes what it was asked, and falls over at one cell."""

    def __init__(self, dies_at: str | None = None, recall: float = 0.5) -> None:
        self.asked: list[str] = []
        self.dies_at, self.recall = dies_at, recall

    def __call__(self, cell: Cell) -> Answer:
        if cell.key == self.dies_at:
            raise RuntimeError("killed")
        self.asked.append(cell.key)
        figures = row(model=cell.arm.name, variants="rule_visible", recall=self.recall)
        own = {name: value for name, value in figures.items() if name not in ("question", "arm", "world", "seed")}
        return Answer([own], 2.0, {"epochs": 3}, {"events": 7})


def fingerprint(cell: Cell) -> str:
    return f"as today {cell.key}"


@pytest.fixture
def file(tmp_path: Path) -> ResultsFile:
    return ResultsFile(tmp_path / "docs" / "study.json", tmp_path / "lock", headline)


def test_a_killed_study_goes_on(file: ResultsFile) -> None:
    first = Answers(dies_at=CELLS[2].key)
    with pytest.raises(RuntimeError, match="killed"):
        run(CELLS, fingerprint, first, file, say=lambda _: None)
    assert first.asked == [cell.key for cell in CELLS[:2]]
    assert set(file.read().cells) == set(first.asked)
    assert file.read().headline["truth_recall_rule_visible"]["value"] == 0.5
    second = Answers()
    results = run(CELLS, fingerprint, second, file, say=lambda _: None)
    assert second.asked == [cell.key for cell in CELLS[2:]]
    assert sorted(map(key_of, results.rows)) == sorted(cell.key for cell in CELLS)
    third = Answers()
    assert run(CELLS, fingerprint, third, file, say=lambda _: None) == file.read()
    assert third.asked == []


def test_what_would_come_to_something_else_is_answered_again(file: ResultsFile) -> None:
    run(CELLS, fingerprint, Answers(), file, say=lambda _: None)
    again = Answers(recall=0.9)
    changed = CELLS[3].key
    results = run(CELLS, lambda c: fingerprint(c) + ("!" if c.key == changed else ""), again, file, say=lambda _: None)
    assert again.asked == [changed]
    assert {key_of(one): one["recall"] for one in results.rows} == {
        c.key: 0.9 if c.key == changed else 0.5 for c in CELLS
    }
    once_more = Answers()
    run(CELLS[:1], fingerprint, once_more, file, again=True, say=lambda _: None)
    assert once_more.asked == [CELLS[0].key]


def test_other_seeds_and_notes_stay(file: ResultsFile) -> None:
    run([cell(seed=7)], fingerprint, Answers(), file, say=lambda _: None)
    file.change(lambda now: now.notes.update(main="what stands in the way"))
    results = run(CELLS, fingerprint, Answers(), file, say=lambda _: None)
    assert {one["seed"] for one in results.rows} == {1, 7}
    assert results.notes == {"main": "what stands in the way"}


def test_a_world_is_given_up_when_no_cell_ahead_needs_it(file: ResultsFile) -> None:
    told: list[tuple[str, str]] = []
    answers = Answers()

    def finished(world: WorldKey) -> None:
        told.append((world.name, answers.asked[-1]))

    run(CELLS, fingerprint, answers, file, finished, say=lambda _: None)
    assert told == [("default", CELLS[1].key), ("missed_10", CELLS[3].key)]


def test_progress_says_what_is_left(file: ResultsFile) -> None:
    said: list[str] = []
    run(CELLS, fingerprint, Answers(), file, say=said.append)
    assert said[0] == "4 cells, 0 of them there already"
    assert said[1].startswith(f"[1/4] {CELLS[0].key}") and said[1].endswith("left")


def test_time_left_goes_by_the_nearest_of_kin() -> None:
    results = Results()
    assert time_left(CELLS, results) is None
    for place, (question, arm, seconds) in enumerate(
        (("main", "lstm", 100.0), ("main", "rules", 2.0), ("size", "a", 9.0))
    ):
        results.cells[str(place)] = {"question": question, "arm": arm, "seconds": seconds}
    assert time_left([cell(arm="lstm"), cell(arm="lstm", seed=2), cell(arm="rules")], results) == 202.0
    assert time_left([cell(arm="new")], results) == 51.0
    assert time_left([cell("other", "new")], results) == 9.0


def test_cells_are_chosen_by_question_and_by_pattern() -> None:
    assert chosen(CELLS, []) == CELLS
    assert chosen(CELLS, ["main"]) == CELLS
    assert chosen(CELLS, ["*/lstm/*", "verdicts"]) == [CELLS[1], CELLS[3]]
    assert chosen(CELLS, ["mai"]) == []


def test_the_file_has_a_line_per_row_and_is_read_back(file: ResultsFile) -> None:
    results = run(CELLS, fingerprint, Answers(), file, say=lambda _: None)
    text = file.path.read_text(encoding="utf-8")
    assert text == as_text(results)
    assert sum(line.startswith('{"question"') for line in text.splitlines()) == len(CELLS)
    assert {"headline", "rows", "data", "model"} <= set(json.loads(text))


def test_a_broken_file_is_refused(file: ResultsFile) -> None:
    file.path.parent.mkdir()
    file.path.write_text("{")
    with pytest.raises(UserError, match="restore it from git"):
        file.read()
