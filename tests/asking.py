"""A process that asks a server and can be killed; started from one that has everything imported, which is quick."""

from __future__ import annotations

import multiprocessing
import resource
from collections.abc import Iterator
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from mindkg.distill.ask import ask
from mindkg.distill.backends.openai import OpenAIBackend
from mindkg.distill.ledger import Ledger
from mindkg.distill.requests import Prompt, Request, Sampling, Subject, request_key
from mindkg.errors import StorageError

CONCURRENCY = 8


def request(text: str, *, stage: Any = "features", model: str = "stub", group: str = "") -> Request:
    prompt = Prompt(stage, "1", "", text)
    key = request_key(model, "", prompt, (), Sampling(), 0)
    return Request(key, stage, Subject(product_id=text), group, prompt, (), Sampling(), model)


def questions(number: int) -> Iterator[Request]:
    return (request(f"question {n}", group=f"pair {n // 4}") for n in range(number))


class Asking:
    """A process that asks ``number`` questions into the ledger of ``folder``; no file gets larger than ``limit``."""

    def __init__(self, address: str, folder: Path, number: int, limit: int | None = None) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["mindkg.distill.ask", "mindkg.distill.backends.openai", "filelock"])
        self._told, telling = context.Pipe(duplex=False)
        self.process: BaseProcess = context.Process(target=_ask, args=(address, folder, number, limit, telling))
        self.process.start()
        telling.close()

    def result(self) -> int | str:
        """Return how many requests were sent, or the error that stopped it."""
        told: int | str = self._told.recv()
        self.process.join()
        return told

    def kill(self) -> None:
        self.process.kill()
        self.process.join()


def _ask(address: str, folder: Path, number: int, limit: int | None, telling: Connection) -> None:
    if limit:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    backend = OpenAIBackend(address, "stub", concurrency=CONCURRENCY)
    with Ledger(folder) as ledger:
        try:
            telling.send(ask(questions(number), backend, ledger).sent)
        except StorageError as error:
            telling.send(str(error))
    backend.close()
