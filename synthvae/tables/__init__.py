"""One table in, one table out: files, frames, arrays and Arrow to Arrow, and back. The only reader of tables."""
