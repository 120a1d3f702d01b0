"""How an error that a user can put right appears in a run: its sentence, without the way it came."""

from __future__ import annotations

import atexit
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg

from barcode_pipeline.errors import UserError

_BEFORE_A_SENTENCE = "dagster._core.definitions.events.Failure: "


@contextmanager
def told_in_one_sentence() -> Iterator[None]:
    """End the step with the sentence of a `UserError`; trying again would end the same way."""
    try:
        yield
    except UserError as error:
        # On the terminal Dagster buries the sentence under stack traces: there it is said once more at the end.
        if Path(sys.argv[0]).name == "dagster" and sys.argv[1:3] == ["asset", "materialize"]:
            atexit.register(print, f"\n{error}", file=sys.stderr)
        raise dg.Failure(description=str(error), allow_retries=False) from None


def sentence_of(event: dg.DagsterEvent) -> str:
    """What a step that failed says, without what Dagster puts before it."""
    error = event.step_failure_data.error
    while error and error.cause:
        error = error.cause
    return error.message.strip().removeprefix(_BEFORE_A_SENTENCE) if error else "failed"
