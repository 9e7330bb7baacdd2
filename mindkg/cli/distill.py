"""The verbs from raw files to answers of a model: ingest, images, distill, ledger."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from mindkg.cli import completion
from mindkg.cli.arguments import (
    KB,
    AllowRejects,
    Encoding,
    Output,
    Overwrite,
    RayAddress,
    Replace,
    Rows,
    Runner,
    WorkDir,
    use_runner,
    use_work_dir,
)
from mindkg.cli.build import report_build
from mindkg.cli.interruption import keeps_answers, keeps_stages
from mindkg.cli.output import Format, say, stages, write_rows

if TYPE_CHECKING:
    from mindkg.distill.calibration import Method
    from mindkg.distillation import Distillation


def register(app: typer.Typer) -> None:
    """Add the verbs to ``app``."""
    app.command(
        epilog="Examples: `mindkg ingest meta.jsonl.gz -o kb` · "
        "`mindkg ingest 'meta_*.json.gz' --reviews 'reviews_*.json.gz' --min-support 2 --limit 10000 -o kb`"
    )(ingest)
    app.command(epilog="Examples: `mindkg images kb` · `mindkg images kb --base pictures`")(images)
    app.command(
        epilog="Examples: `mindkg distill kb --backend http://127.0.0.1:8000/v1` · "
        "`mindkg distill kb --backend local:llava-hf/llava-1.5-7b-hf --relations usedFor,isA` · "
        "`mindkg distill kb --backend http://127.0.0.1:8000/v1 --model llava --dry-run`"
    )(distill)
    app.command(epilog="Example: `mindkg ledger kb --price-in 0.15 --price-out 0.6`")(ledger)


def ingest(
    metadata: Annotated[
        list[str],
        typer.Argument(
            help="Metadata: files, glob patterns, addresses (s3://BUCKET/KEY), or - for stdin.", show_default=False
        ),
    ],
    output: Output = "kb",
    reviews: Annotated[
        list[str] | None,
        typer.Option(help="Reviews: files, glob patterns or addresses; may be repeated.", show_default=False),
    ] = None,
    lists: Annotated[
        str, typer.Option(help="The metadata's lists that say what is bought together, with commas; '' for none.")
    ] = "also_bought,also_buy,bought_together",
    window: Annotated[int, typer.Option(help="Days between two reviews of one person that make a co-buy.")] = 7,
    min_support: Annotated[int, typer.Option(help="Least number of lists or buyers behind a pair.")] = 1,
    max_basket: Annotated[int, typer.Option(help="Products of one person that count.")] = 50,
    keep_unknown: Annotated[
        bool, typer.Option("--keep-unknown", help="Keep pairs with a product that the metadata does not hold.")
    ] = False,
    category: Annotated[str | None, typer.Option(help="Only products of this category.", show_default=False)] = None,
    per_category: Annotated[
        int | None, typer.Option(help="So many products of each broadest category.", show_default=False)
    ] = None,
    limit: Annotated[int | None, typer.Option(help="So many products in all.", show_default=False)] = None,
    seed: Annotated[int, typer.Option(help="Which products are drawn.")] = 0,
    encoding: Encoding = None,
    replace: Replace = False,
    allow_rejects: AllowRejects = False,
    runner: Runner = "native",
    ray_address: RayAddress = None,
    work_dir: WorkDir = None,
) -> None:
    """Make products and co-buys of Amazon Review files of 2014, 2018 or 2023: the beginning of a KB.

    Metadata and reviews, plain, .gz or .zst, in any mixture of years. What became of each row and list entry is said.
    """
    from mindkg import pipeline

    use_work_dir(work_dir)
    use_runner(runner, ray_address)
    keeps_stages(output)
    with stages() as progress:
        built = pipeline.ingest(
            metadata,
            output,
            reviews=reviews or (),
            lists=_words(lists),
            window=window,
            min_support=min_support,
            max_basket=max_basket,
            keep_unknown=keep_unknown,
            category=category,
            per_category=per_category,
            limit=limit,
            seed=seed,
            encoding=encoding,
            replace=replace,
            allow_rejects=allow_rejects,
            progress=progress,
        )
    report_build(built)
    notes = built.manifest.stages["sources"].notes
    counted = {name: n for name, n in notes.items() if isinstance(n, int) and n}
    say("; ".join(f"{name.replace('_', ' ')}: {n:,}" for name, n in counted.items()))
    say(f"next: mindkg images {output}, then mindkg distill {output} --backend URL")


def images(
    kb: KB,
    base: Annotated[
        Path | None, typer.Option(help="Folder of local pictures (default: the current one).", show_default=False)
    ] = None,
    concurrency: Annotated[int, typer.Option(help="Pictures in flight, at most.")] = 16,
    per_host: Annotated[int, typer.Option(help="Of them of one host, at most.")] = 4,
    max_bytes: Annotated[int, typer.Option(help="Bytes of a picture, at most.")] = 10_000_000,
    max_pixels: Annotated[int, typer.Option(help="Pixels of a picture, at most.")] = 40_000_000,
    timeout: Annotated[float, typer.Option(help="Seconds that one try takes, at most.")] = 30.0,
    retries: Annotated[int, typer.Option(help="Further tries where they may help.")] = 4,
    allow_private: Annotated[
        bool, typer.Option("--allow-private", help="Ask addresses of private networks and this machine too.")
    ] = False,
) -> None:
    """Fetch each product's first picture: politely, checked, stored by its content, and gone on with after a stop."""
    from mindkg import pipeline

    _quiet_pillow()
    with stages() as progress:
        fetched, built = pipeline.images(
            kb,
            base=base,
            concurrency=concurrency,
            per_host=per_host,
            max_bytes=max_bytes,
            max_pixels=max_pixels,
            timeout=timeout,
            retries=retries,
            allow_private=allow_private,
            progress=progress,
        )
    say(
        f"{fetched.pictures:,} pictures = {fetched.known:,} known + {fetched.ok:,} fetched + {fetched.failed:,} failed "
        f"+ {fetched.left:,} left; {fetched.bytes:,} bytes"
    )
    for host, why in fetched.given_up.items():
        say(f"{host}: given up for now: {why}")
    if fetched.again + fetched.left:
        say(f"run it again for {fetched.again + fetched.left:,} that may come later")
    report_build(built)


