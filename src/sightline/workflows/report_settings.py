"""The settings of a run with their defaults and meanings, and those in which runs differ."""

import ast
import inspect
import json
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass
from itertools import pairwise
from typing import Any

from sightline.methods.registry import MethodInfo
from sightline.runs.settings import to_plain
from sightline.training.settings import TrainSettings
from sightline.workflows.options import DataOptions, TrainOptions, with_budget
from sightline.workflows.report_facts import RunFacts

GROUPS = ("method", "training", "data")
_UNKNOWN = object()


@dataclass(frozen=True)
class Setting:
    """One setting of a run."""

    name: str
    value: Any
    """a JSON value"""
    default: Any
    """what it is where nothing is said; `_UNKNOWN` where nobody knows"""
    by_preset: bool
    """whether the run's preset set it so"""
    meaning: str

    @property
    def changed(self) -> bool:
        """Whether it differs from the default."""
        return self.default is not _UNKNOWN and not _same(self.value, self.default)

    @property
    def default_text(self) -> str:
        """The default for people."""
        return "unknown" if self.default is _UNKNOWN else show_value(self.default)


def settings_of(facts: RunFacts) -> dict[str, list[Setting]]:
    """List the settings of a run by what they belong to: its method, its training, its data."""
    record, info = facts.run.record, facts.info
    preset = record.preset or (info.default_preset if info else None)
    changed = info.presets.get(preset, {}) if info and preset else {}
    budget = _budget(info, record.training)
    training = {"seed": record.seed, **record.training}
    own = None if info is None else info.config_class()
    options = record.data.options
    return {
        "method": _settings(record.config, own, to_plain(dict(changed))),
        "training": _settings(training, TrainSettings, {}, budget) if record.training else [],
        "data": _settings(options, DataOptions, {}) if record.data.path else [],
    }


def _budget(info: MethodInfo | None, training: Mapping[str, Any]) -> dict[str, Any]:
    """How long a training takes where nobody says: one of the two is given in any case."""
    if info is None:
        return {}
    usual = with_budget(TrainOptions(), info)
    found = {"minutes": usual.minutes, "steps": usual.steps}
    if any(training.get(name) is not None and found[name] is None for name in found):
        # The other kind of budget was asked for, which says so itself.
        return {name: value if training.get(name) is not None else None for name, value in found.items()}
    return found


def _settings(
    values: Mapping[str, Any],
    kind: type | None,
    preset: Mapping[str, Any],
    defaults: Mapping[str, Any] | None = None,
) -> list[Setting]:
    known = {**({} if kind is None else _defaults(kind)), **(defaults or {})}
    meanings = {} if kind is None else field_meanings(kind)
    return [
        Setting(
            name=name,
            value=value,
            default=known.get(name, _UNKNOWN),
            by_preset=name in preset and _same(preset[name], value),
            meaning=meanings.get(name, ""),
        )
        for name, value in values.items()
    ]


def _defaults(kind: type) -> dict[str, Any]:
    found = {}
    for field in fields(kind):
        if field.default is not MISSING:
            found[field.name] = to_plain(field.default)
        elif field.default_factory is not MISSING:
            found[field.name] = to_plain(field.default_factory())
    return found


def field_meanings(kind: type) -> dict[str, str]:
    """Read the docstrings under the fields of a dataclass and of those that it extends; {} without source."""
    found: dict[str, str] = {}
    for owner in reversed(kind.__mro__):
        if not is_dataclass(owner):
            continue
        try:
            body = ast.parse(inspect.cleandoc(inspect.getsource(owner))).body[0]
        except (OSError, TypeError, SyntaxError, IndexError):
            continue
        lines = body.body if isinstance(body, ast.ClassDef) else []
        for line, following in pairwise(lines):
            if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name):
                text = following.value if isinstance(following, ast.Expr) else None
                if isinstance(text, ast.Constant) and isinstance(text.value, str):
                    found[line.target.id] = " ".join(text.value.split())
    return found


def differing_settings(runs: Sequence[RunFacts]) -> list[tuple[str, str, list[Any]]]:
    """Find the settings in which runs differ: (group, name, value of each run); _UNKNOWN where one has none.

    Settings of the method are compared between runs of the same method only, and listed for each method.
    """
    found = [
        ("run", "method", [facts.run.method_name for facts in runs]),
        ("run", "preset", [facts.run.record.preset for facts in runs]),
        ("run", "device", [facts.run.record.device.get("type") for facts in runs]),
        ("run", "processor", [_hardware(facts) for facts in runs]),
        ("run", "version", [facts.run.record.versions.get("sightline") for facts in runs]),
        ("data", "data", [facts.data_name for facts in runs]),
    ]
    for group in GROUPS[1:]:
        tables = [{s.name: s.value for s in settings_of(facts)[group]} for facts in runs]
        for name in dict.fromkeys(name for table in tables for name in table):
            found.append((group, name, [table.get(name, _UNKNOWN) for table in tables]))
    for method in dict.fromkeys(facts.run.method_name for facts in runs):
        tables = [
            dict(facts.run.record.config) if facts.run.method_name == method else None for facts in runs
        ]
        own = [table for table in tables if table is not None]
        for name in dict.fromkeys(name for table in own for name in table):
            if len(own) > 1 and any(not _same(t.get(name), own[0].get(name)) for t in own):
                values = [_UNKNOWN if table is None else table.get(name, _UNKNOWN) for table in tables]
                found.append((method, name, values))
    return [(g, n, values) for g, n, values in found if any(not _same(v, values[0]) for v in values)]


def _hardware(facts: RunFacts) -> str | None:
    device = facts.run.record.device
    return device.get("gpu") or device.get("processor")


def show_value(value: Any) -> str:
    """Write a setting for people: texts as they are, nothing as a dash."""
    if value is _UNKNOWN:
        return ""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list) and not any(isinstance(item, list | dict) for item in value):
        return ", ".join(map(show_value, value)) or "none"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _same(first: Any, second: Any) -> bool:
    # 1 and 1.0 are the same setting, True and 1 are not.
    return first == second and isinstance(first, bool) == isinstance(second, bool)
