"""Pictures of a request: one JPEG whatever was stored, the same bytes every time, encoded once for a pair."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mindkg.distill import pictures
from mindkg.distill.pictures import GAP, MAX_SIDE, picture_bytes
from mindkg.distill.requests import PICTURE_FAILED, Picture, PictureError, RequestError


def stored(folder: Path, name: str, image: Image.Image, **options: object) -> Picture:
    image.save(folder / name, **options)
    return Picture(f"{name}-{folder}", folder / name)


def opened(*given: Picture) -> Image.Image:
    image = Image.open(io.BytesIO(picture_bytes(given)))
    assert image.format == "JPEG" and image.mode == "RGB"
    return image


def near(image: Image.Image, place: tuple[int, int], colour: tuple[int, int, int]) -> bool:
    found = image.getpixel(place)
    assert isinstance(found, tuple)
    return all(abs(a - b) < 12 for a, b in zip(found, colour, strict=True))


def test_two_pictures_stand_above_each_other_with_a_black_gap(tmp_path: Path) -> None:
    red = stored(tmp_path, "red.png", Image.new("RGB", (100, 40), (200, 0, 0)))
    blue = stored(tmp_path, "blue.png", Image.new("RGB", (60, 50), (0, 0, 200)))
    image = opened(red, blue)
    assert image.size == (100, 40 + GAP + 50)
    tones = np.asarray(image).max(axis=2)
    assert (tones[43 : 40 + GAP - 3] < 12).all()
    assert near(image, (50, 20), (200, 0, 0)) and near(image, (50, 90), (0, 0, 200))
    assert near(image, (5, 90), (0, 0, 0)) and near(image, (95, 90), (0, 0, 0))


def test_the_bytes_are_the_same_every_time(tmp_path: Path) -> None:
    tones = np.random.default_rng(0).integers(0, 255, (90, 70, 3), dtype=np.uint8)
    pair = (stored(tmp_path, "a.png", Image.fromarray(tones)), stored(tmp_path, "b.webp", Image.fromarray(tones[:50])))
    first = picture_bytes(pair)
    pictures._kept.cache_clear()
    assert picture_bytes(pair) == first


def test_a_plain_jpeg_is_sent_as_it_is_stored(tmp_path: Path) -> None:
    plain = stored(tmp_path, "a.jpg", Image.new("RGB", (MAX_SIDE, 10), (9, 9, 9)))
    assert picture_bytes((plain,)) == plain.path.read_bytes()


@pytest.mark.parametrize("mode", ["L", "LA", "1", "P", "RGBA", "CMYK", "I;16", "F"])
def test_every_mode_becomes_rgb(tmp_path: Path, mode: str) -> None:
    if mode == "I;16":
        image = Image.fromarray(np.full((30, 20), 0x9999, np.uint16))
    else:
        image = Image.new("RGB", (20, 30), (153, 153, 153)).convert(mode, dither=Image.Dither.NONE)
    made = opened(stored(tmp_path, "a.tiff", image))
    assert made.size == (20, 30)
    assert mode == "1" or near(made, (10, 15), (153, 153, 153))


def test_what_is_transparent_is_white(tmp_path: Path) -> None:
    image = Image.new("RGBA", (40, 40), (200, 0, 0, 0))
    image.paste((0, 0, 200, 255), (0, 0, 20, 40))
    made = opened(stored(tmp_path, "a.png", image))
    assert near(made, (32, 20), (255, 255, 255)) and near(made, (8, 20), (0, 0, 200))


def test_a_turned_picture_is_upright(tmp_path: Path) -> None:
    image = Image.new("RGB", (60, 40), (0, 200, 0))
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = stored(tmp_path, "a.jpg", image, exif=exif)
    assert opened(turned).size == (40, 60)


@pytest.mark.parametrize("name", ["a.png", "a.webp", "a.jpg"])
def test_broken_exif_data_say_nothing(tmp_path: Path, name: str) -> None:
    image = Image.new("RGB", (60, 40), (0, 200, 0))
    assert opened(stored(tmp_path, name, image, exif=b"Exif\0\0no TIFF at all")).size == (60, 40)


def test_a_picture_is_turned_though_other_exif_data_are_broken(tmp_path: Path) -> None:
    entries = b"\x12\x01\x03\0\x01\0\0\0\x06\0\0\0" + b"\x1a\x01\x02\0\x04\0\0\0abc\0"  # a resolution of letters
    exif = b"Exif\0\0II*\0\x08\0\0\0\x02\0" + entries + b"\0\0\0\0"
    assert opened(stored(tmp_path, "a.png", Image.new("RGB", (60, 40)), exif=exif)).size == (40, 60)


@pytest.mark.parametrize(
    ("size", "becomes"), [((2400, 1200), (768, 384)), ((1536, 1536), (768, 768)), ((10, 800), (10, 768))]
)
def test_a_large_picture_is_made_smaller(tmp_path: Path, size: tuple[int, int], becomes: tuple[int, int]) -> None:
    assert opened(stored(tmp_path, "a.jpg", Image.new("RGB", size))).size == becomes


def test_the_requests_of_a_pair_encode_once_in_many_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pair = (stored(tmp_path, "a.png", Image.new("RGB", (300, 300))), stored(tmp_path, "b.png", Image.new("L", (9, 9))))
    encoded = []
    encode = pictures._encode
    monkeypatch.setattr(pictures, "_encode", lambda given: encoded.append(given) or encode(given))
    with ThreadPoolExecutor(8) as threads:
        made = list(threads.map(picture_bytes, [pair] * 40))
    assert len(set(made)) == 1 and encoded == [pair]


def _damaged(folder: Path, kind: str) -> Picture:
    whole = stored(folder, "a.jpg", Image.effect_noise((80, 80), 90).convert("RGB"))
    data = whole.path.read_bytes()
    damaged = {"truncated": data[: len(data) // 2], "page": b"<html>404</html>", "empty": b""}
    if kind == "absent":
        whole.path.unlink()
    else:
        whole.path.write_bytes(damaged[kind])
    return whole


@pytest.mark.parametrize("kind", ["truncated", "page", "empty", "absent"])
def test_a_picture_that_does_not_open_is_an_error_of_its_request(tmp_path: Path, kind: str) -> None:
    bad = _damaged(tmp_path, kind)
    good = stored(tmp_path, "good.png", Image.new("RGB", (9, 9)))
    for given in ((bad,), (good, bad)):
        with pytest.raises(PictureError) as told:
            picture_bytes(given)
        assert isinstance(told.value, RequestError) and told.value.status is None
        assert str(told.value).startswith(PICTURE_FAILED) and str(tmp_path) not in str(told.value)


def test_a_decompression_bomb_is_not_decoded(tmp_path: Path) -> None:
    bomb = stored(tmp_path, "a.png", Image.new("1", (9_000, 9_000)))
    with pytest.raises(PictureError, match="too many"):
        picture_bytes((bomb,))
