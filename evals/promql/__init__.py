"""PromQL in plain Python: the syntax tree of promql_parser, evaluated over any source of series."""
