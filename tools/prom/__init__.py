"""The live metrics port: the only package that imports prometheus_api_client."""
