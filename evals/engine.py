"""Which reasoner answers in an evaluation, as plain data that travels to worker processes.

Rules: the key and the headers of an endpoint never travel: each process reads them from its own environment and
settings file; what a report keeps of an engine is this data and nothing else.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from agent.settings import Settings, load_settings
from tools.errors import SettingsError
from tools.types import Frozen

MODEL_FIELDS = (
    "reasoner",
    "model",
    "model_url",
    "model_key",
    "model_headers",
    "model_timeout",
    "model_window",
    "model_tokens",
    "model_cost",
    "prices",
    "allow_plain_http",
)
"""What a run takes from the user's settings; the rest is the same for everybody, so that results compare."""


class Engine(Frozen):
    """The reasoner of every run of an evaluation. The default is the playbook, whatever the environment says."""

    reasoner: Literal["playbook", "llm"] = "playbook"
    model: str = ""
    model_url: str = ""
    judging: bool = True
    """False: no cause judges, the model stands alone."""
    judge: str = ""
    """Model that scores the prose; "" for none."""

    @property
    def asks(self) -> bool:
        """True where a model endpoint is needed."""
        return self.reasoner == "llm" or bool(self.judge)

    @property
    def title(self) -> str:
        """One line that says what is measured."""
        if self.reasoner == "playbook":
            who = "playbook"
        else:
            who = f"model {self.model} at {self.model_url}" + ("" if self.judging else ", no diagnosers")
        return f"{who}, prose scored by {self.judge}" if self.judge else who

    def settings(self, state_dir: Path) -> Settings:
        """The settings of one run. Raises SettingsError and DocumentError."""
        if not self.asks:
            return Settings(state_dir=state_dir)
        flags = {"reasoner": self.reasoner, "model": self.model, "model_url": self.model_url}
        loaded = load_settings(flags)
        taken = {name: getattr(loaded, name) for name in MODEL_FIELDS}
        return Settings.model_validate({"state_dir": state_dir, **taken})


def engine_of(settings: Settings, *, judging: bool = True, judge: str = "") -> Engine:
    """The engine that settings stand for. Raises SettingsError for an endpoint that could never be asked."""
    wanted = settings.reasoner if settings.reasoner != "auto" else "llm" if settings.model else "playbook"
    if wanted == "playbook" and not judging:
        raise SettingsError("without diagnosers only a model can answer", hint="name one with --model")
    engine = Engine(
        reasoner=wanted,
        model=settings.model if wanted == "llm" else "",
        model_url=settings.model_url if wanted == "llm" or judge else "",
        judging=judging,
        judge=judge,
    )
    if engine.asks:
        _check(settings, engine)
    return engine


def _check(settings: Settings, engine: Engine) -> None:
    """What can be known before anything is sent. Raises SettingsError."""
    from agent.llm.address import check
    from agent.llm.open import budget_of, endpoint_of

    if engine.reasoner == "llm":
        if not settings.model:
            raise SettingsError(
                "no model is named", hint="name one with --model, PLUMBLINE_MODEL or `model` in the file"
            )
        check(endpoint_of(settings))
        budget_of(settings)
    if engine.judge:
        check(endpoint_of(judging_with(settings, engine.judge)))


def judging_with(settings: Settings, judge: str) -> Settings:
    """The settings of the judge: the same endpoint, another model."""
    return settings.model_copy(update={"model": judge})
