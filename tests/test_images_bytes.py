"""What counts as a picture, as a public address and as the name of a picture, byte by byte."""

from __future__ import annotations

import base64
import io
from urllib.parse import quote_from_bytes

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from picture_server import png
from PIL import Image

from mindkg.images.addresses import checked_url, is_public
from mindkg.images.files import read_data_url
from mindkg.images.log import names
from mindkg.images.picture import Picture, PictureError, examine

PUBLIC = ["93.184.215.14", "8.8.8.8", "2606:2800:21f:cb07:6820:80da:af6b:8b2c", "::ffff:8.8.8.8", "64:ff9b::808:808"]
PRIVATE = """
127.0.0.1 127.9.9.9 0.0.0.0 10.1.2.3 172.16.0.1 172.31.255.255 192.168.0.1 169.254.169.254 100.64.0.1 100.100.100.200
192.0.0.8 192.0.2.1 198.18.0.1 198.51.100.1 203.0.113.1 224.0.0.1 239.1.1.1 240.0.0.1 255.255.255.255 168.63.129.16
::1 :: fe80::1 fe80::1%eth0 fc00::1 fd00:ec2::254 fec0::1 ff02::1 ::ffff:127.0.0.1 ::ffff:169.254.169.254 ::127.0.0.1
64:ff9b::7f00:1 64:ff9b:1::1 2002:7f00:1:: 2002:a00:1:: 2001:db8::1 2001:0:7f00:1::
"""
REFUSED = """
ftp://a.example/x javascript:alert(1) http:// https:///x.jpg http://u@a.example/ http://u:p@a/x gopher://a/
http://a.example:99999/ http://a.example:0/ http://a.example:x/ http://[::1/x //a.example/x.jpg x.jpg http://a\x00b/
"""


def test_public_addresses():
    assert [address for address in PUBLIC if not is_public(address)] == []


@pytest.mark.parametrize("address", PRIVATE.split())
def test_private_addresses(address):
    assert not is_public(address)


@pytest.mark.parametrize("url", REFUSED.split())
def test_urls_that_are_not_asked(url):
    with pytest.raises(PictureError):
        checked_url(url)


def encoded(format: str) -> bytes:
    stream = io.BytesIO()
    Image.effect_noise((64, 48), 50).convert("RGB").save(stream, format)
    return stream.getvalue()


SAMPLES = {"jpg": encoded("JPEG"), "png": encoded("PNG"), "webp": encoded("WEBP"), "gif": encoded("GIF")}


@pytest.mark.parametrize("kind", SAMPLES)
def test_whole_and_cut_off(kind):
    data = SAMPLES[kind]
    picture = examine(data, max_pixels=64 * 48)
    assert (picture.format, picture.width, picture.height, picture.size) == (kind, 64, 48, len(data))
    with pytest.raises(PictureError, match="too many pixels: 64 × 48"):
        examine(data, max_pixels=64 * 48 - 1)
    for share in (0.1, 0.5, 0.9):
        with pytest.raises(PictureError):
            examine(data[: int(len(data) * share)], max_pixels=10**6)


def test_large_pictures_are_judged_by_their_header(recwarn):
    header = png(1, 1)[:16] + (20_000).to_bytes(4, "big") * 2
    whole = png(10_000, 9_000)  # where Pillow itself would warn
    with pytest.raises(PictureError, match="a broken png picture"):
        examine(header, max_pixels=10**9)
    with pytest.raises(PictureError, match="too many pixels: 10000 × 9000"):
        examine(whole, max_pixels=8 * 10**7)
    assert not recwarn.list


@settings(max_examples=150)
@given(st.sampled_from(sorted(SAMPLES)), st.data())
def test_no_bytes_break_more_than_themselves(kind, data):
    broken = bytearray(SAMPLES[kind])
    for _ in range(data.draw(st.integers(1, 6))):
        broken[data.draw(st.integers(0, min(len(broken) - 1, 300)))] = data.draw(st.integers(0, 255))
    try:
        assert isinstance(examine(bytes(broken), max_pixels=10**6), Picture)
    except PictureError as error:
        assert str(error)


@given(st.binary(max_size=200))
def test_data_urls(data):
    inline = base64.b64encode(data).decode()
    for url in (f"data:;base64,{inline}", f"data:image/png;BASE64,{inline[:7]} {inline[7:]}"):
        assert read_data_url(url, max_bytes=200) == data
    assert read_data_url(f"data:text/plain,{quote_from_bytes(data)}", max_bytes=200) == data


@pytest.mark.parametrize("url", ["data:," + "x" * 11, "data:;base64," + "AAAA" * 4, "data:," + "%41" * 11])
def test_data_urls_have_a_limit(url):
    with pytest.raises(PictureError, match="larger than 10 bytes"):
        read_data_url(url, max_bytes=10)


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=20) | st.just("data:,x"), max_size=8))
def test_names_tell_pictures_apart(images):
    images += [f"data:,{image}" for image in images]
    found = names(pa.chunked_array([images[:3], images[3:]], pa.string())).to_pylist()
    assert len(set(found)) == len(set(images))
    assert all(name == image or image.startswith("data:") for name, image in zip(found, images, strict=True))
