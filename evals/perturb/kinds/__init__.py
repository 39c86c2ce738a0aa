"""The perturbations, one file each, found by themselves. A module declares `PERTURBATION`."""
