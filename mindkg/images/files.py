"""Pictures that need no network: data: URLs and local files."""

from __future__ import annotations

import base64
import binascii
import stat
from pathlib import Path
from urllib.parse import unquote_to_bytes

from mindkg.images.picture import PictureError


def read_data_url(url: str, *, max_bytes: int) -> bytes:
    """Return the bytes that a data: URL (RFC 2397) holds; raises PictureError where it holds none or too many.

    Base64 may lack its last signs, as in browsers.

    >>> read_data_url("data:text/plain;base64,aGVsbG8=", max_bytes=10)
    b'hello'
    >>> read_data_url("data:text/plain;base64,aGVsbG8", max_bytes=10)
    b'hello'
    """
    head, comma, body = url.partition(",")
    if not comma:
        raise PictureError("a data: URL without data")
    encoded = head.rstrip().lower().endswith(";base64")
    if (len(body) * 3 // 4 if encoded and "%" not in body else len(body) // 3) > max_bytes:
        raise too_large(max_bytes)
    data = unquote_to_bytes(body)
    if encoded:
        packed = b"".join(data.split())
        try:
            data = base64.b64decode(packed + b"=" * (-len(packed) % 4), validate=True)
        except binascii.Error as error:
            raise PictureError("a data: URL whose base64 is broken") from error
    if len(data) > max_bytes:
        raise too_large(max_bytes)
    return data


def read_file(name: str, base: Path, *, max_bytes: int) -> bytes:
    """Return the bytes of the local file ``name``, relative to ``base``.

    Raises PictureError where it is missing, too large or no plain file; it is looked for again by the next call.
    """
    try:
        path = base / name
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise PictureError("a folder, not a file" if stat.S_ISDIR(found.st_mode) else "not a plain file")
        if found.st_size > max_bytes:
            raise too_large(max_bytes)
        with path.open("rb") as file:
            return file.read(max_bytes)
    except FileNotFoundError as error:
        raise PictureError("no such file", retryable=True) from error
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise PictureError(f"the file cannot be read: {why}", retryable=True) from error


def too_large(max_bytes: int) -> PictureError:
    """Return the error of a picture of more than ``max_bytes`` bytes."""
    return PictureError(f"larger than {max_bytes} bytes", rule=f"max_bytes={max_bytes}")
