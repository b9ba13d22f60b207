"""The REST API: a skin over the use cases, which tells HTTP apart from what may be done."""
