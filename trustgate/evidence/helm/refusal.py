"""Why a provenance, or the chart that it is about, is not accepted."""

from __future__ import annotations


class HelmRefused(ValueError):
    """The bytes are not what they claim to be. The message says what was expected and what was found."""


class HelmNotUnderstood(HelmRefused):
    """Sound, and of a kind that this version does not judge."""
