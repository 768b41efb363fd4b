"""What a motion file says of where its clips come from, when several files become one.

docs/format.md tells each attribute.
"""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

# What a file of kind "generated" must say about where its clips come from.
GENERATED_PROVENANCE = ("checkpoint", "seed", "training_data", "config")
# What the writer itself states about a file.
_WRITTEN = ("format", "version", "frame_rate", "up_axis", "kind", "body_model", "creator", "created", "licence")
_PEOPLE = ("subjects", "held_out")  # whom the model behind generated clips saw, and whom not: lists in JSON
_GATE = ("quality_gate", "acceptance_rate")
# What only a file of generated clips can say: the content hash of the clips that its quality gate compared with, too.
_MAKING = (*GENERATED_PROVENANCE, "selected_by")


def merged_provenance(files: Sequence[Mapping[str, Any]], kind: str) -> dict[str, Any]:
    """What files that become one of this kind say beyond what its writer states; differing texts one after another.

    Of a quality gate only what all say alike; of the people behind generated clips what holds for all of them: see
    `_merged_people`. A file that is not of generated clips says nothing of their making.

    files   attributes of each
    """
    told: dict[str, list[Any]] = defaultdict(list)
    for attributes in files:
        if kind == "generated":
            attributes = {**dict.fromkeys(GENERATED_PROVENANCE, "unknown"), **attributes}
        for name, value in attributes.items():
            if name not in (*_WRITTEN, *_PEOPLE) and (kind == "generated" or name not in _MAKING):
                told[name].append(value)
    merged: dict[str, Any] = _merged_people(files) if kind == "generated" else {}
    for name, values in told.items():
        distinct = list({repr(value): value for value in values}.values())
        if name not in _GATE:
            merged[name] = distinct[0] if len(distinct) == 1 else "; ".join(map(str, distinct))
        elif len(distinct) == 1 and len(values) == len(files):
            merged[name] = distinct[0]
    return merged


def people_of(value: Any) -> set[str] | None:
    """The names in an attribute `subjects` or `held_out`: a list, or one in JSON; None for anything else."""
    try:
        names = json.loads(value) if isinstance(value, str) else value
    except ValueError:
        return None
    return set(names) if isinstance(names, list) and all(isinstance(name, str) for name in names) else None


def _merged_people(files: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """`subjects`, all whom some model saw, where every file tells; and `held_out`, those known to be seen by none.

    Whom a file's model did not see is told by either attribute. Where a file tells neither, nobody is known to be
    unseen; where none does, nothing is said.
    """
    seen, kept = ([people_of(attributes.get(name)) for attributes in files] for name in _PEOPLE)
    told = [saw is not None or unseen is not None for saw, unseen in zip(seen, kept, strict=True)]
    if not any(told):
        return {}
    all_seen, known = set().union(*filter(None, seen)), [people for people in kept if people is not None]
    merged = {"subjects": all_seen} if None not in seen else {}
    if known or not merged:
        merged["held_out"] = set.intersection(*known) - all_seen if all(told) else set()
    return {name: json.dumps(sorted(people)) for name, people in merged.items()}
