"""Labels that people gave to generations, from a CSV file, beside the scores that the filter gave."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mindkg.errors import InputError
from mindkg.identity import cobuy_key
from mindkg.vocabulary import is_unspecified, relation_name

if TYPE_CHECKING:
    import daft
    import numpy as np
    import numpy.typing as npt

_LABELS: Final = {"yes": True, "1": True, "true": True, "no": False, "0": False, "false": False}
_TEXT: Final = 500
_COLUMNS: Final = (
    "A file of labels is a CSV with the columns label (yes, no, 1 or 0) and generation_id, or label, relation and "
    "cobuy_id, or label, relation, product_a and product_b"
)
STAGE: Final = "calibrate"
_REJECT: Final = ("stage", "record", "reason", "detail", "text")


@dataclass(frozen=True, slots=True)
class Labelled:
    """The labels of a file with the raw scores they are about, shape (n,) each, and the rows that could not be used.

    ``rejects`` holds stage, record (file:line), reason, detail and text of each; rows read = n + rejects.
    """

    scores: npt.NDArray[np.float64]
    labels: npt.NDArray[np.bool_]
    rejects: tuple[dict[str, str | None], ...]


def read_labels(file: Path, verdicts: daft.DataFrame, generations: daft.DataFrame) -> Labelled:
    """Return the labels of ``file`` that are about a generation with a score.

    The CSV has ``label`` (yes, no, 1, 0), and ``generation_id``, or ``relation`` with ``cobuy_id`` or ``product_a`` and
    ``product_b``. ``verdicts`` are the uncalibrated ones of one filter run. Where a pair has several generations of a
    relation, the label is about the one whose id sorts first; an empty relation (or ``all``) stands for answers to no
    particular one. Raises InputError for a file or columns that cannot be
    read; a row that cannot be used is a reject.
    """
    import numpy as np

    rows = list(_rows(file))
    scores, asked = _scores(verdicts, generations, [row for _, row in rows])
    kept: list[tuple[float, bool]] = []
    rejects: list[dict[str, str | None]] = []
    for number, row in rows:
        generation = row.get("generation_id") or asked.get(_asked(row), "")
        label = _LABELS.get((row.get("label") or "").strip().lower())
        if label is not None and generation in scores:
            kept.append((scores[generation], label))
            continue
        detail = "label" if label is None else "a generation with a score"
        text = ",".join(value or "" for value in row.values())[:_TEXT]
        rejects.append(dict(zip(_REJECT, (STAGE, f"{file.name}:{number}", "missing_field", detail, text), strict=True)))
    made = np.array(kept, np.float64).reshape(-1, 2)
    return Labelled(made[:, 0], made[:, 1] > 0, tuple(rejects))


def _scores(
    verdicts: daft.DataFrame, generations: daft.DataFrame, rows: Sequence[Mapping[str, str | None]]
) -> tuple[dict[str, float], dict[tuple[str, str], str]]:
    """Return the score of each generation that ``rows`` name, and the generation of each pair and relation."""
    from mindkg.engine import daft

    named, pairs = {row.get("generation_id") for row in rows}, {_asked(row) for row in rows}
    scored = verdicts.where(daft.col("score").not_null()).select("generation_id", "score")
    known = scored.join(generations.select("generation_id", "cobuy_id", "relation"), on="generation_id")
    scores: dict[str, float] = {}
    asked: dict[tuple[str, str], str] = {}
    for batch in known.to_arrow_iter():
        for row in batch.to_pylist():
            generation, pair = row["generation_id"], (row["cobuy_id"], row["relation"] or "")
            if generation in named or pair in pairs:
                scores[generation] = row["score"]
                asked[pair] = min(generation, asked.get(pair, generation))
    return scores, asked


def _asked(row: Mapping[str, str | None]) -> tuple[str, str]:
    """Return pair and relation of a row of labels, empty where it names none; an unknown one stays as it is written."""
    written = row.get("relation") or ""
    relation = "" if is_unspecified(written) else relation_name(written) or written
    if row.get("product_a") and row.get("product_b"):
        return cobuy_key(str(row["product_a"]), str(row["product_b"])), relation
    return row.get("cobuy_id") or "", relation


def _rows(file: Path) -> Iterator[tuple[int, dict[str, str | None]]]:
    try:
        with file.open(encoding="utf-8-sig", newline="") as opened:
            reader = csv.DictReader(opened, restkey="")
            named = set(reader.fieldnames or ())
            pair = {"cobuy_id"} <= named or {"product_a", "product_b"} <= named
            if "label" not in named or not ("generation_id" in named or ("relation" in named and pair)):
                raise InputError("these are no labels", record=str(file), hint=_COLUMNS)
            for row in reader:
                yield reader.line_num, {k: v for k, v in row.items() if k}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"the labels cannot be read: {error}", record=str(file), hint=_COLUMNS) from error
