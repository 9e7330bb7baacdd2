"""A model in this process, beside a bare batched generate: ``python -m benchmarks.generation``.

The model is an untrained LLaVA made from a configuration, large enough that a batch takes some time. The bare loop
takes the same requests, already sorted by length, in the batches that the backend makes: it opens the pictures, runs
the processor and ``model.generate``, and decodes. The two take turns, so that what else runs on the machine disturbs
both alike.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from mindkg.distill.backends.local import LocalBackend, batches
from mindkg.distill.pictures import picture_bytes
from mindkg.distill.requests import Answer, Picture, Prompt, Request, Sampling, Subject
from tests.tiny_llava import make_llava

_PIXELS = 336
_PICTURES = 50
_WORDS = [
    "what",
    "is",
    "it",
    "made",
    "of",
    "and",
    "who",
    "would",
    "use",
    "this",
    "product",
    "on",
    "a",
    "long",
    "journey",
]


def main() -> None:
    """Measure and print."""
    options = _options()
    with tempfile.TemporaryDirectory(prefix="mindkg-generation-") as folder:
        requests = _requests(options, _pictures(Path(folder)))
        texts = [request.prompt.text for request in requests]
        made = make_llava(Path(folder) / "model", texts, width=options.width, layers=options.layers)
        backend = LocalBackend(str(made), device=options.device, batch_tokens=options.batch_tokens)
        ready = [backend._ready(request) for request in requests]
        sorted_batches = [[one.request for one in batch] for batch in batches(ready, options.batch_tokens)]
        turns: dict[str, list[tuple[float, float]]] = {"mindkg": [], "bare": []}
        ways = {"mindkg": partial(_backend, backend, requests), "bare": partial(_bare, backend, sorted_batches)}
        answers = {name: way() for name, way in ways.items()}
        assert answers["mindkg"] == answers["bare"]
        for _ in range(options.turns):
            for name, way in ways.items():
                turns[name].append(_measured(way))
    print(f"{len(requests)} requests in {len(sorted_batches)} batches, {options.max_tokens} new tokens each")
    for name, times in turns.items():
        wall, cpu = (statistics.median(column) for column in zip(*times, strict=True))
        rate, each = len(requests) / wall, cpu / len(requests) * 1e3
        print(f"{name:>7}: {rate:7.1f} requests/s, {each:5.1f} ms of processor time a request")
    for what, column in (("rate", 0), ("processor time", 1)):
        pairs = zip(turns["mindkg"], turns["bare"], strict=True)
        ratio = statistics.median(bare[column] / ours[column] for ours, bare in pairs)
        print(f"  {what}: {ratio:.2f} of the bare loop's (to reach: 0.90)")


def _measured(work: Callable[[], object]) -> tuple[float, float]:
    """Return the seconds and the processor time of this process that ``work`` takes."""
    started, used = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - started, time.process_time() - used


def _backend(backend: LocalBackend, requests: Sequence[Request]) -> dict[str, str]:
    told = {request.key: outcome for request, outcome in backend.answers(iter(requests))}
    return {key: outcome.text for key, outcome in told.items() if isinstance(outcome, Answer)}


def _bare(backend: LocalBackend, sorted_batches: Sequence[Sequence[Request]]) -> dict[str, str]:
    import torch

    processor, net, told = backend._processor, backend._net, dict[str, str]()
    for batch in sorted_batches:
        texts = [f"<image>{request.prompt.text}|" for request in batch]
        images = [Image.open(io.BytesIO(picture_bytes(request.pictures))) for request in batch]
        inputs = processor(text=texts, images=images, padding=True, return_tensors="pt").to(backend.device)
        length = batch[0].sampling.max_tokens
        with torch.inference_mode():
            made = net.generate(**inputs, do_sample=False, max_new_tokens=length, pad_token_id=backend._pad)
        said = processor.tokenizer.batch_decode(made[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
        told |= {request.key: text for request, text in zip(batch, said, strict=True)}
    return told


def _requests(options: argparse.Namespace, pictures: Sequence[Picture]) -> list[Request]:
    """Return questions of 30 to 300 words, each with a picture."""
    chance, made = np.random.default_rng(0), []
    sampling = Sampling(temperature=0, max_tokens=options.max_tokens)
    for number in range(options.requests):
        words = " ".join(chance.choice(_WORDS, chance.integers(30, 300)))
        prompt, shown = Prompt("features", "1", "", f"{number} {words}"), (pictures[number % len(pictures)],)
        made.append(Request(str(number), "features", Subject(str(number)), str(number), prompt, shown, sampling, "m"))
    return made


def _pictures(folder: Path) -> list[Picture]:
    chance, made = np.random.default_rng(0), []
    for number in range(_PICTURES):
        coarse = Image.fromarray(chance.integers(0, 255, (42, 42, 3), np.uint8))
        path = folder / f"{number}.jpg"
        coarse.resize((_PIXELS, _PIXELS), Image.Resampling.BICUBIC).save(path, "JPEG", quality=90)
        made.append(Picture(hashlib.sha256(path.read_bytes()).hexdigest(), path))
    return made


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.generation", description=__doc__)
    parser.add_argument("--requests", type=int, default=96)
    parser.add_argument("--max-tokens", type=int, default=64, help="of each answer")
    parser.add_argument("--batch-tokens", type=int, default=4096)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--turns", type=int, default=3, help="of each of the two")
    parser.add_argument("--device", default="auto")
    return parser.parse_args()


if __name__ == "__main__":
    main()
