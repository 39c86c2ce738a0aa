"""From a live cluster, or from dumps of one, to a world folder that answers as the cluster did."""
