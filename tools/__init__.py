"""What Plumbline can see and do, and whether it may."""
