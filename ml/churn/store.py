"""Models of churn to and from text files and JSON.

What does not belong here: the digest and the folder layout (`ml.models`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ml.churn.boosted import Boosted
from ml.churn.fitting import Blend, Model
from ml.churn.rules import BgNbdRule, LogitModel

FOLDER = "churn"
_TREES = "lightgbm.txt"


def pack(model: Model) -> tuple[dict[str, str], dict[str, Any]]:
    """(text files, JSON-able parameters by model name) of a model and its parts."""
    if isinstance(model, Blend):
        files: dict[str, str] = {}
        parameters: dict[str, Any] = {model.name: model.as_dict()}
        for part in model.parts:
            part_files, part_parameters = pack(part)
            files |= part_files
            parameters |= part_parameters
        return files, parameters
    files = {_TREES: model.text} if isinstance(model, Boosted) else {}
    return files, {model.name: model.as_dict()}


def unpack(name: str, parameters: Mapping[str, Any], files: Mapping[str, str]) -> Model:
    """Inverse of `pack`. The files must have been verified before."""
    own = parameters[name]
    if name == "blend":
        parts = tuple(unpack(part, parameters, files) for part in own["parts"])
        return Blend(parts, shift=float(own["shift"]))
    if name == "lightgbm":
        return Boosted(files[_TREES], tuple(own["features"]), int(own["rounds"]), own["shift"])
    return BgNbdRule() if name == "bgnbd" else LogitModel.from_dict(name, own)
