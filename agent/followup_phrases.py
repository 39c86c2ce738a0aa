"""The words of follow-up questions: how they begin, and what they ask of the last answer.

Rules: tables only. A phrase is a whole lower-case text without punctuation: `a/b` is one word of several, `(a)` may
be missing, `_` joins words to one; <E> is an evidence id, <N> a figure, <C> a cause's id, <W> up to 60 characters.
The first phrase that fits wins.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, TypeAlias

from agent.phrases import words

Kind: TypeAlias = Literal[
    "rescope", "again", "queries", "evidence", "show", "prove", "figure", "why_not", "remedy", "explain", "since",
    "alone",
]  # fmt: skip
"""What a follow-up asks. `rescope` and `again` look at the cluster anew; the others are answered from the store."""
_HOLES = {
    "<E>": r"(?P<evidence>e\d{1,5})",
    "<N>": r"(?P<figure>\d{1,9}(?:[.,]\d{1,9})*)(?: ?%| percent)?",
    "<C>": r"(?P<cause>[a-z]\d{1,3})",
    "<W>": r"(?P<word>.{1,60})",
}


def compiled(phrase: str) -> re.Pattern[str]:
    """A phrase as a pattern for a text that begins with a space."""
    parts: list[str] = []
    for token in phrase.split():
        bare = token.removeprefix("(").removesuffix(")")
        choices = (_HOLES.get(choice, re.escape(choice.replace("_", " "))) for choice in bare.split("/"))
        parts.append(f"(?: (?:{'|'.join(choices)}))" + ("?" if token != bare else ""))
    return re.compile("".join(parts))


@dataclass(frozen=True, slots=True)
class Ask:
    """Phrases (separated by `|`) that ask one thing of the last answer."""

    kind: Kind
    phrases: str
    whole: bool = False
    """True where everything that was read is meant, not only what the answer cites."""


_SHOW = "show/list/print/open/display/give/see/what_is/what_are/what_was/what_were"
_QUERY = "query/queries/promql/promql_query/promql_queries/kubectl_commands/command/commands/call/calls/read/reads"
_DID = "did/have you run/ran/use/used/make/made/ask/asked/send/sent/execute/executed/query/read/look_at/fetch"
_THAT = "it/this/that"
ASKS: tuple[Ask, ...] = (
    Ask("show", f"{_SHOW}/what_does (me) (evidence) <E> (say/show/mean/about)|<E>"),
    Ask(
        "queries",
        f"{_SHOW} (me) all/every/all_of (the/your/these) {_QUERY} (you) (ran/used/made/asked/sent)"
        f"|which/what {_QUERY} {_DID}|which/what {_QUERY} were/was run/used/made/asked/sent|what {_DID}",
        whole=True,
    ),
    Ask(
        "queries",
        f"{_SHOW} (me) (the/your/these/its) (exact) {_QUERY} (for/behind/of) (<E>) (you) (ran/used/made/sent)",
    ),
    Ask("evidence", f"{_SHOW} (me) all/every/all_of (the/your/its) evidence/sources/data", whole=True),
    Ask(
        "evidence",
        f"{_SHOW}/where_is (me) (the/your/its) (raw) evidence/source/sources/references/citations/data"
        f" (for/behind/of) ({_THAT})|(on) what evidence (is/do/have) (there/you) (have)",
    ),
    Ask(
        "figure",
        "where do/does/did (the/that/this/those) (figure/number/value) <N> (of) (gpus/busy/requests) come from"
        "|how is/was/did (you) (get/compute/calculate/work_out) (the/that/this) (figure/number/value) <N>"
        " (computed/calculated/worked_out/measured)"
        "|why/what_is/where_is (the/that/this) (figure/number/value) <N> (from)",
    ),
    Ask(
        "prove",
        f"how do/can/could/did you know/tell/find_out/find (({_THAT})) (out)|prove {_THAT}|prove|says who|based on what"
        f"|why do you think/say/believe so/that/this|are you sure/certain (about) ({_THAT})|how sure are you"
        f"|what makes you say/think/believe/so_sure ({_THAT}/so)|why|why so|why is that (so)",
    ),
    Ask(
        "since",
        f"since when (is/was/has/have/does/do) (<W>)|when did {_THAT}/they start/begin/happen/break"
        f"|how long (has/have/is/was) ({_THAT}) (<W>)|when was that",
    ),
    Ask(
        "explain",
        "explain/describe/define/what_is/what_are/what_does/tell_me_about/tell_me_more_about/more_on (cause) <C>"
        " (mean/about)",
    ),
    Ask(
        "remedy",
        "what/which should/can/could/must/do/shall/would/to i/we/one/you do/change/fix/try/recommend/suggest/advise"
        " (about/now/next/with/against) (<W>)"
        f"|how do/can/could/should/would i/we/one/you fix/solve/repair/mend/resolve/remedy/correct {_THAT}/them"
        f"|how to fix/solve/repair/mend/resolve {_THAT}/them|what is the fix/remedy/solution/cure|fix {_THAT}|what now"
        "|what to do (now/about) (it/this/that)"
        f"|any/what advice/recommendation/recommendations/suggestions/remedy/fix|can/could you fix {_THAT}|what helps",
    ),
    Ask(
        "why_not",
        "did/have you check/checked/rule_out/ruled_out/look_at/looked_at/look_for/looked_for/consider/considered"
        "/exclude/excluded (for) <W>"
        f"|why could/can/might {_THAT} not be <W>|why not <W>|why is/was {_THAT} not <W>"
        f"|could/can/might/may/would (not) {_THAT} (also/not/just/rather/still) be"
        " (caused_by/due_to/because_of/down_to) <W>"
        f"|are you sure (that) {_THAT} is not <W>|how do you know (that) {_THAT} is not <W>"
        "|(what) rule/rules/ruled out <W>|what excludes/excluded <W>",
    ),
)
"""What is asked of the last answer."""
COMPILED: tuple[tuple[Ask, tuple[re.Pattern[str], ...]], ...] = tuple(
    (ask, tuple(compiled(phrase) for phrase in ask.phrases.split("|"))) for ask in ASKS
)

FILLERS = re.compile(r"^(?:(?:ok|okay|so|well|hm+|please|thanks|right|sure|fine|can you|could you|would you|let me) )+")
"""What may stand before a follow-up without changing it."""
TAIL = re.compile(r"(?: (?:please|then|exactly|thanks|though|instead|as well|too|first))+$")
STRONG = re.compile(
    r"(?:and|but|also|or|what about|how about|what of|(?:the )?same(?: question)?(?= for| in| on)"
    r"|now(?= for| in| on))(?: |$)"
)
"""Beginnings that say outright that a text goes on from another."""
WEAK = re.compile(
    r"(?:in|for|on|at|since|only|just|within|during|from|over|yesterday|today|tonight|(?:the )?last|this)\b"
)
"""Beginnings of an elliptical text: it goes on from another when nothing but places and times follows."""
THERE = re.compile(r" (?:(?:on|with|about|to|in) )?(?:it|them|there)$")
"""Endings that point at what the last question was about."""
AGAIN = re.compile(
    r"now|again|once more|retry|(?:ask|check|look|try|run)(?: it| that)? again|re ?run|re ?check|still"
    r"|(?:is (?:it|that|this) )?still (?:so|true|the case)|(?:any|is it) better(?: now)?|how (?:is it|about) now"
)
OTHER = re.compile(
    r"(?:(?:in|for|on|from) )?(?:the )?(?:other|others|other one|(?:other|remaining) (?:namespaces?|teams?))"
)
EVERYWHERE = re.compile(
    r"(?:(?:only|just|now) )?(?:(?:in|for|across|over|about) )?"
    r"(?:(?:all|every|any|each)(?: of)?(?: the)? namespaces?|everywhere|(?:the )?(?:(?:whole|entire|full) )?cluster)"
)
QUESTION_WORDS = words(
    "why what which who how when where is are do does did has have can could will was were any show list tell give"
    " explain describe diagnose check compare find"
)
PADDING = words(
    """
    in for of on the a an namespace namespaces team node pod deployment job workload service queue only just at since
    within during from over last past previous this whole entire cluster all every about with and to ago until today
    yesterday tonight overnight midnight morning afternoon evening night monday tuesday wednesday thursday friday
    saturday sunday s m h d w minute minutes min mins hour hours hr hrs day days week weeks month months one two three
    four five six seven eight ten twelve couple few half same question
    """
)
"""Words that carry no topic of their own: a text of these, names and numbers only moves the last question."""
