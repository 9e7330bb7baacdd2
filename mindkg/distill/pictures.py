"""The pictures of a request as one JPEG: that of a product, or those of a pair, one above the other."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from threading import Lock
from typing import TYPE_CHECKING, Final

from mindkg.distill.requests import Picture, PictureError

if TYPE_CHECKING:
    from PIL import Image

GAP: Final = 20
"""Black pixels between two pictures (MIND, section 3.2)."""

MAX_SIDE: Final = 768
"""Pixels of a picture's longest side: larger ones are made smaller before they are stacked."""

MAX_PIXELS: Final = 80_000_000
"""Pixels that are decoded at most: more is a decompression bomb."""

QUALITY: Final = 90
_KEPT: Final = 64
_END: Final = b"\xff\xd9"
"""How a JPEG ends that was not cut off; that it can be decoded was seen when it was fetched."""

_BLACK: Final = (0, 0, 0)
_WHITE: Final = (255, 255, 255)


class _Encoded:
    """One tuple of pictures as bytes: the first thread that asks makes them, others wait for it."""

    def __init__(self, pictures: tuple[Picture, ...]) -> None:
        self._pictures = pictures
        self._lock = Lock()
        self._bytes: bytes | None = None

    def made(self) -> bytes:
        with self._lock:
            if self._bytes is None:
                self._bytes = _encode(self._pictures)
            return self._bytes


_kept = lru_cache(maxsize=_KEPT)(_Encoded)
_keeping = Lock()


def picture_bytes(pictures: tuple[Picture, ...]) -> bytes:
    """Return ``pictures`` (one or two, of a request) as one JPEG, the same bytes every time with one Pillow.

    Each is turned as its EXIF data say, put on white where it is transparent, made RGB, and made smaller to
    ``MAX_SIDE``. Two stand one above the other with ``GAP`` black pixels between; the narrower one is centred on black.
    A single JPEG that needs none of this is sent as it is stored. The last ``_KEPT`` results are remembered, so that
    the requests of one pair encode once, in whatever threads they are. Raises PictureError for one that does not open.
    """
    with _keeping:
        encoded = _kept(pictures)
    return encoded.made()


def stack(images: Sequence[Image.Image]) -> Image.Image:
    """Return RGB pictures one above the other: as wide as the widest, ``GAP`` black pixels between, centred on black.

    >>> from PIL import Image
    >>> stack([Image.new("RGB", (30, 10)), Image.new("RGB", (20, 40))]).size
    (30, 70)
    """
    from PIL import Image

    width = max(image.width for image in images)
    height = sum(image.height for image in images) + GAP * (len(images) - 1)
    whole, top = Image.new("RGB", (width, height), _BLACK), 0
    for image in images:
        whole.paste(image, ((width - image.width) // 2, top))
        top += image.height + GAP
    return whole


def _encode(pictures: tuple[Picture, ...]) -> bytes:
    if len(pictures) == 1:
        return _single(pictures[0])
    return _jpeg(stack([_normal(picture, _read(picture)) for picture in pictures]))


def _single(picture: Picture) -> bytes:
    """Return one picture as JPEG, as it is stored where it is a whole one that needs no change."""
    from PIL import Image

    stored = _read(picture)
    with _opening(picture), Image.open(io.BytesIO(stored)) as image:
        fits = max(image.size) <= MAX_SIDE and image.mode in ("RGB", "L")
        if image.format == "JPEG" and fits and _turn(image) is None and stored.rstrip(b"\0").endswith(_END):
            return stored
    return _jpeg(_normal(picture, stored))


def _jpeg(image: Image.Image) -> bytes:
    made = io.BytesIO()
    image.save(made, "JPEG", quality=QUALITY)
    return made.getvalue()


def _read(picture: Picture) -> bytes:
    try:
        return picture.path.read_bytes()
    except OSError as error:
        raise PictureError(error.strerror or type(error).__name__, record=picture.path.name) from error


@contextmanager
def _opening(picture: Picture) -> Iterator[None]:
    """Make what Pillow raises in the block a PictureError: a broken file makes it raise almost anything."""
    from PIL import UnidentifiedImageError

    try:
        yield
    except PictureError:
        raise
    except UnidentifiedImageError as error:
        raise PictureError("its format is not known", record=picture.path.name) from error
    except Exception as error:
        raise PictureError(str(error) or type(error).__name__, record=picture.path.name) from error


def _turn(image: Image.Image) -> Image.Transpose | None:
    """Return what turns a picture upright, as its EXIF data say; broken ones say nothing."""
    from PIL import ExifTags
    from PIL.Image import Transpose

    try:
        said = image.getexif().get(ExifTags.Base.Orientation)
    except Exception:  # Pillow looks into them only now
        return None
    turns: dict[object, Transpose] = {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }
    return turns.get(said)


def _normal(picture: Picture, stored: bytes) -> Image.Image:
    """Return a stored picture upright, opaque, RGB and at most ``MAX_SIDE`` pixels wide and high."""
    from PIL import Image

    with _opening(picture), Image.open(io.BytesIO(stored)) as image:
        if image.width * image.height > MAX_PIXELS:
            raise PictureError(f"{image.width} × {image.height} pixels are too many", record=picture.path.name)
        # a large JPEG is decoded at a half, a quarter or an eighth of its size, as long as that is large enough
        image.draft("RGB", (MAX_SIDE, MAX_SIDE))
        image.load()
        turn = _turn(image)
        upright = image if turn is None else image.transpose(turn)
        if upright.mode.startswith("I") or upright.mode == "F":
            upright = _eight_bits(upright)
        if upright.has_transparency_data:
            front = upright.convert("RGBA")
            upright = Image.new("RGBA", front.size, (*_WHITE, 255))
            upright.alpha_composite(front)
        small = upright.convert("RGB")
        small.thumbnail((MAX_SIDE, MAX_SIDE), Image.Resampling.LANCZOS)
        return small


def _eight_bits(image: Image.Image) -> Image.Image:
    """Return a grey picture of 16 bits or of floats in 8 bits: Pillow's own conversion cuts all light tones off."""
    import numpy as np
    from PIL import Image

    tones = np.asarray(image, dtype=np.float64)
    scale = 255 / 65535 if tones.max(initial=0) > 255 else 1.0
    return Image.fromarray((tones * scale).clip(0, 255).round().astype(np.uint8))
