"""The graph of a run, as one table. It ends at `report`: nothing here approves, applies or verifies.

`choose` is the only node that interrupts, and it contains nothing else, because LangGraph re-runs an interrupted
node from its first line.
"""

from __future__ import annotations

from typing import TypeAlias, cast

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import Command

from agent import nodes
from agent.context import RunContext
from agent.state import State

NODES = {
    "understand": nodes.understand,
    "choose": nodes.choose,
    "plan": nodes.plan,
    "gather": nodes.gather,
    "diagnose": nodes.diagnose,
    "consult": nodes.consult,
    "report": nodes.report,
}
EDGES: tuple[tuple[str, str], ...] = (
    (START, "understand"),
    ("choose", "understand"),
    ("plan", "gather"),
    ("report", END),
)
BRANCHES = (
    ("understand", nodes.after_understanding, ("choose", "plan")),
    ("gather", nodes.after_gathering, ("diagnose", "consult")),
    ("diagnose", nodes.after_diagnosis, ("gather", "consult", "report")),
    ("consult", nodes.after_consulting, ("gather", "consult", "report")),
)
RECURSION_LIMIT = 80
"""Steps of a run at most: two rounds take ten, each choice two more, each turn of a model two (it has at most 24)."""

Compiled: TypeAlias = CompiledStateGraph[State, RunContext, State, State]


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


async def advance(graph: Compiled, thread: str, start: State | Command[str] | None, context: RunContext) -> None:
    """Run a thread to its end or to its next question. None goes on from the checkpoint."""
    await graph.ainvoke(
        start,
        {"configurable": {"thread_id": thread}, "recursion_limit": RECURSION_LIMIT},
        context=context,
        durability="sync",
    )


async def peek(graph: Compiled, thread: str) -> tuple[State, bool]:
    """(state, unfinished) of a thread's newest checkpoint."""
    snapshot = await graph.aget_state({"configurable": {"thread_id": thread}})
    return cast(State, snapshot.values), bool(snapshot.next)


def diagram() -> str:
    """The graph as a Mermaid flowchart, from the tables above."""
    named = {START: "question", END: "answer"}
    lines = ["flowchart LR"]
    for source, target in EDGES:
        lines.append(f"  {named.get(source, source)} --> {named.get(target, target)}")
    for source, _, targets in BRANCHES:
        lines += [f"  {source} -.-> {target}" for target in targets]
    return "\n".join(lines)