def distill(
    kb: KB,
    backend: Annotated[
        str | None, typer.Option(help="http://HOST/v1, local:MODEL or replay:FILE.", show_default=False)
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="Name of the model (default: the only one of the server).", show_default=False)
    ] = None,
    revision: Annotated[str, typer.Option(help="Revision of the model, where it has one.", show_default=False)] = "",
    passes: Annotated[str, typer.Option(help="Which passes, in a list with commas.")] = "features,intentions,filter",
    relations: Annotated[
        str | None,
        typer.Option(
            help="Relations to ask for, in a list with commas (default: all).",
            autocompletion=completion.relation_list,
            show_default=False,
        ),
    ] = None,
    filter_mode: Annotated[
        str, typer.Option("--filter", help="score (log-probabilities of yes and no) or paper (free text).")
    ] = "score",
    temperature: Annotated[
        float, typer.Option(min=0, max=10, help="Of features, intentions and the filter's free text.")
    ] = 0.2,
    max_tokens: Annotated[int, typer.Option(help="New tokens of an answer.")] = 512,
    samples: Annotated[int, typer.Option(help="Answers to each question for an intention.")] = 1,
    seed: Annotated[int, typer.Option(help="Seed; sample n has seed + n.")] = 0,
    omit: Annotated[
        str | None,
        typer.Option(
            help="Parameters not to send, in a list with commas: temperature, max_tokens, seed, logprobs.",
            show_default=False,
        ),
    ] = None,
    thinking: Annotated[
        str, typer.Option(help="off switches it off; on lets the filter think before its score; default: the server's.")
    ] = "default",
    token_ids: Annotated[
        bool, typer.Option("--token-ids", help="Ask for the tokens of yes and no themselves, not the likeliest (vLLM).")
    ] = False,
    concurrency: Annotated[int, typer.Option(help="Requests in flight at a server, at most.")] = 16,
    timeout: Annotated[float, typer.Option(help="Seconds to wait for an answer of a server.")] = 300.0,
    max_error_rate: Annotated[
        float, typer.Option(min=0, max=1, help="Stop where more of the requests than this fail.")
    ] = 0.1,
    max_answer: Annotated[int, typer.Option(min=1, help="Bytes of an answer; a longer one is a reject.")] = 200_000,
    device: Annotated[str, typer.Option(help="Of a local model: auto, cpu, cuda ….")] = "auto",
    dtype: Annotated[str, typer.Option(help="Of a local model: auto, float32, bfloat16, float16.")] = "auto",
    batch_tokens: Annotated[int, typer.Option(help="Tokens in a batch of a local model.")] = 16_384,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be sent, and send nothing.")] = False,
    write_batch: Annotated[
        Path | None, typer.Option(help="Write the requests for a batch service instead.", show_default=False)
    ] = None,
    overwrite: Overwrite = False,
    read_batch: Annotated[
        Path | None, typer.Option(help="Take in the results of a batch service.", show_default=False)
    ] = None,
    calibrate: Annotated[
        Path | None,
        typer.Option(help="Fit the filter's scores to these labels (CSV) instead of asking.", show_default=False),
    ] = None,
    method: Annotated[str, typer.Option(help="How they are fitted: isotonic or platt.")] = "isotonic",
    forget: Annotated[
        str | None, typer.Option(help="Take this model's answers out of the tables instead.", show_default=False)
    ] = None,
    runner: Runner = "native",
    ray_address: RayAddress = None,
    work_dir: WorkDir = None,
    workers: Annotated[
        int | None,
        typer.Option(help="Workers of the cluster that ask (default: one a machine, or a GPU).", show_default=False),
    ] = None,
    format: Rows = Format.table,
) -> None:
    """Ask a vision-language model why each pair is bought, in three passes, paying for each answer once.

    Answers go into KB/ledger as they come in: after an interruption the same command sends only what is missing. The
    key of a server that wants one stands in OPENAI_API_KEY.
    """
    from mindkg import distillation

    _quiet_pillow()
    use_work_dir(work_dir)
    use_runner(runner, ray_address)
    ways = {"calibrate": calibrate, "forget": forget, "dry-run": dry_run, "write-batch": write_batch}
    chosen = [f"--{name}" for name, value in {**ways, "read-batch": read_batch}.items() if value]
    if len(chosen) > 1:
        raise typer.BadParameter(f"say one of {' and '.join(chosen)}")
    if calibrate:
        _calibrate(kb, calibrate, method)
        return
    if forget:
        with stages() as progress:
            report_build(distillation.forget(kb, forget, progress=progress))
        return
    asked: dict[str, Any] = {
        "passes": _named("--passes", passes),
        "relations": () if relations is None else _named("--relations", relations),
        "filter_mode": filter_mode,
        "temperature": temperature,
        "max_tokens": max_tokens,
        "samples": samples,
        "seed": seed,
        "omit": () if omit is None else _named("--omit", omit),
        "thinking": thinking,
    }
    if dry_run:
        write_rows(distillation.dry_run(kb, backend, model=model, revision=revision, **asked), format)
        return
    if write_batch:
        lines = distillation.write_batch(kb, write_batch, model=model, revision=revision, overwrite=overwrite, **asked)
        say(f"{write_batch}: {lines:,} requests")
        return
    address = f"replay:{read_batch}" if read_batch else backend
    if address is None:
        raise typer.BadParameter("give --backend, --read-batch, --write-batch or --dry-run", param_hint="--backend")
    options = _options(address, concurrency, timeout, device, dtype, batch_tokens)
    keeps_answers(kb)
    with stages() as progress:
        done = distillation.distill(
            kb,
            address,
            model=model,
            revision=revision,
            max_error_rate=max_error_rate,
            workers=workers,
            token_ids=token_ids,
            max_answer=max_answer,
            options=options | ({} if address.startswith("local:") else {"max_answer": max_answer}),
            say=say,
            progress=progress,
            **asked,
        )
    _report(done)


