"""A LLaVA of a tenth of a million parameters, made from configurations and over-fitted to a few pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

TEMPLATE = (
    "{% for m in messages %}{% for c in m['content'] %}"
    "{% if c['type'] == 'image' %}<image>{% endif %}{% endfor %}"
    "{% for c in m['content'] %}{% if c['type'] == 'text' %}{{ c['text'] }}{% endif %}{% endfor %}"
    "{% endfor %}{% if add_generation_prompt %}|{% endif %}"
)


_KNOWN = 0.01


def make_llava(folder: Path, texts: Sequence[str] = ()) -> Path:
    """Write an untrained model with its processor into ``folder`` and return it.

    Its tokens are bytes, and what ``texts`` often repeat: long prompts are then short.
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
        hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=2,
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


def overfit(folder: Path, lessons: Sequence[tuple[Any, str, str]], steps: int = 200) -> float:
    """Train the model in ``folder`` on (picture or None, prompt, answer) until it knows them; return the last loss."""
    import torch
    from transformers import LlavaForConditionalGeneration, LlavaProcessor

    torch.manual_seed(0)
    model = LlavaForConditionalGeneration.from_pretrained(folder).train()
    processor = LlavaProcessor.from_pretrained(folder)
    prepared = [_lesson(processor, *lesson) for lesson in lessons]
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    loss = 0.0
    for _ in range(steps):
        total = sum(model(**inputs).loss for inputs in prepared) / len(prepared)
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        loss = float(total.detach())
        if loss < _KNOWN:
            break
    model.eval().save_pretrained(folder)
    return loss


def _lesson(processor: Any, picture: Any, prompt: str, answer: str) -> dict[str, Any]:
    """Return the inputs of one lesson; the loss is on the answer alone."""
    import torch

    begin = ("<image>" if picture is not None else "") + prompt + "|"
    images = [picture] if picture is not None else None
    whole = processor(text=[f"{begin}{answer}</s>"], images=images, return_tensors="pt")
    asked = processor(text=[begin], images=images, return_tensors="pt")["input_ids"].shape[1]
    labels = whole["input_ids"].clone()
    labels[:, :asked] = -100
    return {**whole, "labels": labels.to(torch.long)}
