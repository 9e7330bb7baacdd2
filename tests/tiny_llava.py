"""A LLaVA of a tenth of a million parameters, made from configurations and over-fitted to a few pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

TEMPLATE = (
    "{% for m in messages %}{% if m['content'] is not string %}{% for c in m['content'] %}"
    "{% if c['type'] == 'image' %}<image>{% endif %}{% endfor %}{% endif %}{% endfor %}"
    "{% for m in messages %}{% if m['content'] is string %}{{ m['content'] }}{% else %}{% for c in m['content'] %}"
    "{% if c['type'] == 'text' %}{{ c['text'] }}{% endif %}{% endfor %}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}|{% endif %}"
)
"""Pictures first, then all words, the system's before the user's: as the lessons have them."""


_KNOWN = 0.005


def make_llava(folder: Path, texts: Sequence[str] = (), *, width: int = 32, layers: int = 2) -> Path:
    """Write an untrained model with its processor into ``folder`` and return it.

    Its tokens are bytes, and what ``texts`` often repeat: long prompts are then short. ``width`` and ``layers`` are
    those of the words' side.
    """
    import torch
    from transformers import (
        CLIPImageProcessor,
        CLIPVisionConfig,
        LlamaConfig,
        LlavaConfig,
        LlavaForConditionalGeneration,
        LlavaProcessor,
    )

    torch.manual_seed(0)
    tokenizer = _tokenizer(texts)
    vision = CLIPVisionConfig(
        hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2, image_size=28, patch_size=14,
        projection_dim=32,
    )  # fmt: skip
    text = LlamaConfig(
        hidden_size=width, intermediate_size=2 * width, num_hidden_layers=layers, num_attention_heads=2,
        num_key_value_heads=2,
        vocab_size=len(tokenizer), max_position_embeddings=4096, bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    config = LlavaConfig(
        vision_config=vision, text_config=text, image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        image_seq_length=4, vision_feature_select_strategy="default",
    )  # fmt: skip
    processor = LlavaProcessor(
        CLIPImageProcessor(size={"shortest_edge": 28}, crop_size=28),
        tokenizer,
        patch_size=14,
        vision_feature_select_strategy="default",
        chat_template=TEMPLATE,
        num_additional_image_tokens=1,
    )
    LlavaForConditionalGeneration(config).save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def _tokenizer(texts: Sequence[str]) -> Any:
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={letter: n for n, letter in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=bool(texts))
    tokenizer.decoder = decoders.ByteLevel()
    if texts:
        trainer = trainers.BpeTrainer(vocab_size=1500, initial_alphabet=alphabet, show_progress=False)
        tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_special_tokens([AddedToken(word, special=True) for word in ("<pad>", "</s>", "<image>")])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>")


def overfit(folder: Path, lessons: Sequence[tuple[Any, str, str]], steps: int = 400) -> float:
    """Train the model in ``folder`` on (picture or None, prompt, answer) until it knows them; return the last loss."""
    import torch
    from transformers import LlavaForConditionalGeneration, LlavaProcessor

    torch.manual_seed(0)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # so small a model is slower with more
    model = LlavaForConditionalGeneration.from_pretrained(folder).train()
    processor = LlavaProcessor.from_pretrained(folder)
    inputs = _lessons(processor, lessons)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    loss = 0.0
    for _ in range(steps):
        total = model(**inputs).loss
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        loss = float(total.detach())
        if loss < _KNOWN:
            break
    model.eval().save_pretrained(folder)
    torch.set_num_threads(threads)
    return loss


def _lessons(processor: Any, lessons: Sequence[tuple[Any, str, str]]) -> dict[str, Any]:
    """Return all lessons as one batch, padded in front; the loss is on the answers alone."""
    processor.tokenizer.padding_side = "left"
    begins = [("<image>" if picture is not None else "") + prompt + "|" for picture, prompt, _ in lessons]
    texts = [f"{begin}{answer}</s>" for begin, (_, _, answer) in zip(begins, lessons, strict=True)]
    pictures = [picture for picture, _, _ in lessons if picture is not None]
    inputs = processor(text=texts, images=pictures, padding=True, return_tensors="pt")
    labels = inputs["input_ids"].clone()
    for row, (_, _, answer) in zip(labels, lessons, strict=True):
        said = len(processor.tokenizer(f"{answer}</s>")["input_ids"])
        row[:-said] = -100
    return {**inputs, "labels": labels}
