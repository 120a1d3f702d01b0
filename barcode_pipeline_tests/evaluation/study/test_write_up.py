"""The page, made of a small study file and of nothing else."""

from __future__ import annotations

import json
from pathlib import Path

from barcode_pipeline.evaluation.metrics import EACH_INVISIBLE
from barcode_pipeline.evaluation.study.figures import headline
from barcode_pipeline.evaluation.study.results import Results, as_text
from barcode_pipeline.evaluation.study.write_up import study_page, write_study_page
from barcode_pipeline_tests.evaluation.study.made_up import row


def small_study(seeds: tuple[int, ...] = (1, 2)) -> Results:
    rows = []
    for seed in seeds:
        for arm, shift in (("rules", 0.0), ("lstm", 0.1), ("gradient_boosting", 0.05)):
            for world in ("default", "missed_10"):
                value = 0.8 + shift + 0.01 * seed
                samples = [value - 0.01, value, value + 0.01] if world == "default" else []
                rows.append(row(arm=arm, world=world, seed=seed, pr_auc=value, pr_auc_samples=samples))
                rows.append(row(arm=arm, world=world, seed=seed, variants=EACH_INVISIBLE, pr_auc=value - 0.2))
                rows.append(row(arm=arm, world=world, seed=seed, variants="rule_visible", recall=0.5))
                rows.append(row(arm=arm, world=world, seed=seed, label="any", false_alerts_per_10k=2.5))
                rows.append(row(arm=arm, world=world, seed=seed, label="epcDup", variants="slow_clone", pr_auc=0.0))
        rows.append(row("left_out", "without_slow_clone", seed=seed, label="epcDup", variants="slow_clone", pr_auc=0.3))
        for arm, value in (("none", 0.1), ("list_100", 0.5), ("random_100", 0.2)):
            rows.append(
                row("verdicts", arm, seed=seed, label="epcDup", variants="slow_clone", pr_auc=value, model="lstm")
            )
        rows.append(row("cold_start", "first_2_by_rules", seed=seed, model="lstm", pr_auc=0.77))
    cells = {
        "verdicts/list_100/default/1": {
            "question": "verdicts", "arm": "list_100", "world": "default", "seed": 1, "seconds": 1.0,
            "facts": {"asked": 100, "found": {"slow_clone": 4}, "found_in_500": {"slow_clone": 4}},
        }
    }  # fmt: skip
    return Results(headline(rows, cells), {}, {}, cells, {"cold_start": "Two are enough."}, rows)


def test_the_page_says_what_the_file_holds() -> None:
    page = study_page(small_study())
    assert "| `truth_pr_auc_all` | ≥ 0.97 | 0.915 (0.910–0.920) | no | 0.815 (0.810–0.820) |" in page
    assert "gradient boosting 0.865 (0.860–0.870) |" in page
    assert "| `truth_false_alerts_per_10k` | ≤ 3 | 2.5 (2.5–2.5) | yes |" in page
    boosting = "| gradient boosting | 0.9150 (0.9055 to 0.9245) | 0.8650 (0.8555 to 0.8745) | 2 of 2 |"
    assert f"{boosting} +0.0500 (+0.0500 to +0.0500) | 2 of 2 |" in page
    assert "| `slow_clone` | copy_while_waiting, copy_goes_on | 0.000 (0.000–0.000) | 0.300 (0.300–0.300) | – |" in page
    assert "| chosen by the review list | 0.100 (0.100–0.100) | 0.500 (0.500–0.500) |" in page
    assert "| list_100 | 1 | 4 |" in page
    assert "| first 2 by rules | 0.770 (0.770–0.770) |" in page
    assert "Two are enough." in page
    assert "No fresh seed was run yet" in page
    assert "<" not in page.replace("<=", "")


def test_what_was_not_reached_stands_under_the_headline() -> None:
    results = small_study()
    results.notes["not_reached"] = "It cannot be told apart."
    page = study_page(results)
    assert "### Where a target is not reached\n\nIt cannot be told apart.\n" in page
    assert page.index("truth_pr_auc_all") < page.index("not reached") < page.index("## In every world")
    assert "not reached" not in study_page(small_study())


def test_the_page_tells_fresh_seeds_from_others() -> None:
    page = study_page(small_study((1, 101)))
    assert "fresh seeds 101," in page
    assert "| `truth_pr_auc_all` | ≥ 0.97 | 1.910 | yes |" in page  # the made-up value of seed 101 alone


def test_page_and_pictures_are_made_from_the_file_alone(tmp_path: Path) -> None:
    results = Results(**json.loads(as_text(small_study())))
    write_study_page(tmp_path / "study.md", results)
    page = (tmp_path / "study.md").read_text(encoding="utf-8")
    for name in ("worlds", "variants", "verdicts"):
        picture = tmp_path / "pictures" / f"study_{name}.png"
        assert picture.read_bytes().startswith(b"\x89PNG") and f"(pictures/{picture.name})" in page
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.*")}
    write_study_page(tmp_path / "study.md", results)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.*")} == before


def test_an_empty_study_has_a_page(tmp_path: Path) -> None:
    write_study_page(tmp_path / "study.md", Results())
    assert "# The study" in (tmp_path / "study.md").read_text(encoding="utf-8")
    assert not (tmp_path / "pictures").exists()
