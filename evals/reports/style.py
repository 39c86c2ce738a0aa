"""The style of report pages: one column, both colour schemes, no fonts or pictures from anywhere."""

from __future__ import annotations

STYLE = """
:root { color-scheme: light dark; --text: #1d2430; --quiet: #5b6575; --line: #d9dee7; --page: #ffffff;
  --card: #f5f7fa; --good: #2f7d4f; --bad: #b3362b; --warn: #8a5a00; --bar: #3d6fb4; --back: #e6ebf2; }
@media (prefers-color-scheme: dark) { :root { --text: #e3e7ee; --quiet: #9aa5b5; --line: #343c49; --page: #14181f;
  --card: #1c222c; --good: #6cc08b; --bad: #f08a7e; --warn: #e0b060; --bar: #6d9de0; --back: #2a3240; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem 1rem 4rem; max-width: 60rem; background: var(--page); color: var(--text);
  font: 15px/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; margin: 0 0 .3rem; } h2 { font-size: 1.15rem; margin: 2.2rem 0 .6rem; }
h3, h4 { font-size: 1rem; margin: 1rem 0 .3rem; }
p { margin: .25rem 0; } .quiet, .muted, .tail { color: var(--quiet); }
.good, .ok { color: var(--good); } .bad { color: var(--bad); } .warn, .severity { color: var(--warn); }
.strong, .cause { font-weight: 600; } .lead { color: var(--quiet); font-weight: 500; }
.numbers { display: flex; flex-wrap: wrap; gap: .6rem; margin: 1rem 0; }
.numbers div { background: var(--card); border: 1px solid var(--line); border-radius: 6px; padding: .5rem .8rem; }
.numbers b { display: block; font-size: 1.25rem; font-variant-numeric: tabular-nums; }
.wide { overflow-x: auto; } table { border-collapse: collapse; width: 100%; font-size: .9rem; }
th, td { text-align: left; vertical-align: top; padding: .25rem .6rem .25rem 0; border-bottom: 1px solid var(--line); }
th { font-weight: 600; color: var(--quiet); }
.confusion td, .confusion th { padding: .25rem .4rem; text-align: center; font-variant-numeric: tabular-nums; }
.confusion th[scope=row] { text-align: right; } .confusion .right { background: var(--back); font-weight: 600; }
.confusion .wrong { color: var(--bad); font-weight: 600; }
pre { white-space: pre-wrap; font: .82rem/1.45 ui-monospace, monospace; margin: .2rem 0; }
details { border: 1px solid var(--line); border-radius: 6px; margin: .5rem 0; padding: 0 .8rem; }
details > *:last-child { margin-bottom: .8rem; } summary { cursor: pointer; padding: .45rem 0; }
details details { background: var(--card); } .doc { padding: .3rem 0; } .doc p.in { padding-left: 1rem; }
svg.chart { display: block; width: 100%; height: auto; font: 12px system-ui, sans-serif; }
svg text { fill: var(--text); } svg .end { text-anchor: end; } svg .small { font-size: 10px; fill: var(--quiet); }
svg .back { fill: var(--back); } svg .bar { fill: var(--bar); fill-opacity: .6; }
svg .short { fill: var(--bad); fill-opacity: .6; }
svg .other { fill: var(--quiet); fill-opacity: .6; } svg .whisker { stroke: var(--text); stroke-width: 1.5; }
svg .axis { stroke: var(--line); } svg .call { fill: var(--bad); } svg .call.ok { fill: var(--bar); }
svg .call.empty, svg .call.absent { fill: var(--quiet); } svg .call.truncated { fill: var(--warn); }
"""
