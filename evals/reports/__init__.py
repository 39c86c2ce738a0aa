"""Reports of stored runs for people with a browser and for the viewer of Inspect."""
