"""What a picture is: its bytes are looked at, decoded once to see that they are whole, and stored as they came."""

from __future__ import annotations

import hashlib
import os
import threading
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mindkg.errors import MindKGError, StorageError

if TYPE_CHECKING:
    from PIL import ImageFile

BEGINNING: Final = 12
"""Bytes of a file's beginning that tell its format."""

TEMPORARY: Final = ".building-"
_HTML: Final = (b"<!doctype html", b"<html", b"<head", b"<body", b"<script")
_SHORTEST: Final = 4


class PictureError(MindKGError):
    """A picture that there is none of.

    ``wait`` is how many seconds a server asks to be left alone; ``rule`` is the option that refused the picture and
    its value, as ``max_bytes=1000``: under another value it may be asked for again.
    """

    def __init__(self, message: str, *, retryable: bool = False, wait: float = 0.0, rule: str = "") -> None:
        super().__init__(message)
        self.retryable = retryable
        self.wait = wait
        self.rule = rule


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture's bytes by their SHA-256 (hexadecimal), its format as a file's extension, its pixels and bytes."""

    sha256: str
    format: str
    width: int
    height: int
    size: int

    @property
    def path(self) -> str:
        """The stored file, relative to the KB."""
        return stored_path(self.sha256, self.format)


def stored_path(sha256: str, format: str) -> str:
    """Return where a picture lies in a KB.

    >>> stored_path("ab" * 32, "jpg")[:20]
    'images/ab/abababab...'
    """
    return f"images/{sha256[:2]}/{sha256}.{format}"


def format_of(beginning: bytes) -> str | None:
    r"""Return the format that a file's first ``BEGINNING`` bytes say, None where it is no picture that we know.

    >>> format_of(b"\x89PNG\r\n\x1a\n\0\0\0\r"), format_of(b"<html><body>")
    ('png', None)
    """
    if beginning.startswith(b"\xff\xd8\xff"):
        return "jpg"
    if beginning.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if beginning.startswith((b"GIF87a", b"GIF89a")):
        return "gif"
    return "webp" if beginning[:4] == b"RIFF" and beginning[8:12] == b"WEBP" else None


def check_beginning(data: bytes, media_type: str = "") -> str:
    """Return the format of a picture that begins with ``data``; raises PictureError where it is none.

    ``media_type`` is what a server calls it: it is only repeated, never believed.
    """
    found = format_of(data[:BEGINNING])
    if found is None:
        raise PictureError(f"not a picture: {_what(data, media_type)}")
    return found


def examine(data: bytes, *, max_pixels: int) -> Picture:
    """Return what ``data`` is; raises PictureError unless all of it decodes and it has at most ``max_pixels`` pixels.

    The number of pixels is read from the header, before anything is decoded.
    """
    kind = check_beginning(data)
    try:
        image = _opened(data, kind)
        width, height = image.size
        if width * height <= max_pixels:
            # a JPEG is decoded at an eighth of its size: all its data are read, at a third of the time
            image.draft(None, (1, 1))
            image.load()
    except Exception as error:  # Pillow's decoders raise nearly anything at bytes made to break them
        raise PictureError(f"a broken {kind} picture: {_line(error)}") from error
    if width * height > max_pixels:
        message = f"too many pixels: {width} × {height}, at most {max_pixels} are allowed"
        raise PictureError(message, rule=f"max_pixels={max_pixels}")
    return Picture(hashlib.sha256(data).hexdigest(), kind, width, height, len(data))


def store(data: bytes, picture: Picture, root: Path) -> None:
    """Write the bytes of ``picture`` under ``root`` in one step; threads may store the same one at once.

    Raises StorageError where that cannot be written.
    """
    target = root / picture.path
    temporary = target.with_name(f"{TEMPORARY}{os.getpid()}-{threading.get_ident()}")
    try:
        if is_stored(target, len(data)):
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        hint = "Make room and go on: what is stored is not fetched again"
        raise StorageError(f"cannot store a picture: {error.strerror}", record=str(target), hint=hint) from error


def is_stored(path: Path, size: int) -> bool:
    """Return whether a file of ``size`` bytes lies at ``path``."""
    try:
        return os.stat(path).st_size == size  # noqa: PTH116 - asked once for each known picture, and twice as fast
    except OSError:
        return False


def _opened(data: bytes, kind: str) -> ImageFile.ImageFile:
    """Return the picture with its header read.

    ``Image.open`` warns of large pictures, and refuses larger ones by a limit of the whole process: ours is asked
    for with each call.
    """
    from PIL import GifImagePlugin, JpegImagePlugin, PngImagePlugin, WebPImagePlugin

    decoders: dict[str, Any] = {
        "jpg": JpegImagePlugin.JpegImageFile,
        "png": PngImagePlugin.PngImageFile,
        "gif": GifImagePlugin.GifImageFile,
        "webp": WebPImagePlugin.WebPImageFile,
    }
    image: ImageFile.ImageFile = decoders[kind](BytesIO(data))
    return image


def _what(data: bytes, media_type: str) -> str:
    text = data.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith(_HTML):
        return "an HTML page"
    if len(data) < _SHORTEST:
        return "no bytes" if not data else "a few bytes"
    known = "neither JPEG, PNG, WebP nor GIF"
    return f"{known} (the server says {media_type})" if media_type else known


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
