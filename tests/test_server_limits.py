"""The chat backend against servers that send too much, too slowly, too rarely, or the key itself."""

from __future__ import annotations

import base64
import gzip
import json
import re
import resource
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lvlm_server import running

from mindkg.distill.ask import ask
from mindkg.distill.backends.openai import OpenAIBackend
from mindkg.distill.ledger import Ledger
from mindkg.distill.requests import Answer, Prompt, Request, RequestError, Sampling, Subject
from mindkg.errors import MindKGError
from mindkg.key_mask import KeyMask

KEY = "sk-proj-7Hq2xW9z41LmT0"
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
Send = Callable[[socket.socket], None]


def request(text: str) -> Request:
    return Request(text, "features", Subject(product_id=text), "", Prompt("p", "1", "", text), (), Sampling(), "stub")


def read_request(connection: socket.socket) -> bytes:
    """Return a whole request: a connection that is closed with unread bytes is reset."""
    read = b""
    while piece := connection.recv(1 << 16):
        read += piece
        if not read.startswith((b"POST", b"GET")):
            break
        head, found, content = read.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: (\d+)", head)
        if found and len(content) >= (int(length[1]) if length else 0):
            break
    return read


@contextmanager
def serving(send: Send, tls: ssl.SSLContext | None = None, scheme: str = "http") -> Iterator[str]:
    """Run a server that reads the head of each request and calls ``send``; give its address."""
    listener = socket.create_server(("127.0.0.1", 0))

    def answer(connection: socket.socket) -> None:
        try:
            with tls.wrap_socket(connection, server_side=True) if tls else connection as wrapped:
                if read_request(wrapped):
                    send(wrapped)
        except OSError:
            pass

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=answer, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"{scheme}://127.0.0.1:{listener.getsockname()[1]}/v1"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def body(content: bytes, head: bytes = HEAD) -> Send:
    return lambda out: out.sendall(head + f"content-length: {len(content)}\r\n\r\n".encode() + content)


def endless(out: socket.socket) -> None:
    out.sendall(HEAD + b"\r\n" + b'{"choices": [{"message": {"content": "')
    while True:
        out.sendall(b"a" * 65536)


def drip(out: socket.socket) -> None:
    out.sendall(HEAD + b"content-length: 100000\r\n\r\n")
    stop = threading.Event()
    while not stop.wait(0.05):
        out.sendall(b" ")


def completion(text: str) -> bytes:
    return json.dumps({"choices": [{"message": {"content": text}, "finish_reason": "stop"}]}).encode()


def outcome(send: Send, **options: object) -> Answer | RequestError:
    with serving(send) as address:
        backend = OpenAIBackend(address, "stub", **{"backoff": 0.02, "retries": 1, **options})  # type: ignore[arg-type]
        try:
            ((_, found),) = backend.answers([request("hello")])
        finally:
            backend.close()
    assert isinstance(found, Answer | RequestError)
    return found


BOMB = gzip.compress(b"[" + b" " * (200 << 20), 6)


@pytest.mark.parametrize(
    ("send", "size"),
    [
        (endless, "over 1,600,000 bytes"),
        (body(BOMB, HEAD + b"content-encoding: gzip\r\n"), "over 1,600,000 bytes"),
        (body(completion("a" * 50_000_000)), "50,000,068 bytes"),
    ],
    ids=["endless", "bomb", "large"],
)
def test_no_more_of_a_body_is_read_than_the_limit(send: Send, size: str) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = outcome(send)
    assert isinstance(found, RequestError) and found.status == 200 and not found.retryable
    assert "the answer is too long" in str(found) and size in str(found)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # KiB


def test_an_endless_list_of_models_and_an_endless_error_end() -> None:
    def error(out: socket.socket) -> None:
        out.sendall(b"HTTP/1.1 400 no\r\n\r\nno such thing ")
        while True:
            out.sendall(b"a" * 65536)

    with serving(endless) as address, pytest.raises(MindKGError, match="cannot be read: the body is too large"):
        OpenAIBackend(address)
    found = outcome(error)
    assert isinstance(found, RequestError) and "(400): no such thing aaa" in str(found) and len(str(found)) < 600


def event(text: str, reason: str | None = None) -> bytes:
    return (
        b"data: " + json.dumps({"choices": [{"delta": {"content": text}, "finish_reason": reason}]}).encode() + b"\n\n"
    )


