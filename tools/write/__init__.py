"""The catalogue of changes, one file each. Closed and still empty: nothing in this program can change a cluster.

Rules for what will stand here: typed arguments with bounds, one JSON merge patch of one object, an inverse, a
verification; never delete, exec, Secret, RBAC, webhook, CRD, namespace or free-form patch.
"""
