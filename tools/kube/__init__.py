"""The live Kubernetes port: the only package that imports kubernetes."""
