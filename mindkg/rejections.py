"""Runs in which most rows are rejected: whether one is, and why it is likely to be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from mindkg.errors import RejectedError

if TYPE_CHECKING:
    from mindkg.storage import KBDirectory, StageRecord

DUPLICATE: Final = "duplicate"
"""Rows for this reason were read before: they say nothing against the file."""

_ADVICE: Final = {
    "bad_encoding": "name the encoding of the file, as in --encoding windows-1252",
    "unknown_product": "give the file that names the products too",
    "unknown_relation": "use the relations of ontology/relations.ttl",
}
_DETAIL: Final = 160
_DISTINCT: Final = 10_000
"""Reasons with their details that are counted at once: of more, which only rare ones are, half is given up."""


def mostly_rejected(kb: KBDirectory, record: StageRecord) -> RejectedError | None:
    """Return the error for a stage that rejected most rows of one of its files, or of all; None where it did not.

    The stage ``sources`` notes the rows of each file, others only those of the run.
    """
    files: Mapping[str, Any] = record.notes.get("files") or {"": {"read": record.read, "rejected": record.rejected}}
    for file, counts in files.items():
        read, rejected = int(counts["read"]), int(counts["rejected"])
        if 2 * rejected > read:
            reason, detail = _commonest(kb, record, counts.get("name", ""))
            advice = _ADVICE.get(reason, "")
            why = ": ".join(part for part in (reason, detail, advice) if part)
            what = f"{rejected:,} of {read:,} {'rows' if record.stage == 'sources' else 'answers'} were rejected"
            hint = "See them with: mindkg info KB --table rejects. Keep the rest all the same: --allow-rejects"
            return RejectedError(f"{what}, most for {why}", record=file or kb.address, hint=hint)
    return None


def _commonest(kb: KBDirectory, record: StageRecord, name: str) -> tuple[str, str]:
    """Return the most frequent reason of the rejects of a file, and the most frequent detail of it."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.dataset as ds

    wanted = pc.field("reason") != DUPLICATE
    if name:
        wanted &= pc.starts_with(pc.field("record"), f"{name}:")
    counted: Counter[tuple[str, str]] = Counter()
    rows = ds.dataset(kb.table_folder(record.tables["rejects"]), format="parquet")
    for batch in rows.to_batches(columns=["reason", "detail"], filter=wanted, batch_readahead=1):
        groups = pa.Table.from_batches([batch]).group_by(["reason", "detail"]).aggregate([([], "count_all")])
        for group in groups.to_pylist():
            counted[group["reason"], group["detail"] or ""] += group["count_all"]
        if len(counted) > _DISTINCT:
            counted = Counter(dict(counted.most_common(_DISTINCT // 2)))
    if not counted:
        return "", ""
    [((reason, detail), _)] = counted.most_common(1)
    return reason, detail if len(detail) <= _DETAIL else f"{detail[:_DETAIL]}…"
