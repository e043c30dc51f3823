"""What pages are made of: sections of text, tables and figures, labels, and templates."""

from ilf_kedro.report.sections import Code, Figure, Heading, Paragraph, Part, Section, Table, render_page

__all__ = ["Code", "Figure", "Heading", "Paragraph", "Part", "Section", "Table", "render_page"]
