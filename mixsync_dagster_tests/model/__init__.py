"""Tests of the configuration model, item, object and progress nouns."""
