"""The live ports against real HTTP on loopback, healthy and broken."""
