"""The requests of each pass, made one after the other from a shelf: in a fixed order, those of a group together."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mindkg.distill.requests import Picture, Prompt, Request, Subject, request_key
from mindkg.distill.runs import sampling
from mindkg.distill.settings import Pass, Settings, asked_relations
from mindkg.distill.shelf import Shelf
from mindkg.distill.templates import Product, features_prompt, filter_prompt, intention_prompt


def requests(shelf: Shelf, settings: Settings, root: Path) -> Iterator[Request]:
    """Yield the requests of the shelf's pass; ``root`` is the KB's folder, which ``images.path`` is relative to."""
    plans = {"features": feature_requests, "intentions": intention_requests, "filter": filter_requests}
    return plans[shelf.stage](shelf, settings, root)


def feature_requests(shelf: Shelf, settings: Settings, root: Path) -> Iterator[Request]:
    """Yield one request for each product that stands in a pair and has a title or a picture, sorted by product."""
    for row in shelf.rows():
        product = _product(row, root)
        subject = Subject(product_id=product.product_id)
        yield _request("features", settings, subject, features_prompt(product), _pictures(product))


def intention_requests(shelf: Shelf, settings: Settings, root: Path) -> Iterator[Request]:
    """Yield a request for each pair with two titles, each of the settings' relations and each sample.

    Sorted by pair, then in the order of the relations. A product without features goes by its title, but a pair of
    which one waits for them is left out.
    """
    names = asked_relations(settings.relations)
    for cobuy_id, *row in shelf.rows():
        a, b = _product(row[:5], root), _product(row[5:10], root)
        for relation in names:
            prompt = intention_prompt(a, b, relation)
            for sample in range(settings.samples):
                subject = Subject(cobuy_id=cobuy_id, relation=relation, sample=sample)
                yield _request("intentions", settings, subject, prompt, _pictures(a, b))


def filter_requests(shelf: Shelf, settings: Settings, root: Path) -> Iterator[Request]:
    """Yield a request for each generation to judge that has a text and two titles, sorted by pair and generation."""
    for cobuy_id, *row in shelf.rows():
        a, b = _product(row[:5], root), _product(row[5:10], root)
        generation_id, relation, sample, text = row[10:]
        subject = Subject(cobuy_id=cobuy_id, relation=relation, generation_id=generation_id, sample=sample)
        prompt = filter_prompt(a, b, text, settings.filter_mode)
        yield _request("filter", settings, subject, prompt, _pictures(a, b))


def _product(row: Any, root: Path) -> Product:
    product_id, title, features, sha256, path = row
    return Product(product_id, title, features, Picture(sha256, root / path) if path else None)


def _pictures(*products: Product) -> tuple[Picture, ...]:
    return tuple(product.picture for product in products if product.picture)


def _request(
    stage: Pass, settings: Settings, subject: Subject, prompt: Prompt, pictures: tuple[Picture, ...]
) -> Request:
    asked = sampling(stage, settings, subject.sample)
    key = request_key(settings.model, settings.revision, prompt, pictures, asked, subject.sample)
    group = subject.cobuy_id or subject.product_id
    return Request(key, stage, subject, group, prompt, pictures, asked, settings.model)
