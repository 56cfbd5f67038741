"""CVSS base scores from vectors: 3.0 and 3.1 (FIRST's specification, section 7.1) and 2.0.

Version 4 vectors are kept by their level only, where the advisory states one: their score needs a table of
270 entries, which a later version brings.
"""

from __future__ import annotations

from typing import Final

from trustgate.scanning import Severity

MAX_VECTOR_CHARACTERS: Final = 300
_V3 = {
    "AV": {"N": 0.85, "A": 0.62, "L": 0.55, "P": 0.2},
    "AC": {"L": 0.77, "H": 0.44},
    "UI": {"N": 0.85, "R": 0.62},
    "C": {"H": 0.56, "L": 0.22, "N": 0.0},
    "I": {"H": 0.56, "L": 0.22, "N": 0.0},
    "A": {"H": 0.56, "L": 0.22, "N": 0.0},
}
_V3_PRIVILEGES = {"U": {"N": 0.85, "L": 0.62, "H": 0.27}, "C": {"N": 0.85, "L": 0.68, "H": 0.5}}
_V2 = {
    "AV": {"L": 0.395, "A": 0.646, "N": 1.0},
    "AC": {"H": 0.35, "M": 0.61, "L": 0.71},
    "Au": {"M": 0.45, "S": 0.56, "N": 0.704},
    "C": {"N": 0.0, "P": 0.275, "C": 0.66},
    "I": {"N": 0.0, "P": 0.275, "C": 0.66},
    "A": {"N": 0.0, "P": 0.275, "C": 0.66},
}


def base_score(kind: str, vector: str) -> float | None:
    """The base score of a ``CVSS_V3`` or ``CVSS_V2`` vector; ``None`` when it is not sound."""
    if len(vector) > MAX_VECTOR_CHARACTERS:
        return None
    fields = dict(part.partition(":")[::2] for part in vector.split("/"))
    try:
        if kind == "CVSS_V3" and vector.startswith("CVSS:3."):
            return _v3(fields)
        return _v2(fields) if kind == "CVSS_V2" else None
    except KeyError:
        return None


def level(score: float) -> Severity:
    """The qualitative rating of CVSS 3 and 4."""
    bounds = ((9.0, Severity.CRITICAL), (7.0, Severity.HIGH), (4.0, Severity.MEDIUM), (0.1, Severity.LOW))
    return next((name for bound, name in bounds if score >= bound), Severity.NONE)


def _v3(fields: dict[str, str]) -> float:
    value = {name: table[fields[name]] for name, table in _V3.items()}
    scope = fields["S"]
    privileges = _V3_PRIVILEGES[scope][fields["PR"]]
    lost = 1 - (1 - value["C"]) * (1 - value["I"]) * (1 - value["A"])
    impact = 6.42 * lost if scope == "U" else 7.52 * (lost - 0.029) - 3.25 * (lost - 0.02) ** 15
    if impact <= 0:
        return 0.0
    exploitability = 8.22 * value["AV"] * value["AC"] * privileges * value["UI"]
    total = impact + exploitability if scope == "U" else 1.08 * (impact + exploitability)
    return _round_up(min(total, 10.0))


def _round_up(value: float) -> float:
    """Section "Roundup" of the specification: in integers, so that no float error lifts a score."""
    scaled = round(value * 100_000)
    return scaled / 100_000 if scaled % 10_000 == 0 else (scaled // 10_000 + 1) / 10


def _v2(fields: dict[str, str]) -> float:
    value = {name: table[fields[name]] for name, table in _V2.items()}
    impact = 10.41 * (1 - (1 - value["C"]) * (1 - value["I"]) * (1 - value["A"]))
    exploitability = 20 * value["AV"] * value["AC"] * value["Au"]
    factor = 0.0 if impact == 0 else 1.176
    return round((0.6 * impact + 0.4 * exploitability - 1.5) * factor, 1)
