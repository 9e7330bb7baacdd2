"""Reading every byte of a KB to find what is damaged: tables, stores, records and pictures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mindkg.checksums import damaged_file, file_sha256
from mindkg.errors import StorageError
from mindkg.images.log import open_log
from mindkg.places import FILE, RECORDS, TEMPORARY
from mindkg.stages import ledger
from mindkg.storage import PREVIOUS, KBDirectory

_IMAGES = "[0-9a-f][0-9a-f]/*"


@dataclass(frozen=True, slots=True)
class Damage:
    """A file that is missing or not what was written, and what recreates it."""

    path: str
    message: str


def find_damage(path: str | Path) -> Iterator[Damage]:
    """Yield what is damaged in the KB at ``path``, all of which is read; raises StorageError where there is no KB.

    The next build recreates tables, and the next use stores. Damaged records of the ledger and of pictures are passed
    over; their requests are sent again unless another record has the answer.
    """
    kb = KBDirectory(path)
    manifest = kb.published_manifest()
    for table, entry in {entry.path: entry for entry in manifest.entries()}.items():
        if not kb.is_whole(entry, again=True):
            yield Damage(kb.place.named(f"{table}/{FILE}"), "table missing or damaged: mindkg build recreates it")
    for stage in manifest.stages.values():
        if kb.record(stage.stage, stage.fingerprint) is None:
            name = f"{RECORDS}/{stage.stage}-{stage.fingerprint}.json"
            yield Damage(
                kb.place.named(name), "record of a stage missing or damaged: mindkg build runs the stage again"
            )
    try:
        kb.manifest(PREVIOUS)
    except StorageError as error:
        yield Damage(kb.place.named(PREVIOUS), f"{error.args[0]}: the next build replaces it")
    yield from _stores(kb)
    with ledger(kb) as answers:
        for file, records in answers.check().items():
            yield Damage(file, f"{records} torn or damaged records of the ledger: they are passed over")
    for file, records in open_log(kb.path).check().items():
        yield Damage(file, f"{records} torn or damaged records of pictures: they are fetched again")
    for picture in sorted((kb.path / "images").glob(_IMAGES)):
        if not picture.name.startswith(".") and file_sha256(picture) != picture.stem:
            yield Damage(str(picture), "damaged picture: delete it, and mindkg images fetches it again")


def _stores(kb: KBDirectory) -> Iterator[Damage]:
    for folder in sorted(kb.work.glob("stores/*/*")):
        if folder.is_dir() and not folder.name.startswith(TEMPORARY):
            file = damaged_file(folder, kb.verified, again=True)
            if file:
                yield Damage(str(file), "store missing a file or damaged: the next use recreates it")
