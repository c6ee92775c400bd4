"""The report: HTML with charts, and text."""
