"""How an error that a user can put right appears in a run: its sentence, without the way it came."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

# No public exception ends a step without a stack trace. These two carry errors over from other processes, and Dagster
# shows what they carry as it is.
from dagster._core.errors import DagsterUserCodeProcessError
from dagster._utils.error import SerializableErrorInfo

from barcode_pipeline.errors import UserError


@contextmanager
def told_in_one_sentence() -> Iterator[None]:
    """End the step with the sentence of a `UserError`, no stack trace around it."""
    try:
        yield
    except UserError as error:
        sentence = SerializableErrorInfo(str(error), stack=[], cls_name=None)
        raise DagsterUserCodeProcessError(str(error), user_code_process_error_infos=[sentence]) from None


def sentence_of(event: dg.DagsterEvent) -> str:
    """What a step that failed says, the last of its causes."""
    error = event.step_failure_data.error
    while error and error.cause:
        error = error.cause
    return error.message.strip() if error else "failed"
