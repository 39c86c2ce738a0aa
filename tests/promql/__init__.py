"""PromQL evaluation: domain cases, rules of the language, agreement with Prometheus."""