STREAM = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"


def repeated(piece: bytes) -> Send:
    """Send ``piece`` as a stream that does not end."""

    def send(out: socket.socket) -> None:
        out.sendall(STREAM + b"\r\n")
        while True:
            out.sendall(piece * 100)

    return send


@pytest.mark.parametrize(
    ("piece", "size"),
    [
        (event("a" * 20), "over 200,000 bytes"),
        (
            event("a").replace(b'"content"', b'"reasoning_content"').replace(b'"a"', b'"%b"' % (b"a" * 5000)),
            "1,600,000",
        ),
        (b"x" * 5000, "over 1,600,000 bytes"),
        (b": " + b"x" * 5000 + b"\n", "over 25,600,000 bytes"),
    ],
    ids=["text", "thought", "line", "comments"],
)
def test_no_more_of_a_stream_is_read_than_the_limit(piece: bytes, size: str) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = outcome(repeated(piece))
    assert isinstance(found, RequestError) and "the answer is too long" in str(found) and size in str(found)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # KiB


def test_a_stream_of_more_bytes_than_a_body_is_an_answer() -> None:
    line = "\u2028 caf\xe9 "
    sent = event(line).replace(b"\\u2028", line[:1].encode()).replace(b"\\u00e9", b"\xc3\xa9") * 20_000 + event(
        "", "stop"
    )
    assert len(sent) > 1_600_000
    assert outcome(body(sent, STREAM), max_answer=200_001) == Answer(line * 20_000, "stop")
    packed = outcome(body(gzip.compress(sent), STREAM + b"content-encoding: gzip\r\n"), max_answer=200_001)
    assert packed == Answer(line * 20_000, "stop")


def test_an_answer_that_drips_is_given_up_in_time() -> None:
    with pytest.raises(MindKGError, match=r"no answer within 0\.3 s \(http://.*\)\. Raise --timeout"):
        outcome(drip, timeout=0.3)


def test_a_broken_byte_is_replaced_and_the_answer_kept() -> None:
    found = outcome(body(completion("a caf# table").replace(b"#", b"\xe9")))
    assert found == Answer("a caf\ufffd table", "stop")


def test_packed_answers_are_read() -> None:
    found = outcome(body(gzip.compress(completion("tea")), HEAD + b"content-encoding: gzip\r\n"))
    assert found == Answer("tea", "stop")


@pytest.mark.parametrize(
    ("listed", "said"),
    [
        (b'{"data":' + b"[" * 200_000, "lists no models"),
        (b'{"data": [{"id": "\\ud800"}]}', "control characters"),
        (b'{"data": [{"id": "a\\u001b[31m"}, {"id": "b"}]}', r"It has: a \[31m, b"),
        (b'{"data": []}', "It has: none"),
        (b'{"data": {"id": 1}}', "lists no models"),
        (b"<html>Welcome</html>", "lists no models.*Welcome.*no chat server"),
    ],
)
def test_an_odd_list_of_models_is_reported_in_one_line(listed: bytes, said: str) -> None:
    with serving(body(listed)) as address, pytest.raises(MindKGError, match=said) as caught:
        OpenAIBackend(address)
    assert str(caught.value).isprintable() and address in str(caught.value)


LISTED = st.recursive(
    st.none() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["data", "id"]), inner),
    max_leaves=8,
)


@pytest.fixture(scope="module")
def listing() -> Iterator[tuple[str, list[bytes]]]:
    """A server that lists the models which are put into the list, and its address."""
    listed: list[bytes] = []
    with serving(lambda out: body(listed[-1])(out)) as address:
        yield address, listed


@given(json_value=LISTED)
@settings(max_examples=25, deadline=None)
def test_any_list_of_models_is_a_name_or_one_line(listing: tuple[str, list[bytes]], json_value: object) -> None:
    address, listed = listing
    listed.append(json.dumps({"data": json_value}).encode())
    try:
        backend = OpenAIBackend(address)
    except MindKGError as error:
        assert "\n" not in str(error)
    else:
        assert backend.model.isprintable()
        backend.close()


def first_failure(address: str) -> str:
    backend = OpenAIBackend(address, "stub", backoff=0.02, retries=1, timeout=0.5)
    try:
        with pytest.raises(MindKGError) as caught:
            list(backend.answers([request("hello")]))
    finally:
        backend.close()
    assert not isinstance(caught.value, RequestError)
    message = str(caught.value)
    assert message.isprintable() and address in message
    return message


