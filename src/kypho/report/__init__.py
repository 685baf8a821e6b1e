"""Reports: text, figures, pages and the case written up."""
