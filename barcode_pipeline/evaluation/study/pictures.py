"""Pictures of the study: what the tables say, to be seen at a glance. They draw what the results hold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from barcode_pipeline.evaluation.naming import model_colour, model_name
from barcode_pipeline.evaluation.study import reading
from barcode_pipeline.evaluation.study.figures import over_seeds, verdict_curve
from barcode_pipeline.evaluation.study.reading import StudyRows
from barcode_pipeline.evaluation.study.results import Results
from barcode_pipeline.events.files import written_beside

DPI = 110
_GREY = "#666666"


@dataclass(frozen=True)
class Picture:
    """name: as the page asks for it. file: beside the page, in `pictures`. command: answers the cells it shows."""

    name: str
    title: str
    file: str
    command: str


_Draw = Callable[[Results], Figure | None]


def write_pictures(folder: Path, results: Results) -> list[Picture]:
    """Write every picture that there are results for; returns those."""
    written = []
    for name, (title, draw, cells) in _PICTURES.items():
        figure = draw(results)
        if figure is None:
            continue
        picture = Picture(name, title, f"study_{name}.png", f"make study CELLS={cells}")
        FigureCanvasAgg(figure)
        with written_beside(folder / picture.file) as beside:
            figure.savefig(beside, format="png", dpi=DPI, metadata={"Software": None})
        written.append(picture)
    return written


def _worlds(results: Results) -> Figure | None:
    """Each figure a panel, each model a row of points with its range, worlds side by side."""
    rows = StudyRows(results.rows)
    worlds, arms = rows.worlds("main"), rows.arms("main")
    columns = (reading.PR_AUC_ALL, reading.RECALL_AT_3, reading.PR_AUC_INVISIBLE)
    if not any(rows.values("main", arm, world, column) for arm in arms for world in worlds for column in columns):
        return None
    figure = Figure(figsize=(11.0, 3.6 * len(columns)), layout="constrained", dpi=DPI)
    for axes, column in zip(figure.subplots(len(columns), 1, sharex=True), columns, strict=True):
        for place, arm in enumerate(arms):
            across = np.arange(len(worlds)) + (place - len(arms) / 2) * 0.8 / len(arms)
            found = [over_seeds(rows.values("main", arm, world, column)) for world in worlds]
            known = [at for at, one in enumerate(found) if one["value"] is not None]
            value = np.array([found[at]["value"] for at in known])
            below = value - np.array([found[at]["low"] for at in known])
            above = np.array([found[at]["high"] for at in known]) - value
            axes.errorbar(
                across[known], value, [below, above], fmt="o", markersize=4, linewidth=1.2, color=model_colour(arm),
                label=model_name(arm),
            )  # fmt: skip
        axes.set(title=column.title, ylim=(-0.03, 1.03))
        axes.set_xticks(range(len(worlds)), [world.replace("_", " ") for world in worlds])
        axes.grid(True, axis="y", color="#e6e6e6", linewidth=0.7)
        axes.spines[["top", "right"]].set_visible(False)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=5, frameon=False, fontsize=9)
    return figure


def _variants(results: Results) -> Figure | None:
    """PR-AUC of each variant and model in the default world, as shades with numbers."""
    rows = StudyRows(results.rows)
    arms, variants = rows.arms("main"), rows.variants("main", "default")
    if not variants:
        return None
    found = [
        [over_seeds(rows.variant("main", arm, "default", label, variant))["value"] for arm in arms]
        for label, variant in variants
    ]
    values = np.array(found, dtype=float)  # NaN where there is none
    if np.isnan(values).all():
        return None
    figure = Figure(figsize=(3.0 + 0.9 * len(arms), 1.6 + 0.27 * len(variants)), layout="constrained", dpi=DPI)
    axes = figure.subplots()
    axes.imshow(values, cmap="Blues", vmin=0, vmax=1.2, aspect="auto")
    for (along, across), value in np.ndenumerate(values):
        if not np.isnan(value):
            shade = "white" if value > 0.75 else "#222222"
            axes.text(across, along, f"{value:.2f}", ha="center", va="center", fontsize=7.5, color=shade)
    axes.set_xticks(range(len(arms)), [model_name(arm) for arm in arms], rotation=35, ha="right", fontsize=8.5)
    axes.set_yticks(range(len(variants)), [f"{label}: {variant}" for label, variant in variants], fontsize=8)
    axes.tick_params(length=0)
    axes.set_title("PR-AUC by variant, default world", fontsize=11)
    return figure


def _verdicts(results: Results) -> Figure | None:
    """PR-AUC of what nobody planted over the number of verdicts, by the list and at random."""
    curves = {by: verdict_curve(results.rows, by) for by in ("list", "random")}
    if all(len(curve) < 2 for curve in curves.values()):
        return None
    figure = Figure(figsize=(7.5, 4.2), layout="constrained", dpi=DPI)
    axes = figure.subplots()
    for by, colour, name in (("list", "#0b5fa5", "review list"), ("random", _GREY, "at random")):
        counts = sorted(curves[by])
        found = [over_seeds(curves[by][count]) for count in counts]
        across = [max(count, 30) for count in counts]  # none, on a logarithmic axis
        axes.plot(across, [one["value"] for one in found], marker="o", color=colour, label=name)
        axes.fill_between(
            across, [one["low"] for one in found], [one["high"] for one in found], color=colour, alpha=0.15
        )
    ticks = sorted({count for curve in curves.values() for count in curve})
    axes.set(xscale="log", ylim=(-0.02, 1.02), xlabel="verdicts", ylabel="PR-AUC of variants that nobody planted")
    axes.set_xticks([max(count, 30) for count in ticks], [f"{count:,}" if count else "none" for count in ticks])
    axes.minorticks_off()
    axes.legend(frameon=False)
    axes.grid(True, color="#e6e6e6", linewidth=0.7)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


_PICTURES: dict[str, tuple[str, _Draw, str]] = {
    "worlds": ("Every model in every world: median over seeds, and range", _worlds, "main"),
    "variants": ("PR-AUC by variant and model", _variants, "main"),
    "verdicts": ("What verdicts bring", _verdicts, "verdicts"),
}