def status(code: int, text: bytes) -> Send:
    return body(text, f"HTTP/1.1 {code} X\r\n".encode())


@pytest.mark.parametrize(
    ("send", "said", "hint"),
    [
        (status(401, b'{"error": "bad key"}'), "(401): bad key", "put it into the environment variable OPENAI_API_KEY"),
        (status(403, b"no"), "(403)", "OPENAI_API_KEY"),
        (status(404, b'{"detail": "Not Found"}'), "(404): Not Found", "mostly ends in /v1"),
        (status(404, b'{"error": "model stub not found"}'), "(404)", "--model"),
        (status(405, b"no"), "(405)", "mostly ends in /v1"),
        (status(307, b""), "(307)", "the address that it names"),
        (status(500, b"CUDA"), "(500): CUDA", "log"),
        (body(b"<html>Login</html>"), "not JSON: Login", "no chat server"),
        (lambda out: None, "the connection broke", "speak http and not https"),
        (drip, "no answer within 0.5 s", "--timeout"),
    ],
)
def test_the_first_failure_has_an_address_and_a_hint(send: Send, said: str, hint: str) -> None:
    with serving(send) as address:
        message = first_failure(address)
    assert said in message and hint in message


def test_no_server_no_host_and_no_proxy_have_a_hint(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(drip) as gone:
        pass
    assert "connection refused at port" in first_failure(gone) and "Start the server" in first_failure(gone)
    assert "'nohost.invalid' is unknown" in first_failure("http://nohost.invalid/v1")
    monkeypatch.setenv("HTTP_PROXY", gone.removesuffix("/v1"))
    assert "the proxy in HTTP_PROXY" in first_failure("http://192.0.2.1/v1")


def test_a_wrong_key_names_the_variable_it_came_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINDKG_API_KEY", KEY)
    with serving(status(401, f"wrong key {KEY[:-3].upper()}".encode())) as address:
        message = first_failure(address)
    assert "wrong key ***" in message and "Check the key in the environment variable MINDKG_API_KEY" in message


CA = """
[ca]
default_ca = own
[own]
database = index.txt
new_certs_dir = .
serial = serial
default_md = sha256
policy = any
x509_extensions = names
[any]
commonName = supplied
[names]
subjectAltName = {name}
"""


def certificate(folder: Path, name: str = "IP:127.0.0.1", end: str = "20991231000000Z") -> Path:
    """Write a self-signed certificate for ``name`` with its key into one file of ``folder``; return the file."""

    def openssl(*words: str) -> None:
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)

    (folder / "index.txt").touch()
    (folder / "serial").write_text("01")
    (folder / "ca.cnf").write_text(CA.format(name=name))
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=test", "-keyout", "key.pem", "-out", "request.pem")
    signing = ("-selfsign", "-keyfile", "key.pem", "-in", "request.pem", "-out", "cert.pem", "-batch", "-notext")
    openssl("ca", "-config", "ca.cnf", *signing, "-startdate", "20200101000000Z", "-enddate", end)
    (folder / "both.pem").write_text((folder / "cert.pem").read_text() + (folder / "key.pem").read_text())
    return folder / "both.pem"


@pytest.mark.parametrize(
    ("made", "trusted", "said"),
    [
        ({}, False, "self-signed certificate"),
        ({"end": "20200102000000Z"}, True, "certificate has expired"),
        ({"name": "DNS:elsewhere"}, True, "not valid for '127.0.0.1'"),
    ],
)
def test_a_certificate_that_is_not_accepted_is_named(
    made: dict[str, str], trusted: bool, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, tls = certificate(tmp_path, **made), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(file)
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(file))
    with serving(body(completion("tea")), tls, "https") as address:
        message = first_failure(address)
        assert said in message and "SSL_CERT_FILE" in message
        if not made:
            monkeypatch.setenv("SSL_CERT_FILE", str(file))
            backend = OpenAIBackend(address, "stub")
            assert [found for _, found in backend.answers([request("hello")])] == [Answer("tea", "stop")]
            backend.close()
    with serving(body(b"plain"), scheme="https") as address:
        assert "begins with http://" in first_failure(address)


