"""The service's own rules, in Python. Saved while `havn dev` runs, they are in force at once."""

from typing import Any

from havn.runtime.hooks import InstanceContext, Issue, validate_form, warning


@validate_form("model", name="message", fields=["message"])
def a_few_words(ctx: InstanceContext, model: dict[str, Any]) -> list[Issue]:
    """A message of a word or two is seldom what anybody needs."""
    message = model.get("message") or ""
    return [warning("message", "message.short")] if 0 < len(message) < 10 else []
