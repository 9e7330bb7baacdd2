"""Pictures against a real server in another process that answers slowly, wrongly, too much or not at all."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
import math
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pytest
from conftest import ROOT
from picture_server import PictureServer, png, running
from PIL import Image

from mindkg.engine import daft, from_arrow, to_arrow
from mindkg.errors import InputError, StorageError
from mindkg.images import Fetched, addresses, count_pictures, digest, fetch_images, image_tables, web
from mindkg.knowledge_base import KnowledgeBase
from mindkg.schema import TABLES
from mindkg.storage import KBDirectory

Rows = dict[str, dict[str, object]]


@pytest.fixture(scope="module")
def server():
    with running() as server:
        yield server


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch):
    monkeypatch.setattr(web, "_FIRST_PAUSE", 0.02)


def products(*images: str | None) -> daft.DataFrame:
    """Products P0, P1 … with these pictures."""
    ids = [f"P{n}" for n in range(len(images))]
    return from_arrow(pa.table({"product_id": ids, "image": pa.array(images, pa.string())}))


def fetch(root: Path, *images: str | None, **options: object) -> Fetched:
    return fetch_images(products(*images), root, **({"allow_private": True, "retries": 2} | options))


def rows(root: Path, *images: str | None) -> Rows:
    """The table images by what was asked for; the counts of the stage are checked on the way."""
    staging = root / "staging"
    told = image_tables(products(*images), root, staging)
    (root / "tables").mkdir(exist_ok=True)
    key = hashlib.sha256(repr((images, digest(root))).encode()).hexdigest()[:16]
    record = KBDirectory(root).write_stage("images", key, told.tables, read=told.read, kept=told.kept)
    table = to_arrow(told.tables["images"], TABLES["images"]).to_pylist()
    assert record.rejected == sum(row["status"] == "failed" for row in table)
    assert told.read + told.unasked == sum(bool(image) for image in images)
    return {str(row["url"]): row for row in table}


OUTCOMES = {
    # path: status, beginning of the reason, how often it is asked for
    "ok/1": ("ok", None, 1),
    "slow/0.3": ("ok", None, 1),
    "flaky/2/x": ("ok", None, 3),
    "reset": ("ok", None, 2),
    "gzip": ("ok", None, 1),
    "named-html": ("ok", None, 1),
    "redirects/4/a": ("ok", None, 1),
    "status/404": ("failed", "404 Not Found", 1),
    "status/403": ("failed", "403 Forbidden", 1),
    "status/418": ("failed", "418 ", 1),
    "status/304": ("failed", "304 Not Modified", 1),
    "status/408": ("failed", "408 Request Timeout", 3),
    "status/425": ("failed", "425 Too Early", 3),
    "status/429": ("failed", "429 Too Many Requests", 3),
    "status/500": ("failed", "500 Internal Server Error", 3),
    "status/599": ("failed", "599", 3),
    "truncated": ("failed", "broken connection: peer closed", 3),
    "redirects/5/b": ("failed", "more than 5 redirects", 1),
    "loop": ("failed", "more than 5 redirects", 6),
    "to/ftp://a.example/x.jpg": ("failed", "scheme 'ftp' is not allowed", 1),
    "to/file:///etc/hostname": ("failed", "scheme 'file' is not allowed", 1),
    "to/http://name:word@a.example/": ("failed", "a URL with a user name or password", 1),
    "html": ("failed", "not a picture: an HTML page", 1),
    "empty": ("failed", "not a picture: no bytes", 1),
    "bomb": ("failed", "too many pixels: 20000 × 20000", 1),
    "large": ("failed", "larger than 2000000 bytes", 1),
    "endless": ("failed", "larger than 2000000 bytes", 1),
    "raw/garbage": ("failed", "broken connection: illegal status line", 3),
    "raw/chunks": ("failed", "broken connection: illegal chunk header", 3),
    "raw/header": ("failed", "broken connection: Receive buffer too long", 3),
    "raw/punycode": ("failed", "cannot be asked for: ", 1),
    "raw/port": ("failed", "not a URL: it has no host, or no such port", 1),
    "raw/encoded": ("failed", "encoded as 'br', which was not asked for", 1),
    "gzip-bomb": ("failed", "larger than 2000000 bytes", 1),
}


def test_all_that_a_server_does(tmp_path, monkeypatch):
    monkeypatch.setattr("mindkg.images.fetch._GIVE_UP", 100)
    with running() as server:
        images = [server.url(path) for path in OUTCOMES]
        fetched = fetch(tmp_path, *images, max_bytes=2_000_000)
        asked, stats = server.asked(), server.stats()
    found = rows(tmp_path, *images)
    for path, (status, reason, times) in OUTCOMES.items():
        row = found[server.url(path)]
        assert (row["status"], asked[path]) == (status, times), path
        assert (row["reason"] is None) if reason is None else str(row["reason"]).startswith(reason), path
    assert (fetched.ok, fetched.failed, fetched.left, fetched.known) == (7, len(OUTCOMES) - 7, 0, 0)
    assert fetched.again == sum(status == "failed" and times == 3 for status, _, times in OUTCOMES.values())
    assert all(agent.startswith("mindkg/") for agent in stats["agents"])
    assert stats["cookies"] == 0


def test_stored_as_fetched(tmp_path, server):
    url = server.url("ok/as-it-is")
    fetch(tmp_path, url)
    row = rows(tmp_path, url)[url]
    data = (tmp_path / str(row["path"])).read_bytes()
    assert row["sha256"] == hashlib.sha256(data).hexdigest()
    assert row["path"] == f"images/{row['sha256'][:2]}/{row['sha256']}.png"
    assert (row["width"], row["height"]) == (8, 8)
    assert Image.open(io.BytesIO(data)).format == "PNG"


@pytest.mark.parametrize("path", ["busy/1", "busy-until/3"])
def test_waits_as_asked(path, tmp_path):
    with running() as server:
        fetched = fetch(tmp_path, server.url(path), server.url("ok/1"))
        first, second = server.stats()["times"]["/" + path]
    assert fetched.ok == 2
    assert second - first >= 1.0  # a date has whole seconds


def test_a_server_that_wants_to_be_left_alone(tmp_path):
    with running() as server:
        images = [server.url(f"busy/{3600 + n}") for n in range(40)]
        fetched = fetch(tmp_path, *images, per_host=2)
        asked = server.asked()
        assert sum(asked.values()) <= 2
        assert fetched.left >= 38 - 2
        assert "asks to wait 36" in fetched.given_up["127.0.0.1"]
        assert fetch(tmp_path, *images, per_host=2).failed > 0
        assert sum(server.asked().values()) > sum(asked.values())  # the next call asks again


def test_a_host_that_does_not_answer_is_given_up(tmp_path, server):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        closed = [f"http://127.0.0.1:{unused.getsockname()[1]}/{n}" for n in range(50)]
        fetched = fetch(tmp_path, *closed, server.url("ok/1", host="localhost"), retries=0)
    assert (fetched.ok, fetched.failed + fetched.left) == (1, 50)
    assert fetched.failed == fetched.again < 8 + 4
    assert fetched.given_up["127.0.0.1"].startswith("cannot connect")
    found = rows(tmp_path, *closed)
    assert len(found) == fetched.failed


def test_a_picture_that_drips(tmp_path, server):
    url = server.url("drip")
    fetched = fetch(tmp_path, url, timeout=1.0, retries=0)
    assert (fetched.failed, fetched.again) == (1, 1)
    assert rows(tmp_path, url)[url]["reason"] == "no whole answer within 1 s"


def test_at_most_so_many_at_once(tmp_path):
    with running() as server:
        images = [server.url(f"slow/0.1/{n}", host) for n in range(30) for host in ("127.0.0.1", "localhost")]
        images += [server.url(f"to/http://localhost:{server.port}/slow/0.1/r{n}") for n in range(20)]
        assert fetch(tmp_path, *images, concurrency=6, per_host=4).ok == 80
        peak = server.stats()["peak"]
    assert 2 <= peak["127.0.0.1"] <= 4
    assert 2 <= peak["localhost"] <= 4
    assert 4 < peak["all"] <= 6


def test_each_url_is_asked_for_once(tmp_path):
    with running() as server:
        same = [server.url("ok/same")] * 3
        told: list[int] = []
        assert count_pictures(products(*same, None, f" {same[0]}", server.url("gzip"))) == 2
        fetched = fetch(tmp_path, *same, None, "", "  ", f" {same[0]} ", server.url("gzip"), progress=told.append)
        assert (fetched.products, fetched.pictures, fetched.ok) == (5, 2, 2)
        again = fetch(tmp_path, *same, progress=told.append)
        assert (again.known, again.ok, again.failed) == (1, 0, 0)
        assert server.asked() == {"ok/same": 1, "gzip": 1}
    assert sum(told) == 3
    told_of = image_tables(products(*same, None), tmp_path, tmp_path / "s")
    assert (told_of.read, told_of.kept, told_of.unasked) == (3, 3, 0)


def test_what_the_next_call_asks_for(tmp_path):
    with running() as server:
        images = [server.url(path) for path in ("ok/1", "ok/2", "status/404", "flaky/1/x")]
        first = fetch(tmp_path, *images, retries=0)
        assert (first.ok, first.failed, first.again) == (2, 2, 1)
        before = digest(tmp_path)
        (tmp_path / str(rows(tmp_path, *images)[images[0]]["path"])).unlink()
        second = fetch(tmp_path, *images, server.url("ok/3"), retries=0)
        assert (second.known, second.ok, second.failed) == (2, 3, 0)
        assert server.asked() == {"ok/1": 2, "ok/2": 1, "ok/3": 1, "status/404": 1, "flaky/1/x": 2}
        third = fetch(tmp_path, *images)
        assert (third.known, third.ok) == (4, 0)
    assert digest(tmp_path) != before
    found = rows(tmp_path, *images, server.url("ok/unasked"))
    assert len(found) == 4
    assert (tmp_path / str(found[images[0]]["path"])).is_file()


CHILD = """
import sys
from pathlib import Path
import pyarrow as pa
from mindkg.engine import from_arrow
from mindkg.images import fetch_images
root, urls = Path(sys.argv[1]), sys.argv[2:]
products = from_arrow(pa.table({"product_id": urls, "image": urls}))
fetch_images(products, root, concurrency=8, per_host=8, allow_private=True)
"""


def interrupted(root: Path, server: PictureServer, images: list[str], number: int, after: int) -> None:
    """Fetch in a process of its own, which gets the signal ``number`` when ``after`` requests have come."""
    process = subprocess.Popen([sys.executable, "-c", CHILD, str(root), *images], stderr=subprocess.DEVNULL)
    while sum(server.asked().values()) < after and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(number)
    assert process.wait() != 0


def test_killed_and_gone_on_with(tmp_path):
    with running() as server:
        images = [server.url(f"slow/0.1/{n}") for n in range(240)]
        for number, after in ((signal.SIGKILL, 40), (signal.SIGINT, 130)):
            interrupted(tmp_path, server, images, number, after)
        known = rows(tmp_path, *images)
        (tmp_path / "images" / "ab").mkdir(exist_ok=True)
        (tmp_path / "images" / "ab" / ".building-1-2").write_bytes(b"half a pic")
        last = fetch(tmp_path, *images)
        asked = server.asked()
    assert all(row["status"] == "ok" for row in known.values())
    assert last.known == len(known) >= 130 - 2 * 8
    assert last.known + last.ok == 240
    assert len(asked) == 240
    assert sum(asked.values()) - 240 <= 2 * 8  # those in flight, twice
    files = [path for path in (tmp_path / "images").rglob("*") if path.is_file() and path.parent.name != "log"]
    assert all(hashlib.sha256(path.read_bytes()).hexdigest() == path.stem for path in files)
    assert len(files) == 240


def encoded(format: str) -> bytes:
    stream = io.BytesIO()
    Image.linear_gradient("L").convert("RGB").save(stream, format)
    return stream.getvalue()


def test_local_files_and_data_urls(tmp_path):
    folder = tmp_path / "pictures"
    (folder / "sub").mkdir(parents=True)
    kinds = {"jpg": "JPEG", "png": "PNG", "webp": "WEBP", "gif": "GIF"}
    for extension, kind in kinds.items():
        (folder / "sub" / f"{extension}.picture").write_bytes(encoded(kind))
    (folder / "text.jpg").write_text("no picture at all")
    (folder / "half.jpg").write_bytes(encoded("JPEG")[:1000])
    os.mkfifo(folder / "pipe.jpg")
    inline = f"data:image/png;base64,{base64.b64encode(png(3, 2)).decode()}"
    plain = {
        "text.jpg": "not a picture: neither JPEG, PNG, WebP nor GIF",
        "half.jpg": "a broken jpg picture: image file is truncated",
        "pipe.jpg": "not a plain file",
        "sub": "a folder, not a file",
        "absent.jpg": "no such file",
        "a\0b.jpg": "the file cannot be read: ",
        "file:///etc/hostname": "scheme 'file' is not allowed",
        "data:image/png;base64,a!b": "a data: URL whose base64 is broken",
        "data:nothing": "a data: URL without data",
        "data:,hello": "not a picture: neither",
    }
    images = [f"sub/{extension}.picture" for extension in kinds]
    images += [str(folder / "sub" / "png.picture"), inline, inline, *plain]
    fetched = fetch(tmp_path / "kb", *images, base=folder)
    assert (fetched.ok, fetched.failed, fetched.again) == (6, len(plain), 2)
    found = rows(tmp_path / "kb", *images)
    for extension in kinds:
        assert str(found[f"sub/{extension}.picture"]["path"]).endswith(f".{extension}")
        assert found[f"sub/{extension}.picture"]["width"] == 256
    assert found[str(folder / "sub" / "png.picture")]["sha256"] == found["sub/png.picture"]["sha256"]
    assert (found[inline[:64]]["width"], found[inline[:64]]["height"]) == (3, 2)
    for image, reason in plain.items():
        assert str(found[image]["reason"]).startswith(reason), image

    (folder / "absent.jpg").write_bytes(encoded("JPEG"))
    assert fetch(tmp_path / "kb", *images, base=folder).ok == 1


def test_private_addresses_are_not_asked(tmp_path):
    with running() as server:
        hosts = ("127.0.0.1", "localhost", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]", "0.0.0.0")
        images = [server.url("ok/1", host) for host in hosts]
        fetched = fetch(tmp_path, *images, allow_private=False)
        assert (fetched.failed, fetched.again) == (len(hosts), 0)
        assert server.asked() == {}
    for row in rows(tmp_path, *images).values():
        assert str(row["reason"]).startswith("a private address: ")


def test_a_redirect_to_a_private_address_is_not_followed(tmp_path, monkeypatch):
    monkeypatch.setattr(addresses, "is_public", lambda address: address == "127.0.0.1")
    with running() as server:
        images = [server.url("to/" + server.url("ok/1", host)) for host in ("127.0.0.2", "[::1]")]
        images += [server.url("to/" + server.url("ok/2"))]
        fetched = fetch(tmp_path, *images, allow_private=False)
        assert server.asked()["ok/2"] == 1
        assert "ok/1" not in server.asked()
    assert (fetched.ok, fetched.failed) == (1, 2)


def looked_up(monkeypatch, *answers: list[str]) -> list[str]:
    """Let the name pictures.test have these addresses, one list a look-up; return the look-ups made of it."""
    made: list[str] = []
    real = socket.getaddrinfo

    def getaddrinfo(host: str, port: int, *args: object, **options: object) -> list[object]:
        if host not in ("pictures.test", b"pictures.test"):
            return real(host, port, *args, **options)
        made.append("pictures.test")
        addresses = answers[min(len(made), len(answers)) - 1]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return made


def test_the_address_that_was_checked_is_connected_to(tmp_path, monkeypatch, server):
    monkeypatch.setattr(addresses, "is_public", lambda address: address == "127.0.0.1")
    made = looked_up(monkeypatch, ["127.0.0.1"], ["127.0.0.66"])
    assert fetch(tmp_path, server.url("ok/rebound", "pictures.test"), allow_private=False).ok == 1
    assert len(made) == 1


def test_every_address_of_a_host_is_checked(tmp_path, monkeypatch, server):
    monkeypatch.setattr(addresses, "is_public", lambda address: address == "127.0.0.1")
    looked_up(monkeypatch, ["127.0.0.1", "10.0.0.1"])
    url = server.url("ok/both", "pictures.test")
    assert fetch(tmp_path, url, allow_private=False).failed == 1
    assert rows(tmp_path, url)[url]["reason"] == "a private address: pictures.test is 10.0.0.1"


def test_a_host_with_a_dead_address_is_reached_by_another(tmp_path, monkeypatch, server):
    looked_up(monkeypatch, ["127.0.0.99", "127.0.0.1"])
    assert fetch(tmp_path, server.url("ok/second", "pictures.test"), retries=0).ok == 1


@pytest.mark.skipif(not shutil.which("openssl"), reason="needs openssl to make a certificate")
def test_certificates_are_checked_against_the_name(tmp_path, monkeypatch):
    key, certificate = str(tmp_path / "key.pem"), str(tmp_path / "certificate.pem")
    make = "openssl req -x509 -nodes -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -days 2 -subj /CN=localhost"
    files = ["-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", certificate]
    subprocess.run([*make.split(), *files], check=True, capture_output=True)
    monkeypatch.setenv("SSL_CERT_FILE", certificate)
    with running(key, certificate) as server:
        images = [f"https://{host}:{server.port}/ok/1" for host in ("localhost", "127.0.0.1")]
        fetch(tmp_path, *images, retries=0)
    found = rows(tmp_path, *images)
    assert found[images[0]]["status"] == "ok"
    assert "certificate is not valid for '127.0.0.1'" in str(found[images[1]]["reason"])


def test_a_full_disk_stops_it(tmp_path, server):
    (tmp_path / "images").mkdir()
    for n in range(256):  # where folders of pictures would be
        (tmp_path / "images" / f"{n:02x}").touch()
    images = [server.url(f"ok/{n}") for n in range(30)]
    with pytest.raises(StorageError, match="cannot store a picture"):
        fetch(tmp_path, *images)
    for n in range(256):
        (tmp_path / "images" / f"{n:02x}").unlink()
    assert fetch(tmp_path, *images).ok == 30


def test_the_commands_of_the_page_run(tmp_path):
    [block] = re.findall(r"^```sh\n(.*?)^```", (ROOT / "docs" / "images.md").read_text("utf-8"), re.M | re.S)
    (tmp_path / "pictures").mkdir()
    mug = io.BytesIO()  # whose EXIF data Pillow warns of
    Image.new("RGB", (4, 4)).save(mug, "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\x05\0")
    (tmp_path / "pictures" / "mug.png").write_bytes(mug.getvalue())
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    command = ["sh", "-e", "-c", block]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "2 pictures = 0 known + 1 fetched + 1 failed + 0 left" in done.stderr
    found = KnowledgeBase.open(tmp_path / "kb").table("images").to_pylist()
    assert [row["status"] for row in found] == ["ok", "failed"]
    assert (tmp_path / "kb" / found[0]["path"]).read_bytes() == mug.getvalue()
    assert "Warning" not in done.stderr


def test_inside_a_running_loop(tmp_path, server):
    async def cell() -> Fetched:
        return fetch(tmp_path, server.url("ok/notebook"))

    assert asyncio.run(cell()).ok == 1


def test_what_a_limit_refused_is_asked_for_under_another(tmp_path, server):
    images = [server.url("large"), server.url("ok/here")]
    strict = {"max_bytes": 2_000_000, "max_pixels": 8 * 8 - 1}
    assert fetch(tmp_path, *images, **strict, allow_private=False).failed == 2
    assert fetch(tmp_path, *images, **strict, allow_private=False).known == 2
    assert fetch(tmp_path, *images, **strict).failed == 2
    assert fetch(tmp_path, *images, max_bytes=2_000_000).ok == 1
    assert fetch(tmp_path, *images, max_bytes=4_000_000).ok == 1
    assert fetch(tmp_path, *images, **strict).known == 2


def test_nothing_to_fetch(tmp_path):
    fetched = fetch(tmp_path, None, None)
    assert (fetched.products, fetched.pictures) == (0, 0)
    assert rows(tmp_path, None, None) == {}
    assert digest(tmp_path) == digest(tmp_path / "elsewhere")


def test_what_a_user_can_get_wrong(tmp_path):
    timeouts = [{"timeout": seconds} for seconds in (0.0, math.nan, math.inf)]
    for options in ({"concurrency": 0}, {"per_host": 0}, *timeouts, {"retries": -1}, {"base": tmp_path / "no"}):
        with pytest.raises(InputError):
            fetch(tmp_path, None, **options)