FORMS: list[Callable[[str], str]] = [
    str,
    str.upper,
    str.swapcase,
    lambda key: key[:-3],
    lambda key: key[3:],
    lambda key: quote(key, safe=""),
    lambda key: "".join(f"%{byte:02X}" for byte in key.encode()),
    lambda key: "".join(f"\\u{ord(letter):04x}" for letter in key),
    lambda key: "".join(f"&#{ord(letter)};" for letter in key),
    lambda key: key.encode().hex(),
    lambda key: base64.b64encode(key.encode()).decode(),
    lambda key: base64.urlsafe_b64encode(f"Bearer {key}".encode()).decode(),
    lambda key: base64.b64encode(f"ab{key}yz".encode()).decode(),
    lambda key: " ".join(key),
    lambda key: f"{key[:9]}\n  {key[9:]}",
    lambda key: f'{key[:5]}","{key[5:]}',
    repr,
    json.dumps,
]


@given(key=st.text(st.sampled_from("abcDEF019-_/+.sk"), min_size=12, max_size=60), form=st.sampled_from(FORMS))
@settings(deadline=None)
def test_no_form_of_a_key_is_shown(key: str, form: Callable[[str], str]) -> None:
    letters = [letter for letter in key if letter.isalnum()]
    if len(set(letters)) < 4 or len(letters) < 11:
        return
    shown = KeyMask(key)(f"the key {form(key)} was refused")
    kept = "".join(letter for letter in shown if letter.isalnum()).lower()
    plain = "".join(letters).lower()
    runs = {plain[start : start + 8] for start in range(len(plain) - 7)}
    assert "***" in shown and not any(run in kept for run in runs)


@pytest.mark.parametrize("form", FORMS)
def test_a_key_in_an_error_is_masked_everywhere(form: Callable[[str], str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    found = outcome(lambda out: status(400, json.dumps({"error": {"message": f"bad {form(KEY)} !"}}).encode())(out))
    assert "***" in str(found) and "7Hq2xW9z" not in str(found) and "7hq2xw9z" not in str(found).lower()


def test_a_key_in_a_reason_phrase_or_header_is_masked_in_logs(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    outcome(body(b"no", f"HTTP/1.1 400 {KEY}\r\nx-echo: {KEY.upper()}\r\n".encode()))
    assert "***" in caplog.text and KEY.lower() not in caplog.text.lower()


@pytest.mark.parametrize("word", ["EMPTY", "x", "none", "placeholder"])
def test_a_word_that_stands_for_no_key_is_not_masked(word: str) -> None:
    assert KeyMask(word)(f"the {word} list") == f"the {word} list"


def test_a_token_bucket_is_found_with_few_refusals() -> None:
    with running(bucket=(200, 10), delay=0.005) as server:
        backend = OpenAIBackend(server.address, "stub")
        found = [outcome for _, outcome in backend.answers(request(f"question {n}") for n in range(100))]
        backend.close()
        assert all(isinstance(outcome, Answer) for outcome in found)
        assert server.stats()["requests"] < 100 * 1.4


def test_requests_survive_a_server_that_fails_at_random_and_one_that_is_down() -> None:
    for options in ({"flaky": 0.6}, {"outage": (0.05, 0.6)}):
        with running(delay=0.005, **options) as server:
            backend = OpenAIBackend(server.address, "stub", backoff=0.02)
            found = [outcome for _, outcome in backend.answers(request(f"question {n}") for n in range(100))]
            backend.close()
            assert all(isinstance(outcome, Answer) for outcome in found)
            assert server.stats()["requests"] < 77 * 4


def test_an_answer_above_the_limit_is_a_reject_and_not_asked_again(tmp_path: Path) -> None:
    with running() as server:
        backend = OpenAIBackend(server.address, "stub")
        for limit, sent in ((1000, 3), (1000, 0), (5000, 1)):
            with Ledger(tmp_path / "ledger", max_answer=limit) as ledger:
                done = ask([request("short"), request("x" * 3000), request("also")], backend, ledger)
                assert done.sent == sent
                errors = [row["error"] for part in ledger.records() for row in part.to_pylist() if row["error"]]
                stages = ledger.summary()["stage"].to_pylist()
            assert stages == ["features", "too long"]
            assert len(errors) == (limit == 1000) and all("3,010 bytes, the limit is 1,000" in e for e in errors)
        backend.close()
