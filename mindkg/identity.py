"""Keys that are hashes of what they name, so that the same fact has the same key in every build."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable

import pyarrow as pa

SEPARATOR = "\x1f"
KEY_LENGTH = 20


def key(*fields: str) -> str:
    """Return the key of ``fields``: 20 characters of lower-case base32 of SHA-256 over them joined with U+001F.

    >>> key("B00000J1U8", "B00N9HRTFU")
    'fnkstl4qhixjyi2u4dmw'
    """
    digest = hashlib.sha256(SEPARATOR.join(fields).encode()).digest()
    return base64.b32encode(digest)[:KEY_LENGTH].decode().lower()


def cobuy_key(product_a: str, product_b: str) -> str:
    """Return the key of an unordered pair of products.

    >>> cobuy_key("B00N9HRTFU", "B00000J1U8") == cobuy_key("B00000J1U8", "B00N9HRTFU")
    True
    """
    return key(*sorted((product_a, product_b)))


def intention_key(text: str) -> str:
    """Return the key of an intention's canonical text.

    >>> intention_key("USB extension cable")
    '6es7w633do4yx5d4uzts'
    """
    return key(text)


def assertion_key(cobuy_id: str, relation: str, intention_id: str) -> str:
    """Return the key of (co-buy, relation, intention).

    >>> assertion_key("fnkstl4qhixjyi2u4dmw", "isA", "6es7w633do4yx5d4uzts")
    'zsadevdcz5waqfqv22hn'
    """
    return key(cobuy_id, relation, intention_id)


def run_key(stage: str, model: str, revision: str, prompt_version: str, parameters: str) -> str:
    """Return the key of a run; ``parameters`` is JSON with sorted keys.

    >>> run_key("intentions", "llava-1.5", "", "1", '{"temperature": 0.2}')
    'iworgm3ifgdebmulpia3'
    """
    return key(stage, model, revision, prompt_version, parameters)


def generation_key(run_id: str, cobuy_id: str, relation: str, source_record: str) -> str:
    """Return the key of one answer: the run that made it, what was asked, and the source's record.

    ``relation`` is empty where no particular one was asked for.

    >>> generation_key("cqm3b6vyxo2oldm7tjhq", "fnkstl4qhixjyi2u4dmw", "isA", "FS_1")
    's362lnrkew53rvwrw7mu'
    """
    return key(run_id, cobuy_id, relation, source_record)


def keys(columns: Iterable[pa.Array | pa.ChunkedArray]) -> pa.Array:
    """Return the key of each row of ``columns`` (equally long string columns without nulls), shape (rows,).

    >>> keys([pa.array(["B00000J1U8"]), pa.array(["B00N9HRTFU"])]).to_pylist()
    ['fnkstl4qhixjyi2u4dmw']
    """
    import pyarrow.compute as pc

    text = pa.large_string()
    arrays = [c.combine_chunks() if isinstance(c, pa.ChunkedArray) else c for c in columns]
    joined = pc.binary_join_element_wise(*(a.cast(text) for a in arrays), pa.scalar(SEPARATOR, text))
    sha256 = hashlib.sha256
    return _base32(b"".join([sha256(row).digest() for row in joined.cast(pa.large_binary()).to_pylist()]))


def _base32(digests: bytes) -> pa.Array:
    """Return ``KEY_LENGTH`` characters of lower-case base32 for each 32 bytes of ``digests``, all rows at once."""
    import numpy as np

    rows = np.frombuffer(digests, np.uint8).reshape(-1, 32)
    alphabet = np.frombuffer(b"abcdefghijklmnopqrstuvwxyz234567", np.uint8)
    characters = np.empty((len(rows), KEY_LENGTH), np.uint8)
    for i in range(KEY_LENGTH):
        byte, bit = divmod(5 * i, 8)
        pair = rows[:, byte].astype(np.uint16) << 8 | rows[:, byte + 1]
        characters[:, i] = alphabet[(pair >> (11 - bit)) & 31]
    ends = np.arange(len(rows) + 1, dtype=np.int32) * KEY_LENGTH
    return pa.StringArray.from_buffers(len(rows), pa.py_buffer(ends), pa.py_buffer(characters))
