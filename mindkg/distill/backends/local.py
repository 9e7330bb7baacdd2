"""A model in this process, through transformers: requests sorted by length into batches padded on the left."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mindkg.distill.backends.base import Outcome, Probed
from mindkg.distill.backends.server_errors import one_line
from mindkg.distill.requests import Answer, Request, RequestError, Sampling
from mindkg.errors import InputError, MindKGError
from mindkg.thoughts import thoughts

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image

_WINDOW: Final = 512
_REFUSED: Final = 422
_TEMPERATURE: Final = 1.0
_MAX_TOKENS: Final = 2_048
"""What a sampling without temperature or longest answer means."""


@dataclass(frozen=True, slots=True)
class _Ready:
    """A request whose picture is open and whose prompt is written; ``tokens`` is the length of the whole prompt."""

    request: Request
    text: str
    picture: Image | None
    tokens: int


class LocalBackend:
    """A vision-language model that transformers loads: a folder, or a name on the hub.

    Requests are taken ``512`` at a time, sorted by length, and put into batches of at most ``batch_tokens`` tokens,
    padding and answer counted. ``device`` is ``auto`` (a GPU where there is one), ``cpu``, ``cuda`` …; ``dtype`` is
    ``auto`` (as the model is stored), ``float32``, ``bfloat16`` or ``float16``. At temperature 0 an answer is that of
    a batch of one, up to the rounding of sums; above it, a batch is seeded with the seed of its requests.
    """

    def __init__(
        self,
        source: str,
        model: str | None = None,
        revision: str = "",
        *,
        device: str = "auto",
        dtype: str = "auto",
        batch_tokens: int = 16_384,
    ) -> None:
        missing = [name for name in ("torch", "transformers", "torchvision") if find_spec(name) is None]
        if missing:
            hint = 'Install it with: pip install "mindkg[local]"'
            raise InputError(f"a local model needs {missing[0]}", record=source, hint=hint)
        import torch

        self.model = model or (Path(source).name if Path(source).is_dir() else source)
        self.batch_tokens = batch_tokens
        self.device = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
        self._processor, self._net = _load(source, revision, self.device, dtype)
        self.revision = revision or getattr(self._net.config, "_commit_hash", None) or ""
        self._pad = _padding(self._processor.tokenizer)

    def probe(self, sampling: Sampling) -> Probed:
        """Return that all is well: log-probabilities are always at hand."""
        return Probed()

    def answers(self, requests: Iterable[Request]) -> Iterator[tuple[Request, Outcome]]:
        """Yield the outcomes batch by batch; the next requests are made ready while a batch is being answered."""
        waiting = iter(requests)
        with ThreadPoolExecutor(1) as pool:
            following = pool.submit(self._window, waiting)
            while (window := following.result()) is not None:
                following = pool.submit(self._window, waiting)
                ready, refused = window
                yield from refused
                for batch in batches(ready, self.batch_tokens):
                    yield from self._answer(batch)

    def close(self) -> None:
        """Let go of the model's memory."""
        import torch

        self._net = None
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _window(self, requests: Iterator[Request]) -> tuple[list[_Ready], list[tuple[Request, Outcome]]] | None:
        ready: list[_Ready] = []
        refused: list[tuple[Request, Outcome]] = []
        for request in islice(requests, _WINDOW):
            try:
                ready.append(self._ready(request))
            except MindKGError as error:
                refused.append((request, RequestError(str(error))))
            except Exception as error:  # processors raise nearly anything at what they were not made for
                refused.append((request, _refusal(error)))
        return (ready, refused) if ready or refused else None

    def _ready(self, request: Request) -> _Ready:
        from PIL import Image

        from mindkg.distill.pictures import picture_bytes

        picture = Image.open(io.BytesIO(picture_bytes(request.pictures))) if request.pictures else None
        content: list[dict[str, str]] = [{"type": "image"}] if picture else []
        content.append({"type": "text", "text": request.prompt.text})
        messages: list[dict[str, Any]] = [{"role": "user", "content": content}]
        if request.prompt.system:
            messages.insert(0, {"role": "system", "content": [{"type": "text", "text": request.prompt.system}]})
        thinking = {} if request.sampling.thinking is None else {"enable_thinking": request.sampling.thinking}
        text = self._processor.apply_chat_template(messages, add_generation_prompt=True, tokenize=False, **thinking)
        inputs = self._processor(text=[text], images=[picture] if picture else None, return_tensors="pt")
        return _Ready(request, text, picture, int(inputs["input_ids"].shape[1]))

    def _answer(self, batch: Sequence[_Ready]) -> Iterator[tuple[Request, Outcome]]:
        """Yield the outcomes of a batch; where the model fails at it, each request is tried alone."""
        import torch

        try:
            yield from self._generated(batch)
        except torch.OutOfMemoryError as error:
            hint = "Take fewer --batch-tokens, or a smaller --dtype: what was answered is kept"
            raise MindKGError("the model finds no memory for a batch", record=self.model, hint=hint) from error
        except Exception as error:
            if len(batch) == 1:
                yield batch[0].request, _refusal(error)
                return
            for one in batch:
                yield from self._answer([one])

    def _generated(self, batch: Sequence[_Ready]) -> list[tuple[Request, Outcome]]:
        import torch

        sampling = batch[0].request.sampling
        pictures = [one.picture for one in batch if one.picture]
        inputs = self._processor(
            text=[one.text for one in batch], images=pictures or None, padding=True, return_tensors="pt"
        ).to(self.device, dtype=self._net.dtype)
        if sampling.seed is not None:
            torch.manual_seed(sampling.seed)
        with torch.inference_mode():
            made = self._net.generate(**inputs, **self._how(sampling))
        answers = made.sequences[:, inputs["input_ids"].shape[1] :].cpu()
        first = self._first(made.scores[0], sampling.logprobs) if made.scores else [None] * len(batch)
        told = zip(batch, answers, first, strict=True)
        return [(one.request, self._told(one, tokens, alternatives)) for one, tokens, alternatives in told]

    def _how(self, sampling: Sampling) -> dict[str, Any]:
        """Return the options of ``generate``: ours alone, whatever the model's own generation config says."""
        temperature = _TEMPERATURE if sampling.temperature is None else sampling.temperature
        how: dict[str, Any] = {
            "max_new_tokens": _longest(sampling),
            "do_sample": temperature > 0,
            "pad_token_id": self._pad,
            "return_dict_in_generate": True,
            # the scores of a long answer take more memory than the model; its verdict is read from its words
            "output_scores": sampling.logprobs > 0 and _longest(sampling) == 1,
            "top_k": 0 if temperature > 0 else None,
            "top_p": 1.0 if temperature > 0 else None,
            "repetition_penalty": 1.0,
        }
        return how | {"temperature": temperature if temperature > 0 else None}

    def _first(self, scores: torch.Tensor, count: int) -> list[tuple[tuple[str, float], ...]]:
        """Return the ``count`` likeliest first tokens of each row of ``scores`` (batch, words) with log-probability."""
        import torch

        top = torch.log_softmax(scores.float(), dim=-1).topk(min(count, scores.shape[-1]), dim=-1)
        decode = self._processor.tokenizer.decode
        return [
            tuple((decode([token]), value) for token, value in zip(tokens, values, strict=True))
            for tokens, values in zip(top.indices.tolist(), top.values.tolist(), strict=True)
        ]

    def _told(self, one: _Ready, tokens: torch.Tensor, first: tuple[tuple[str, float], ...] | None) -> Answer:
        ends = self._net.generation_config.eos_token_id
        ends = set(ends if isinstance(ends, list) else [ends]) - {None}
        said = tokens.tolist()
        stop = next((place for place, token in enumerate(said) if token in ends), None)
        text = self._text(said[:stop])
        length = len(said) if stop is None else stop + 1
        return Answer(text, "length" if stop is None else "stop", one.tokens, length, first)

    def _text(self, tokens: list[int]) -> str:
        """Return the words of ``tokens``; special tokens stay only where they say which of the words are thoughts."""
        decode = self._processor.tokenizer.decode
        whole: str = decode(tokens, skip_special_tokens=False)
        return whole if thoughts(whole) else str(decode(tokens, skip_special_tokens=True))


