"""The error that a user is meant to read."""

from __future__ import annotations


class UserError(Exception):
    """Something the user can put right. Its text says what is wrong, where, and what to do."""
