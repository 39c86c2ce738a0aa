"""The table `changes` of the settings: who approves, when nothing is written, how far the engine goes."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, SecretStr

from agent.changes.approving import Needed, Rules
from agent.changes.engine import Floor, Limits
from agent.changes.windows import Freeze, Switches
from tools.types import Frozen, KubePort


class ChangeSettings(Frozen):
    """Everything about proposals that can be set; see docs/changes.md."""

    store: SecretStr = SecretStr("")
    """Address of a Postgres (`postgresql://…`) that surfaces and appliers share; empty: a file of ours."""
    approvals: Needed = Needed()
    """How many people approve a plan of each tier."""
    approvers: tuple[str, ...] = ()
    """Users, and `group:NAME`, who may approve; empty: whoever can sign in."""
    self_approval: bool = False
    """Let people approve what they asked for on risky tiers too."""
    stop: bool = False
    """The kill switch."""
    stop_configmap: str = Field(default="", pattern=r"^$|^[a-z0-9-]{1,63}/[a-z0-9.-]{1,253}$")
    """`namespace/name` of a ConfigMap whose key `stop` must say `false`."""
    freezes: tuple[Freeze, ...] = ()
    """Windows in which nothing is written."""
    expiry: float = Field(default=4 * 3600.0, gt=0, le=7 * 86_400.0)
    """Seconds from the preview to the end of plan and approvals."""
    hour_objects: int = Field(default=10, ge=1)
    """Objects that an hour's writes may touch."""
    hour_namespaces: int = Field(default=3, ge=1)
    """Namespaces that an hour's writes may touch."""
    hour_steps: int = Field(default=2, ge=1)
    """Writes of one object within an hour, undos apart."""
    gpus: float = Field(default=64.0, ge=0)
    """GPUs that one plan may reach."""
    floors: tuple[Floor, ...] = ()
    """Replicas that a service keeps: its service-level objective."""
    gpu_hour: float | None = Field(default=None, ge=0)
    """Price of a GPU-hour."""
    currency: str = Field(default="USD", pattern=r"^[A-Za-z]{1,8}$")
    """Currency of that price."""
    source: dict[str, Path] = Field(default_factory=dict)
    """Namespace → folder of a checkout that declares its objects."""
    helm_values: dict[str, str] = Field(default_factory=dict)
    """`Kind/namespace/name field.path` → `values file#key.path`, for what a chart renders."""

    @property
    def rules(self) -> Rules:
        """What is asked of approvals."""
        return Rules(needed=self.approvals, approvers=self.approvers, self_approval=self.self_approval)

    @property
    def limits(self) -> Limits:
        """How far the engine goes."""
        return Limits(
            expiry=self.expiry,
            hour_objects=self.hour_objects,
            hour_steps=self.hour_steps,
            hour_namespaces=self.hour_namespaces,
            gpus=self.gpus,
            floors=self.floors,
            gpu_hour=self.gpu_hour,
            currency=self.currency,
        )

    def brakes(self, kube: KubePort, state_dir: Path) -> Switches:
        """Kill switch and windows."""
        return Switches(kube, state_dir, windows=self.freezes, stop=self.stop, config_map=self.stop_configmap)
