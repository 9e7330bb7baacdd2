"""Where the data folders ontology/, loaders/ and queries/ lie, in a checkout and in an installed wheel."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parent


def data_folder(name: str) -> Path:
    """Return the folder ``name`` (``ontology``, ``loaders`` or ``queries``).

    >>> (data_folder("ontology") / "relations.ttl").is_file()
    True
    """
    installed = _PACKAGE / "_data" / name
    return installed if installed.is_dir() else _PACKAGE.parent / name
