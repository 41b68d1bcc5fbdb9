"""Say things in the reader's language: catalogues, names, amounts."""
