"""The text of files as UTF-8, whatever encoding they are in; the encoding is found from the content, piece by piece."""

from __future__ import annotations

import codecs
import contextlib
import encodings.aliases
import re
from collections.abc import Iterator
from difflib import get_close_matches
from itertools import chain
from pathlib import Path
from typing import Final

from mindkg.errors import UsageError
from mindkg.sources.files import CutOffError, chunks

UTF_8: Final = "utf-8"
_MARKS: Final = (
    (codecs.BOM_UTF8, UTF_8),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # begins as the mark of UTF-16 does
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_LATIN: Final = ("cp1252", "cp1250", "cp1254")
_LEGACY: Final = (
    *_LATIN,
    *("cp1251", "cp1253", "koi8_r"),
    *("gb18030", "big5", "shift_jis", "euc_jp", "euc_kr"),
)
"""The encodings that a file without a mark may be in, where it is not UTF-8."""

_SAMPLE: Final = 1 << 16
_ENOUGH: Final = 3
"""Lines that are not UTF-8 from which another encoding is considered: fewer are damage."""
_SHARE: Final = 0.05
"""The part of the lines that must not be UTF-8 for the same."""
_BAD = re.compile(r"[\udc80-\udcff]")
_HIGH = re.compile(rb"[\x80-\xff]+")
_ALONE: Final = 1.3
_OTHER = re.compile(r"[^\x00-\x7f\udc80-\udcff]")


def check_encoding(name: str | None) -> str | None:
    """Return Python's name of an encoding of text, None for None; raises UsageError where there is none.

    >>> check_encoding("Windows-1252")
    'cp1252'
    """
    if name is None:
        return None
    aliases = encodings.aliases.aliases
    plain = re.sub(r"[^a-z0-9]+", "_", name.lower())
    try:
        if plain in aliases or plain in aliases.values():
            "".encode(name)  # what is no text, such as base64, fails here
            return codecs.lookup(name).name
    except LookupError:
        pass
    words = ("utf-8", "utf-16", "utf-32", "latin-1", "windows-1252", *_LEGACY)
    nearest = get_close_matches(name.lower(), words, 1)
    hint = f"The nearest is {nearest[0]}" if nearest else f"Some of them: {', '.join(words)}"
    raise UsageError(f"there is no encoding {name!r}", hint=hint)


class Text:
    """The text of the file ``path``, in the encoding ``given`` or, where that is None, the one that its content shows.

    ``encoding`` is the one found so far (UTF-8 until something else is met).
    """

    def __init__(self, path: Path, given: str | None = None) -> None:
        self.path = path
        self.encoding = given or UTF_8
        self._given = given

    def chunks(self) -> Iterator[bytes]:
        """Yield the decompressed text as UTF-8, without a byte order mark, in pieces of some megabytes.

        What is not valid in the file's encoding is not valid in what is yielded either, so its row can be rejected.
        Raises InputError where the file cannot be opened, CutOffError after the last bytes that can be had.
        """
        pieces = chunks(self.path)
        first = next(pieces, b"")
        marked = None if self._given else next(((mark, name) for mark, name in _MARKS if first.startswith(mark)), None)
        first = first.removeprefix(marked[0]) if marked else first
        known = self._given or (marked[1] if marked else _wide(first))
        if known == UTF_8:
            first = first.removeprefix(codecs.BOM_UTF8)
        rest = chain([first] if first else [], pieces)
        if known is None:
            for piece in rest:
                known = None if piece.isascii() else judge(piece)
                if known is not None:
                    rest = chain([piece], rest)
                    break
                yield piece
        if known in (None, UTF_8):
            yield from rest
            return
        self.encoding = str(known)
        yield from _decoded(rest, self.encoding)


def _wide(head: bytes) -> str | None:
    """Return UTF-16 without a mark, as text that is mostly ASCII shows it: every other byte is zero."""
    sample = head[:1000]
    if len(sample) < 4 or len(sample) % 2:
        return None
    for name, zeros, others in (("utf-16-le", sample[1::2], sample[::2]), ("utf-16-be", sample[::2], sample[1::2])):
        if zeros.count(0) > 0.8 * len(zeros) and not others.count(0):
            return name
    return None


def judge(piece: bytes) -> str | None:
    """Return the encoding of a piece of text that is not ASCII alone; None where there is too little to tell by.

    Some lines that are not UTF-8 among others that are show damage, not another encoding.

    >>> judge("Café, thé, crème\\n".encode() * 9), judge("Café, thé, crème\\n".encode("cp1252") * 9)
    ('utf-8', 'cp1252')
    """
    with contextlib.suppress(UnicodeDecodeError):
        codecs.getincrementaldecoder(UTF_8)().decode(piece)  # the piece may end inside a character
        return UTF_8
    text = piece.decode(UTF_8, "surrogateescape")
    lines = re.split(r"[\r\n]+", text)
    bad = [line for line in lines if _BAD.search(line)]
    good = sum(1 for line in lines if _OTHER.search(line)) - sum(1 for line in bad if _OTHER.search(line))
    if good > len(bad) / 4:
        return UTF_8
    if len(bad) < _ENOUGH or len(bad) < _SHARE * len(lines):
        return None
    return _legacy("\n".join(bad).encode(UTF_8, "surrogateescape")[:_SAMPLE])


def _legacy(sample: bytes) -> str | None:
    """Return the legacy encoding that ``sample`` is likeliest to be in: of equally likely ones cp1252."""
    from charset_normalizer import from_bytes

    # accents stand alone among Latin letters; words of other scripts are runs of other bytes
    runs = [len(run) for run in _HIGH.findall(sample)]
    alone = sum(runs) < _ALONE * len(runs)
    found = from_bytes(sample, cp_isolation=list(_LATIN if alone else _LEGACY))
    best = found.best()
    if best is None:
        return None
    western = "cp1252"
    same = western in best.could_be_from_charset or any(
        other.encoding == western and other.chaos <= best.chaos and other.coherence >= best.coherence for other in found
    )
    return western if same else best.encoding


def _decoded(pieces: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    """Yield ``pieces`` of text in ``encoding`` as UTF-8."""
    errors = "surrogatepass" if encoding.startswith("utf") else "surrogateescape"
    decoder = codecs.getincrementaldecoder(encoding)(errors)
    for number, piece in enumerate(pieces):
        try:
            text = decoder.decode(piece)
        except UnicodeError as error:
            raise CutOffError(f"the text is not in {encoding}") from error
        yield (text if number else text.removeprefix("\ufeff")).encode(UTF_8, errors)
    try:
        rest = decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        raise CutOffError(f"the text ends inside a character of {encoding}") from error
    if rest:
        yield rest.encode(UTF_8, errors)
