"""The graph of a run, as one table. It ends at `report`: nothing here approves, applies or verifies.

`choose` is the only node that interrupts, and it contains nothing else, because LangGraph re-runs an interrupted
node from its first line.
"""

from __future__ import annotations

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph

from agent import nodes
from agent.context import RunContext
from agent.state import State

NODES = {
    "understand": nodes.understand,
    "choose": nodes.choose,
    "plan": nodes.plan,
    "gather": nodes.gather,
    "diagnose": nodes.diagnose,
    "report": nodes.report,
}
EDGES: tuple[tuple[str, str], ...] = (
    (START, "understand"),
    ("choose", "understand"),
    ("plan", "gather"),
    ("gather", "diagnose"),
    ("report", END),
)
BRANCHES = (
    ("understand", nodes.after_understanding, ("choose", "plan")),
    ("diagnose", nodes.after_diagnosis, ("gather", "report")),
)
RECURSION_LIMIT = 25
"""Steps of a run at most: two rounds take nine, each choice two more."""

Compiled = CompiledStateGraph[State, RunContext, State, State]


def build(checkpointer: BaseCheckpointSaver[str] | None = None) -> Compiled:
    """The compiled graph."""
    graph = StateGraph(State, context_schema=RunContext)
    for name, node in NODES.items():
        graph.add_node(name, node)
    for source, target in EDGES:
        graph.add_edge(source, target)
    for source, route, targets in BRANCHES:
        graph.add_conditional_edges(source, route, list(targets))
    return graph.compile(checkpointer=checkpointer)


def diagram() -> str:
    """The graph as a Mermaid flowchart, from the tables above."""
    named = {START: "question", END: "answer"}
    lines = ["flowchart LR"]
    for source, target in EDGES:
        lines.append(f"  {named.get(source, source)} --> {named.get(target, target)}")
    for source, _, targets in BRANCHES:
        lines += [f"  {source} -.-> {target}" for target in targets]
    return "\n".join(lines)
