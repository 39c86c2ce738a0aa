"""Tests of what is concluded: views, signals, causes, verdict, session."""
