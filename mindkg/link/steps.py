"""The steps of linking that can be left out, each with its row in the ablation table of docs/linking.md."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Steps:
    """All are done unless said otherwise.

    ``heads``: a phrase of several words is what its last ones name; ``vague``: concepts that say nothing are left out;
    ``noise``: so are concepts that were counted too seldom; ``classes``: classes of phrase and concept must agree;
    ``witness``: the shipped table confirms; ``factors``: concepts.tsv; ``relation`` and ``context``: what the relation
    and the other words of intention and titles say of the sense.

    Two more are done where a model is named: ``embed``, sentence embeddings help to choose the sense (embed.py);
    ``spacy``, a trained pipeline says what each word is, and finds phrases if it has a parser (pipeline.py).
    """

    heads: bool = True
    vague: bool = True
    noise: bool = True
    classes: bool = True
    witness: bool = True
    factors: bool = True
    relation: bool = True
    context: bool = True
    embed: str | None = None
    spacy: str | None = None

    def check_models(self) -> None:
        """Raise InputError where a model that is named is not there; none is loaded."""
        if self.embed:
            from mindkg.link.embed import check_model

            check_model(self.embed)
        if self.spacy:
            from mindkg.link.pipeline import check_pipeline

            check_pipeline(self.spacy)


ALL = Steps()
