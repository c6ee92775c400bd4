"""Readers of tables (files, DataFrames, arrays, Arrow), conversion to Arrow and back, and export."""