def _calibrate(kb: str, labels: Path, method: str) -> None:
    from mindkg import distillation

    with stages() as progress:
        report, built = distillation.calibrate(kb, labels, method=cast("Method", method), progress=progress)
    stored = built.path / "calibration.json"
    refused = len(json.loads(stored.read_text("utf-8"))["rejects"])
    say(f"{report.n + refused:,} labels read = {report.n:,} used + {refused:,} that could not be (see {stored})")
    if report.after.brier >= report.before.brier:
        say("the calibration makes the scores no better: more labels, or --method platt, may")
    say(
        f"{report.n:,} labels ({report.yes:,} yes): Brier score {report.before.brier:.4f} before, "
        f"{report.after.brier:.4f} after; calibration error {report.before.error:.4f} before, "
        f"{report.after.error:.4f} after ({report.folds}-fold cross-validation)"
    )
    report_build(built)


def _quiet_pillow() -> None:
    """Keep Pillow from warning of broken EXIF data, line by line of its code: such a picture is read all the same."""
    warnings.filterwarnings("ignore", module=r"PIL\.")


def _named(option: str, text: str) -> tuple[str, ...]:
    """Return the words of a list that must not be empty: an unset variable would ask for all or nothing."""
    words = _words(text)
    if not words:
        raise typer.BadParameter("the list is empty", param_hint=option)
    return words


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _options(
    address: str, concurrency: int, timeout: float, device: str, dtype: str, batch_tokens: int
) -> dict[str, Any]:
    """Return the options that the kind of backend has."""
    if address.startswith("http"):
        return {"concurrency": concurrency, "timeout": timeout}
    if address.startswith("local:"):
        return {"device": device, "dtype": dtype, "batch_tokens": batch_tokens}
    return {}


def _report(done: Distillation) -> None:
    for name, n in done.counts.items():
        say(
            f"{name}: {n['planned']:,} requests = {n['answered']:,} answered + {n['failed']:,} failed "
            f"+ {n['missing']:,} not asked; {n['unasked']:,} lack what is needed ({n['waiting']:,} of them wait)"
        )
    report_build(done.built)


def ledger(
    kb: KB,
    price_in: Annotated[float, typer.Option(help="Price of a million prompt tokens.")] = 0.0,
    price_out: Annotated[float, typer.Option(help="Price of a million answered tokens.")] = 0.0,
    format: Rows = Format.table,
) -> None:
    """Say what was paid for: answers, errors, tokens, cost and time by pass and model."""
    from mindkg import distillation

    rows = distillation.paid(kb, price_in=price_in, price_out=price_out, say=say)
    write_rows(rows if price_in or price_out else rows.drop_columns(["cost"]), format)
