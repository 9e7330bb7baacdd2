"""The requests of each pass, made one after the other from the tables: in a fixed order, those of a group together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mindkg.distill.requests import Picture, Prompt, Request, Subject, request_key
from mindkg.distill.runs import intentions_run, run_of, sampling
from mindkg.distill.settings import Pass, Settings, asked_relations
from mindkg.distill.shelf import bought, shelf
from mindkg.distill.templates import Product, features_prompt, filter_prompt, intention_prompt

if TYPE_CHECKING:
    import daft

Tables = Mapping[str, "daft.DataFrame"]
"""products, cobuys, features, generations, verdicts and, where there are pictures, images."""

SUBJECT: Final[Mapping[Pass, str]] = {"features": "product_id", "intentions": "cobuy_id", "filter": "generation_id"}
"""What a pass asks about, as the column that names it."""


def requests(stage: Pass, tables: Tables, settings: Settings, *, root: Path, staging: Path) -> Iterator[Request]:
    """Yield the requests of a pass; see the function of the pass."""
    plans = {"features": feature_requests, "intentions": intention_requests, "filter": filter_requests}
    return plans[stage](tables, settings, root=root, staging=staging)


def feature_requests(tables: Tables, settings: Settings, *, root: Path, staging: Path) -> Iterator[Request]:
    """Yield one request for each product that stands in a pair and has a title or a picture, sorted by product.

    ``root`` is the KB's folder, which ``images.path`` is relative to; ``staging`` takes a temporary file.
    """
    with shelf("features", tables, None, settings, staging) as rows:
        for row in rows:
            product = _product(row, root)
            subject = Subject(product_id=product.product_id)
            yield _request("features", settings, subject, features_prompt(product), _pictures(product))


def intention_requests(tables: Tables, settings: Settings, *, root: Path, staging: Path) -> Iterator[Request]:
    """Yield a request for each pair with two titles, each of the settings' relations and each sample.

    Sorted by pair, then in the order of the relations. A product's features are those of these settings' own features
    run where it has some, else those of the KB's run whose id sorts first; a product without any goes by its title.
    """
    names = asked_relations(settings.relations)
    with shelf("intentions", tables, None, settings, staging) as rows:
        for cobuy_id, *row in rows:
            a, b = _product(row[:5], root), _product(row[5:10], root)
            for relation in names:
                prompt = intention_prompt(a, b, relation)
                for sample in range(settings.samples):
                    subject = Subject(cobuy_id=cobuy_id, relation=relation, sample=sample)
                    yield _request("intentions", settings, subject, prompt, _pictures(a, b))


def filter_requests(tables: Tables, settings: Settings, *, root: Path, staging: Path) -> Iterator[Request]:
    """Yield a request for each generation to judge that has a text and two titles, sorted by pair and generation.

    Those are the generations of these settings' own run where ``intentions`` is one of the passes, else all of the KB
    that have no verdict of this run yet.
    """
    with shelf("filter", tables, judged(tables, settings), settings, staging) as rows:
        for cobuy_id, *row in rows:
            a, b = _product(row[:5], root), _product(row[5:10], root)
            generation_id, relation, sample, text = row[10:]
            subject = Subject(cobuy_id=cobuy_id, relation=relation, generation_id=generation_id, sample=sample)
            prompt = filter_prompt(a, b, text, settings.filter_mode)
            yield _request("filter", settings, subject, prompt, _pictures(a, b))


def subjects(stage: Pass, tables: Tables, settings: Settings) -> daft.DataFrame:
    """Return the ids of all that a pass would ask about if nothing lacked, each once: the column ``SUBJECT[stage]``."""
    if stage == "features":
        return bought(tables["cobuys"])
    if stage == "intentions":
        return tables["cobuys"].select("cobuy_id")
    return _to_judge(tables, settings).select("generation_id")


def judged(tables: Tables, settings: Settings) -> daft.DataFrame:
    """Return the generations that the filter is asked about: cobuy_id, generation_id, relation, sample, text."""
    from mindkg.engine import daft, when

    col = daft.col
    chosen = _to_judge(tables, settings).where(col("text").strip() != daft.lit(""))
    own = col("run_id") == daft.lit(intentions_run(settings, tables["features"]).run_id)
    sample = when(own, col("source_record")).otherwise(daft.lit("0")).cast(daft.DataType.int64())
    return chosen.select("cobuy_id", "generation_id", "relation", sample.alias("sample"), "text")


def _to_judge(tables: Tables, settings: Settings) -> daft.DataFrame:
    from mindkg.engine import daft

    generations, run_id = tables["generations"], daft.col("run_id")
    if "intentions" in settings.passes:
        return generations.where(run_id == daft.lit(intentions_run(settings, tables["features"]).run_id))
    if "verdicts" not in tables:
        return generations
    known = tables["verdicts"].where(run_id == daft.lit(run_of("filter", settings).run_id))
    return generations.join(known.select("generation_id"), on="generation_id", how="anti")


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
