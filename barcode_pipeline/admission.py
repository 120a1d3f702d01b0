"""Past the gate: a new model against the one in service, and what becomes of it. No Dagster here.

However a training was started, its model comes through here. With none in service the first enters.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from barcode_pipeline.errors import UserError
from barcode_pipeline.evaluation.challenge import Decision
from barcode_pipeline.evaluation.exam import examine
from barcode_pipeline.models.lstm import LstmModel
from barcode_pipeline.models.registry import ModelEntry, ModelRegistry, facts_of
from barcode_pipeline.night_split import judging_window, read_paper
from barcode_pipeline.workspace import Workspace

Say = Callable[[str], None]


def admit(workspace: Workspace, model: LstmModel, say: Say = print, objection: str = "") -> ModelEntry:
    """Save a model, examine it against the one in service, and put it in service or keep it beside; returns what the
    journal says of it then. objection: why it is not to enter, however well it does.

    Killed at any moment, the pointer names a model that loads; a model whose exam did not end is `new`.
    """
    registry, now = ModelRegistry(workspace.models), _now(workspace)
    path = registry.add(model, now.date())
    registry.record(ModelEntry(model_file=path.name, added_at=_text(now), **facts_of(model)))
    decision = _judge(workspace, registry, model, say)
    if objection and registry.in_service() is not None:
        decision = Decision(False, f"{objection} (exam: {decision.reason})", decision.comparisons)
    entry = registry.entry(path.name).model_copy(update={"reason": decision.reason, "figures": decision.figures()})
    if decision.enters:
        registry.record(entry)
        registry.put_in_service(path, _text(_now(workspace)))
        say(f"in service: {path.name} ({decision.reason})")
    else:
        registry.record(entry.model_copy(update={"status": "kept"}))
        say(f"kept, not in service: {path.name} ({decision.reason})")
    for gone in registry.prune(workspace.configuration.retention.models):
        say(f"removed: {gone}, never in service and older than the models that are kept")
    return registry.entry(path.name)


def promote(workspace: Workspace, name: str) -> ModelEntry:
    """Put a model in service by hand; `UserError` where there is none of that name, or it does not load."""
    registry = ModelRegistry(workspace.models)
    path = registry.folder / registry.entry(name).model_file
    registry.load(path)
    registry.put_in_service(path, _text(_now(workspace)), "by hand")
    return registry.entry(path.name)


def roll_back(workspace: Workspace) -> ModelEntry:
    """Put the model in service again that was before the one that is."""
    registry = ModelRegistry(workspace.models)
    before = registry.before_in_service()
    if before is None:
        raise UserError("No other model was ever in service: there is nothing to roll back to.")
    return promote(workspace, before.model_file)


def _judge(workspace: Workspace, registry: ModelRegistry, challenger: LstmModel, say: Say) -> Decision:
    current = registry.in_service()
    if current is None:
        return Decision(True, "the first model: none was in service")
    budget = workspace.configuration.scoring.false_alerts_per_10k
    try:
        champion = registry.load(current, challenger.compute).at_budget(budget)
    except UserError as error:
        return Decision(True, f"the model in service cannot answer: {error}")
    first_second = max(judging_window(workspace).first_second, cut_of(champion), cut_of(challenger))
    paper = read_paper(workspace, first_second)
    say(f"examined against {current.name} on {int(paper.in_window.sum()):,} events of the newest days")
    replicates = workspace.configuration.evaluation.bootstrap_replicates
    return examine(champion, challenger.at_budget(budget), paper, replicates)


def cut_of(model: LstmModel) -> int:
    """The second before which a model may have learnt, 0 where it does not say."""
    cut = model.about.get("cut")
    return 0 if cut is None else int(np.datetime64(cut, "s").astype(np.int64))


def kept_challenger(workspace: Workspace) -> LstmModel | None:
    """The model that came after the one in service and was not let in, where there is one that loads."""
    registry = ModelRegistry(workspace.models)
    newest = max(reversed(registry.entries()), key=lambda entry: entry.added_at, default=None)
    if newest is None or newest.status != "kept":
        return None
    try:
        model = registry.load(registry.folder / newest.model_file)
    except UserError:
        return None
    return model.at_budget(workspace.configuration.scoring.false_alerts_per_10k)


def models_table(registry: ModelRegistry) -> str:
    """Every model with its figures, as text; the one in service is marked."""
    current, lines = registry.in_service(), []
    for entry in registry.entries():
        mark = "*" if current is not None and entry.model_file == current.name else " "
        start = f"from {entry.warm_from}" if entry.warm_from else "from nothing"
        trained = f"{start}, on {(entry.trained_from or '?')[:10]} to {(entry.trained_to or '?')[:10]}"
        since = f"in service since {entry.in_service_since}" if entry.in_service_since else entry.status
        lines.append(f"{mark} {entry.model_file:<28} {since:<40} trained {trained}")
        lines.extend(f"    {line}" for line in [_figures(entry.figures), entry.reason] if line)
    return "\n".join(lines) or f"There is no model in {registry.folder}: run `barcode-pipeline train`."


def _figures(figures: dict[str, float | None]) -> str:
    return ", ".join(f"{name} {value:.3f}" for name, value in figures.items() if value is not None and "(" not in name)


def about_in_service(registry: ModelRegistry) -> dict[str, Any]:
    """Who is in service, since when, trained on what, by name; empty without one."""
    current = registry.in_service()
    if current is None:
        return {}
    entry = registry.entry(current.name)
    return {
        "model in service": entry.model_file,
        "in service since": entry.in_service_since,
        "let in because": entry.reason or None,
        "trained from": entry.warm_from or "nothing",
        "trained on": f"{entry.trained_from} to {entry.trained_to}",
    }


def _now(workspace: Workspace) -> datetime.datetime:
    return datetime.datetime.now(ZoneInfo(workspace.configuration.time.zone))


def _text(moment: datetime.datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}"
