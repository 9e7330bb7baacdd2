"""OpenAI's chat messages: a request as the body that is sent, and a body that came back as an answer or its error."""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Mapping
from typing import Any, Final

from mindkg.distill.backends.json_text import read_json, well_formed
from mindkg.distill.backends.server_errors import error_message, interrupted, one_line, reported_error
from mindkg.distill.requests import Answer, Picture, Request, RequestError, Sampling
from mindkg.thoughts import thoughts

_CERTAIN: Final = 1e-3
"""A log-probability that is greater than 0 by no more than this was rounded."""

_SAME: Final = 1e-4
"""Log-probabilities of one token that a server states twice differ by no more than this."""

THOUGHTS: Final = ("reasoning_content", "reasoning")
"""Where servers put thoughts that they have taken out of the answer."""

NO_THINKING: Final[Mapping[str, Any]] = {
    "chat_template_kwargs": {"enable_thinking": False, "thinking": False},
    "reasoning_effort": "none",
}
"""What switches thinking off: the variables of chat templates (vLLM, SGLang), the effort of Ollama, OpenAI, Mistral."""

_SAID: Final = re.compile(r"[^\W_ĠĊĉ▁]")
_TAGS: Final = re.compile(r"<(script|style)\b.*?</\1>|<[^>]*>", re.S | re.I)


def chat_body(request: Request, picture: str | None = None) -> dict[str, Any]:
    """Return the body of ``request``: the system's words, then the picture, then the text.

    ``picture`` is the data: URL of its pictures where that is made already. Raises PictureError for one that does not
    open.
    """
    content: str | list[dict[str, Any]] = request.prompt.text
    if request.pictures:
        url = picture or picture_url(request.pictures)
        content = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": request.prompt.text}]
    system = [{"role": "system", "content": request.prompt.system}] if request.prompt.system else []
    body: dict[str, Any] = {"model": request.model, "messages": [*system, {"role": "user", "content": content}]}
    return body | _parameters(request.sampling)


def _parameters(sampling: Sampling) -> dict[str, Any]:
    """Return the parameters of a body: OpenAI's, and those of vLLM and other servers where they are needed."""
    named = {"temperature": sampling.temperature, "max_tokens": sampling.max_tokens, "seed": sampling.seed}
    body: dict[str, Any] = {name: value for name, value in named.items() if value is not None}
    if sampling.logprobs:
        body |= {"logprobs": True, "top_logprobs": sampling.logprobs}
    if sampling.token_ids:
        body["logprob_token_ids"] = list(sampling.token_ids)
    return {**body, **NO_THINKING} if sampling.thinking is False else body


def picture_url(pictures: tuple[Picture, ...]) -> str:
    """Return the pictures of a request as one data: URL."""
    from mindkg.distill.pictures import picture_bytes

    return "data:image/jpeg;base64," + base64.b64encode(picture_bytes(pictures)).decode()


def chat_answer(body: Any) -> Answer:
    """Return the answer in ``body``, the parsed JSON of a chat completion; raises RequestError where there is none.

    The error can be retried where the server, and not the request, is the reason: it reports an error of its own, or
    stopped before the end of the answer.
    """
    choice = _choice(body)
    if error := interrupted(body, choice):
        raise error
    message, reason = choice.get("message"), choice.get("finish_reason")
    if not isinstance(message, Mapping):
        raise RequestError(f"the answer has no message: {one_line(body)}", status=200)
    text = _text(message)
    if not text and not reason:
        raise RequestError("the server stopped before the answer began", retryable=True)
    if not text and any(message.get(name) for name in THOUGHTS):
        hint = "Allow it more tokens with --max-tokens"
        raise RequestError("the model thought and did not answer", status=200, hint=hint)
    if text is None:
        raise RequestError(f"the answer has no text: {one_line(body)}", status=200)
    usage = body.get("usage")
    usage = usage if isinstance(usage, Mapping) else {}
    return Answer(
        well_formed(text),
        one_line(reason) if isinstance(reason, str) else None,
        _count(usage.get("prompt_tokens")),
        _count(usage.get("completion_tokens")),
        first_token(choice, text),
        thought=any(message.get(name) for name in THOUGHTS) or bool(thoughts(text)),
    )


