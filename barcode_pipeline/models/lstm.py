"""The LSTM as a detector: journeys in, calibrated probabilities out, and the file that holds all it needs."""

from __future__ import annotations

import math
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from barcode_pipeline.errors import UserError
from barcode_pipeline.events.files import written_beside
from barcode_pipeline.events.formats import FORMAT_VERSION, LABELS
from barcode_pipeline.models.calibration import Calibration, calibrate, thresholds_carried_on
from barcode_pipeline.models.compute import Compute
from barcode_pipeline.models.foresight import Foresight
from barcode_pipeline.models.network import Architecture, SequenceNetwork
from barcode_pipeline.models.ordinary import nothing_ordinary, ordinary_values
from barcode_pipeline.models.passes import distinct_scoring_passes, distinct_training_passes
from barcode_pipeline.models.second_opinion import POINTS, SecondOpinion, heard
from barcode_pipeline.models.training import Say, train_network
from barcode_pipeline.models.training_settings import TrainingSettings
from barcode_pipeline.sequences.features import FEATURE_NAMES, FEATURE_VERSION
from barcode_pipeline.sequences.journey_features import JourneyFeatures

_SCORING_STEPS = 65_536
_SECOND_TABLES = {"rarities": len(LABELS) + 1, "together": len(LABELS), "alone": len(LABELS)}
"""Of a second opinion, and how many rows each has."""


@dataclass(frozen=True)
class LstmModel:
    """A trained network with all that scoring needs.

    calibration: from validation. about: provenance (training span, data fingerprint, teacher, versions, history
    of training): plain values only. ordinary: what is ordinary for each step (`ordinary.ordinary_values`), against
    which reasons are given. second: the opinion that is heard below the thresholds (`second_opinion`), None where there
    is none; scores, alerts and reasons are the network's alone.
    """

    network: SequenceNetwork
    calibration: Calibration
    about: dict[str, Any] = field(default_factory=dict)
    compute: Compute = field(default_factory=Compute)
    ordinary: np.ndarray = field(default_factory=nothing_ordinary)
    second: SecondOpinion | None = None

    @property
    def networks(self) -> list[SequenceNetwork]:
        """Those that read events: its own, and the second opinion's where there is one."""
        return [self.network] if self.second is None else [self.network, self.second.network]

    def scores(self, journeys: JourneyFeatures) -> np.ndarray:
        """(N, 5) float32 log-odds of every event. The same passes are computed once."""
        return read_out([self.network], journeys, self.compute)[0]

    def probabilities(self, journeys: JourneyFeatures) -> np.ndarray:
        """(N, 5) float32, calibrated; below the thresholds the second opinion is heard."""
        scores = read_out(self.networks, journeys, self.compute)
        surprise = None if self.second is None else self.second.foresight.of_journeys(journeys)
        return self.probabilities_of(scores, surprise)

    def probabilities_of(self, scores: Sequence[np.ndarray], surprise: np.ndarray | None) -> np.ndarray:
        """(N, 5) float32. scores: of each of `networks`, (N, 5). surprise: (N,), None without a second opinion."""
        if self.second is None or surprise is None:
            return self.calibration.probabilities(scores[0])
        return heard(self.calibration, scores[0], self.second.moved(scores[0], scores[1], surprise))

    @property
    def losses(self) -> tuple[float, float]:
        """Its loss in training and on validation at the epoch that it was left at, NaN where it does not say."""
        rows = [row for row in self.about.get("history", ()) if "validation_loss" in row]
        best: dict[str, float] = min(rows, key=lambda row: row["validation_loss"], default={})
        return float(best.get("train_loss", math.nan)), float(best.get("validation_loss", math.nan))

    def at_budget(self, budget: float) -> LstmModel:
        """The same model with the thresholds of a budget of false alerts."""
        return replace(self, calibration=self.calibration.at_budget(budget))


