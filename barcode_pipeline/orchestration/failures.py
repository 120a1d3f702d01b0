"""How an error that a user can put right appears in a run: its sentence, without the way it came."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from barcode_pipeline.errors import UserError


@contextmanager
def told_in_one_sentence() -> Iterator[None]:
    """End the step with the sentence of a `UserError`; trying again would end the same way."""
    try:
        yield
    except UserError as error:
        raise dg.Failure(description=str(error), allow_retries=False) from None
