"""`edgekit report`: records become rows, rows become text, tables, charts and one self-contained page."""
