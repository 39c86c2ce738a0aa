"""The catalogue of changes, one file each, each declaring one `CHANGE`. Closed: what is not here cannot be proposed.

Rules: typed arguments with bounds, and one object as target; never delete, exec, Secret, RBAC, webhook, CRD,
namespace or a free-form patch. Nothing here can change a cluster: a change says what is wanted, no more.
"""