def read_out(networks: Sequence[SequenceNetwork], journeys: JourneyFeatures, compute: Compute) -> list[np.ndarray]:
    """What each network says of every event, (N, 5) float32 each; they read windows of one length."""
    out = [np.zeros((len(journeys), len(LABELS)), dtype=np.float32) for _ in networks]
    ready = [network.to(compute.device).eval() for network in networks]
    with torch.inference_mode():
        for features, passes, inverse in distinct_scoring_passes(journeys, ready[0].architecture.longest):
            step, read = max(1, _SCORING_STEPS // passes.length), passes.read()
            for network, found in zip(ready, out, strict=True):
                parts = [
                    network(torch.from_numpy(features[i : i + step].astype(np.float32)).to(compute.device)).cpu()
                    for i in range(0, len(features), step)
                ]
                found[passes.rows[read]] = torch.cat(parts).numpy()[inverse][read]
    return out


def fit_network(
    journeys: JourneyFeatures,
    targets: np.ndarray,
    weight: np.ndarray,
    validation: np.ndarray,
    architecture: Architecture,
    settings: TrainingSettings,
    compute: Compute,
    checkpoint: Path | None = None,
    say: Say = print,
    start: SequenceNetwork | None = None,
) -> tuple[SequenceNetwork, list[dict[str, float]]]:
    """(a network that has learnt, a row of figures per epoch). Arguments as `train_lstm` has them."""
    use, seen_in_validation = weight > 0, validation > 0
    if not use.any() or not validation.any():
        raise UserError(
            "There are too few events to train on and to validate by: take in more data, or lower "
            "split.validation_lots in configuration.toml."
        )
    training_passes = distinct_training_passes(journeys, targets, weight, architecture.longest)
    validation_passes = distinct_training_passes(journeys, targets, validation, architecture.longest)
    torch.manual_seed(settings.seed)
    network = SequenceNetwork(architecture)
    steps = [some.weights > 0 for some in training_passes]
    if start is not None:
        network.load_state_dict(start.state_dict())
    else:
        parts = list(zip(training_passes, steps, strict=True))
        network.set_scaling(
            np.concatenate([some.features[read] for some, read in parts]).astype(float),
            np.concatenate([some.weights[read] for some, read in parts]).astype(float),
        )
        # Half a positive and half a negative more keep the rates off 0 and 1.
        heavy = weight.astype(np.float64)
        network.set_base_rates((heavy @ targets + 0.5) / (heavy.sum() + 1))
    say(
        f"training on {int(use.sum()):,} events, {sum(int(read.sum()) for read in steps):,} of them distinct, "
        f"validating on {int(seen_in_validation.sum()):,}, on {compute.describe()}"
    )
    with compute.few_threads():
        history = train_network(
            network, training_passes, validation_passes, settings, compute, checkpoint, say, start is not None
        )
    return network, history


def train_lstm(
    journeys: JourneyFeatures,
    targets: np.ndarray,
    weight: np.ndarray,
    validation: np.ndarray,
    architecture: Architecture,
    settings: TrainingSettings,
    compute: Compute,
    about: dict[str, Any] | None = None,
    checkpoint: Path | None = None,
    say: Say = print,
    start: LstmModel | None = None,
    real: tuple[JourneyFeatures, np.ndarray] | None = None,
) -> LstmModel:
    """Train, stop early and calibrate. weight, validation: (N,) float (or bool for 1 and 0), the weights of events in
    learning and in choosing. start: a model whose architecture, weights, scaling and thresholds are gone on from
    (`thresholds_carried_on`); its second opinion stays. real: journeys as they are and which of their events
    `calibrate` looks at, where the targets are planted."""
    begun = None if start is None else start.network
    architecture = architecture if begun is None else begun.architecture
    network, history = fit_network(
        journeys, targets, weight, validation, architecture, settings, compute, checkpoint, say, begun
    )
    use, seen_in_validation = weight > 0, validation > 0
    plain = LstmModel(network, Calibration(np.ones(5), np.zeros(5), np.full(5, 0.5)), {}, compute)
    chosen, rows = journeys.select(journeys.with_any(seen_in_validation))
    seen = seen_in_validation[rows]
    scores_of_real = None if real is None else plain.scores(real[0])[real[1]]
    scores, weights = plain.scores(chosen)[seen], validation[rows][seen]
    calibration = calibrate(scores, targets[rows][seen], weights, scores_of_real, log_odds=True)
    if start is not None:
        ordinary = ~targets[rows][seen].any(axis=1)
        before = start.scores(chosen)[seen][ordinary]
        calibration = thresholds_carried_on(start.calibration, calibration, before, scores[ordinary], weights[ordinary])
    facts = {
        **(about or {}),
        "training": asdict(settings),
        "history": history,
        "events_trained_on": int(use.sum()),
        "positives_trained_on": dict(zip(LABELS, targets[use].sum(axis=0).tolist(), strict=True)),
        "device": compute.describe(),
        "versions": {"python": platform.python_version(), "torch": str(torch.__version__), "numpy": np.__version__},
    }
    usual = ordinary_values(journeys, targets, weight, settings.seed)
    kept = None if start is None else start.second
    return replace(plain, calibration=calibration, about=facts, ordinary=usual, second=kept)


def save_lstm(model: LstmModel, path: Path) -> None:
    """Write the file, beside and renamed: plain values and tensors only."""
    content = {
        "format_version": FORMAT_VERSION,
        "feature_version": FEATURE_VERSION,
        "feature_names": list(FEATURE_NAMES),
        "labels": list(LABELS),
        **_network_content(model.network),
        "calibration": {name: torch.from_numpy(value) for name, value in asdict(model.calibration).items()},
        "ordinary": torch.from_numpy(model.ordinary),
        "about": model.about,
        # No vocabulary is learnt: places and steps enter through what lies between events, not by name.
        "vocabularies": {},
        "second_opinion": None if model.second is None else _second_content(model.second),
    }
    with written_beside(path) as beside:
        torch.save(content, beside)


def _network_content(network: SequenceNetwork) -> dict[str, Any]:
    weights = {name: tensor.cpu() for name, tensor in network.state_dict().items()}
    return {"architecture": asdict(network.architecture), "weights": weights}


def _second_content(second: SecondOpinion) -> dict[str, Any]:
    return {
        **_network_content(second.network),
        "foresight": {name: torch.from_numpy(value) for name, value in asdict(second.foresight).items()},
        **{name: torch.from_numpy(getattr(second, name)) for name in _SECOND_TABLES},
        "depth": second.depth,
    }


def _network_of(content: dict[str, Any]) -> SequenceNetwork:
    network = SequenceNetwork(Architecture(**content["architecture"]))
    network.load_state_dict(content["weights"])
    return network.eval()


def _model_of(content: dict[str, Any], compute: Compute) -> LstmModel:
    network = _network_of(content)
    calibration = Calibration(**{name: value.numpy() for name, value in content["calibration"].items()})
    about, ordinary = dict(content["about"]), content["ordinary"].numpy()
    if any(value.shape[-1:] != (len(LABELS),) for value in asdict(calibration).values()):
        raise ValueError("the calibration is not of five labels")
    if ordinary.shape != nothing_ordinary().shape:
        raise ValueError("what is ordinary is not of these features")
    # Older files have none, or one that was heard otherwise.
    opinion = content.get("second_opinion")
    second = None if opinion is None or "together" not in opinion else _second_of(opinion)
    if second is not None and second.network.architecture.longest != network.architecture.longest:
        raise ValueError("its networks read windows of other lengths")
    return LstmModel(network, calibration, about, compute, ordinary, second)


def _second_of(content: dict[str, Any]) -> SecondOpinion:
    foresight = Foresight(**{name: value.numpy() for name, value in content["foresight"].items()})
    tables = {name: content[name].numpy() for name in _SECOND_TABLES}
    if any(tables[name].shape != (rows, POINTS) for name, rows in _SECOND_TABLES.items()) or not foresight.is_complete:
        raise ValueError("the second opinion is not complete")
    return SecondOpinion(_network_of(content), foresight, depth=float(content["depth"]), **tables)


def load_lstm(path: Path, compute: Compute | None = None) -> LstmModel:
    """Read a file without running code from it; `UserError` where it does not fit this program."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise UserError(f"There is no model file {path}: run `barcode-pipeline train`.") from None
    except Exception as error:
        raise UserError(
            f"{path} is no model file ({type(error).__name__}): train again, or restore the file."
        ) from error
    expected = {
        "format_version": FORMAT_VERSION,
        "feature_version": FEATURE_VERSION,
        "feature_names": list(FEATURE_NAMES),
        "labels": list(LABELS),
    }
    for name, value in expected.items():
        found = content.get(name) if isinstance(content, dict) else None
        if found != value:
            raise UserError(
                f"{path} does not fit this program: its {name} is {_short(found)}, not {_short(value)}. "
                "Train again with `barcode-pipeline train`."
            )
    try:
        return _model_of(content, compute or Compute())
    except (KeyError, TypeError, ValueError, RuntimeError, AttributeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{path} is damaged ({reason}): train again, or restore the file.") from error


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}…"