def first_token(choice: Mapping[str, Any], text: str = "") -> tuple[tuple[str, float], ...] | None:
    """Return the alternatives of the answer's first token with their log-probabilities, None where there are none.

    The answer begins after the thoughts; ``text`` is the message, which may come without them. Different tokens may
    have equal text. A token without alternatives is None: it says nothing of what else the model could have answered.

    >>> first_token({"logprobs": {"content": [{"token": "Yes", "logprob": -0.5, "top_logprobs": [
    ...     {"token": "Yes", "logprob": -0.5}, {"token": "No", "logprob": -1.0}]}]}})
    (('Yes', -0.5), ('No', -1.0))
    """
    position = _position(choice, text)
    if position is None:
        return None
    others = position.get("top_logprobs")
    found = [one for one in map(_alternative, others if isinstance(others, list) else ()) if one]
    chosen = _alternative(position)
    if chosen and not any(one[0] == chosen[0] and math.isclose(one[1], chosen[1], abs_tol=_SAME) for one in found):
        found.append(chosen)
    return tuple(found) if len(found) > 1 else None


def _position(choice: Mapping[str, Any], text: str) -> Mapping[str, Any] | None:
    """Return what a choice says of the answer's first token."""
    logprobs = choice.get("logprobs")
    found = logprobs.get("content") if isinstance(logprobs, Mapping) else None
    if not isinstance(found, list) or not all(isinstance(one, Mapping) for one in found):
        return None
    content: list[Mapping[str, Any]] = found
    tokens = [one["token"] if isinstance(one.get("token"), str) else "" for one in content]
    whole = "".join(tokens)
    spans = [(one.start, one.end) for one in thoughts(whole)]
    message = choice.get("message")
    if not spans and isinstance(message, Mapping) and any(message.get(name) for name in THOUGHTS):
        # the server has taken the thoughts out of the message, and their delimiters out of the tokens
        begin = whole.rfind(text.strip()) if text.strip() else -1
        spans = [(0, begin if begin >= 0 else len(whole))]
    if not spans:
        return next(iter(content), None)
    at = 0
    for one, token in zip(content, tokens, strict=True):
        thought = any(start <= at and at + len(token) <= end for start, end in spans)
        if not thought and _SAID.search(token) and not _TAGS.fullmatch(token.strip()):
            return one
        at += len(token)
    return None


def server_words(content: bytes) -> str:
    """Return what a server says in the body of an error, in one line.

    >>> server_words(b'{"error": {"message": "no such model"}}')
    'no such model'
    >>> server_words(b"<html><h1>502</h1> Bad Gateway</html>")
    '502 Bad Gateway'
    """
    text = content.decode("utf-8", "replace")
    try:
        body = read_json(text)
    except ValueError:
        return one_line(_TAGS.sub(" ", text)) or "nothing"
    return error_message(body) or one_line(body)


def log_probability(value: Any) -> float | None:
    """Return ``value`` as a natural log-probability, None where it is not one (no number, infinite, over 0).

    >>> [log_probability(value) for value in (-0.5, 0, 1e-6, -(10**400), float("-inf"), 3, True, "-1")]
    [-0.5, 0.0, 0.0, None, None, None, None, None]
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        logprob = float(value)
    except OverflowError:
        return None
    return min(logprob, 0.0) if math.isfinite(logprob) and logprob <= _CERTAIN else None


def _choice(body: Any) -> Mapping[str, Any]:
    if not isinstance(body, Mapping):
        raise RequestError(f"the answer is not a JSON object: {one_line(body)}", status=200)
    choices = body.get("choices")
    if isinstance(choices, list) and choices and isinstance(choices[0], Mapping):
        return choices[0]
    if error_message(body):
        raise reported_error(body)
    message = f"the answer has no choices: {one_line(body)}"
    if "choices" in body:  # a server that gave up sends an empty list, what is no chat server sends none
        raise RequestError(message, retryable=True)
    raise RequestError(message, status=200)


def _text(message: Mapping[str, Any]) -> str | None:
    """Return the text of a message: a string, a list of parts, or a refusal that stands apart."""
    content = message.get("content")
    if isinstance(content, list):
        parts = [_part(part) for part in content]
        content = "".join(part for part in parts if isinstance(part, str))
    if not content and isinstance(message.get("refusal"), str):
        return str(message["refusal"])
    return content if isinstance(content, str) else None


def _part(part: Any) -> Any:
    """Return the text of a part of a message; thoughts are parts of a type of their own."""
    if not isinstance(part, Mapping):
        return part
    return part.get("text") if part.get("type", "text") in ("text", "output_text", "refusal") else None


def _alternative(told: Any) -> tuple[str, float] | None:
    if not isinstance(told, Mapping) or not isinstance(told.get("token"), str):
        return None
    logprob = log_probability(told.get("logprob"))
    return None if logprob is None else (well_formed(told["token"]), logprob)


def _count(told: Any) -> int | None:
    return told if isinstance(told, int) and not isinstance(told, bool) and 0 <= told < 1 << 53 else None
