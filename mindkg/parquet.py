"""Parquet files with a checksum in every page, which is verified whenever one is read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from mindkg.errors import StorageError

if TYPE_CHECKING:
    import pyarrow.dataset as ds

REBUILD: Final = "Run mindkg build on the KB again: it recreates what is damaged"


def writer(where: Path | IO[bytes], schema: pa.Schema, **options: Any) -> pq.ParquetWriter:
    """Return a writer of a Parquet file, all of whose pages get a checksum; ``options`` are those of pyarrow."""
    return pq.ParquetWriter(where, schema, write_page_checksum=True, **{"compression": "zstd", **options})


def read_table(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """Return the rows of a Parquet file; raises StorageError, with its path, where it is damaged."""
    with reading(path):
        names = None if columns is None else list(columns)
        return pq.read_table(path, columns=names, page_checksum_verification=True, partitioning=None)


def open_file(source: Path | IO[bytes], hint: str = REBUILD, **options: Any) -> pq.ParquetFile:
    """Return a Parquet file opened for reading; what is read from it may raise (see ``reading``)."""
    with reading(source, hint):
        return pq.ParquetFile(source, page_checksum_verification=True, **options)


def dataset(path: Path) -> ds.Dataset:
    """Return a file or a folder of Parquet files as a dataset; what is read from it may raise (see ``reading``)."""
    import pyarrow.dataset as ds  # imports pandas, where it is installed: half a second

    scan = ds.ParquetFragmentScanOptions(page_checksum_verification=True)
    with reading(path):
        return ds.dataset(path, format=ds.ParquetFileFormat(default_fragment_scan_options=scan))


def rows_in(path: Path) -> int | None:
    """Return the rows of a Parquet file, None where it is not there or its footer cannot be read."""
    try:
        return int(pq.read_metadata(path).num_rows)
    except (OSError, pa.ArrowException):
        return None


@contextmanager
def reading(source: Path | IO[bytes], hint: str = REBUILD) -> Iterator[None]:
    """Turn what Arrow raises for a damaged Parquet file into a StorageError that names the file and says ``hint``."""
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:  # one of the system, not one of Arrow
            raise
        place = str(source if isinstance(source, Path) else source.name)
        said = " ".join(str(error).split())[:200]
        raise StorageError(f"the file is damaged: {said}", record=place, hint=hint) from error
