"""Names of OpenTelemetry's conventions for generative AI, in one place, because they still change.

Source: github.com/open-telemetry/semantic-conventions-genai, docs/gen-ai/gen-ai-{spans,agent-spans,metrics}.md (all of
status Development). Its unreleased head splits the token histogram by direction; collectors and dashboards in use know
the names below, which the OpenTelemetry SDK 1.45 ships too. Nothing outside agent/telemetry uses these names.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

# --- operations and values ---------------------------------------------------------------------------------

CHAT: Final = "chat"
EXECUTE_TOOL: Final = "execute_tool"
INVOKE_WORKFLOW: Final = "invoke_workflow"
OPENAI: Final = "openai"
"""Of the provider: the flavour of the interface, whoever serves it."""
FUNCTION: Final = "function"
OTHER: Final = "_OTHER"
"""Where a value is not one of a known, small set."""
FINISH_REASONS: Final = frozenset({"stop", "length", "tool_calls", "content_filter", "function_call"})

# --- attributes --------------------------------------------------------------------------------------------

OPERATION_NAME: Final = "gen_ai.operation.name"
PROVIDER_NAME: Final = "gen_ai.provider.name"
WORKFLOW_NAME: Final = "gen_ai.workflow.name"
CONVERSATION_ID: Final = "gen_ai.conversation.id"
REQUEST_MODEL: Final = "gen_ai.request.model"
REQUEST_MAX_TOKENS: Final = "gen_ai.request.max_tokens"
REQUEST_STREAM: Final = "gen_ai.request.stream"
RESPONSE_MODEL: Final = "gen_ai.response.model"
RESPONSE_FINISH_REASONS: Final = "gen_ai.response.finish_reasons"
RESPONSE_TIME_TO_FIRST_CHUNK: Final = "gen_ai.response.time_to_first_chunk"
USAGE_INPUT_TOKENS: Final = "gen_ai.usage.input_tokens"
USAGE_OUTPUT_TOKENS: Final = "gen_ai.usage.output_tokens"
TOKEN_TYPE: Final = "gen_ai.token.type"
TOOL_NAME: Final = "gen_ai.tool.name"
TOOL_TYPE: Final = "gen_ai.tool.type"
TOOL_CALL_ID: Final = "gen_ai.tool.call.id"
ERROR_TYPE: Final = "error.type"
SERVER_ADDRESS: Final = "server.address"
SERVER_PORT: Final = "server.port"
CLUSTER_NAME: Final = "k8s.cluster.name"
NAMESPACE_NAME: Final = "k8s.namespace.name"

# --- attributes with content: only where the user opted in ---------------------------------------------------

INPUT_MESSAGES: Final = "gen_ai.input.messages"
OUTPUT_MESSAGES: Final = "gen_ai.output.messages"
TOOL_CALL_ARGUMENTS: Final = "gen_ai.tool.call.arguments"
TOOL_CALL_RESULT: Final = "gen_ai.tool.call.result"
CONTENT: Final = (INPUT_MESSAGES, OUTPUT_MESSAGES, TOOL_CALL_ARGUMENTS, TOOL_CALL_RESULT)

# --- metrics -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Histogram:
    """A histogram as the conventions want it: unit in UCUM, bucket boundaries in that unit."""

    name: str
    unit: str
    description: str
    boundaries: tuple[float, ...]


_SECONDS: Final = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
TOKEN_USAGE: Final = Histogram(
    "gen_ai.client.token.usage",
    "{token}",
    "Number of input and output tokens used.",
    tuple(4.0**power for power in range(14)),
)
OPERATION_DURATION: Final = Histogram("gen_ai.client.operation.duration", "s", "GenAI operation duration.", _SECONDS)
TIME_TO_FIRST_CHUNK: Final = Histogram(
    "gen_ai.client.operation.time_to_first_chunk", "s", "Time to receive the first chunk.", _SECONDS
)
WORKFLOW_DURATION: Final = Histogram(
    "gen_ai.workflow.duration",
    "s",
    "GenAI workflow duration.",
    (1.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 7200.0),
)
TOOL_DURATION: Final = Histogram("gen_ai.execute_tool.duration", "s", "Duration of a tool execution.", _SECONDS)