def _refusal(error: Exception) -> RequestError:
    """Return what concerns one request alone, with the status that a server would have: it would fail again."""
    said = one_line(str(error)) or type(error).__name__
    return RequestError(f"the model cannot answer it: {said}", status=_REFUSED)


def _longest(sampling: Sampling) -> int:
    return _MAX_TOKENS if sampling.max_tokens is None else sampling.max_tokens


def batches(ready: Sequence[_Ready], tokens: int) -> Iterator[list[_Ready]]:
    """Yield ``ready`` in batches of one sampling, the longest first, each of at most ``tokens`` tokens padded."""
    batch: list[_Ready] = []
    order = sorted(ready, key=lambda one: (repr(one.request.sampling), -one.tokens))
    for one in order:
        if batch:
            longest = batch[0].tokens + _longest(batch[0].request.sampling)
            if one.request.sampling != batch[0].request.sampling or longest * (len(batch) + 1) > tokens:
                yield batch
                batch = []
        batch.append(one)
    if batch:
        yield batch


def _load(source: str, revision: str, device: str, dtype: str) -> tuple[Any, Any]:
    from transformers import AutoModelForImageTextToText, AutoProcessor

    where = {"revision": revision} if revision else {}
    try:
        processor: Any = AutoProcessor.from_pretrained(source, **where)  # type: ignore[no-untyped-call]
        net: Any = AutoModelForImageTextToText.from_pretrained(source, dtype=dtype, **where)
        net = net.to(device).eval()
    except (OSError, ValueError, KeyError, RuntimeError, AssertionError) as error:
        said = " ".join(str(error).split())[:300]
        hint = "Give the folder or the hub's name of a vision-language model, such as llava-hf/llava-1.5-7b-hf"
        raise InputError(f"the model cannot be loaded: {said}", record=source, hint=hint) from error
    processor.tokenizer.padding_side = "left"
    return processor, net


def _padding(tokenizer: Any) -> int:
    """Return the token that fills up short prompts; a tokenizer without one lends its end of text."""
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return int(tokenizer.pad_token_id)
