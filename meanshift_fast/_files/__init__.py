"""Files: the formats of tables, and writing that leaves whole files. Imported only where needed.

Imports `_input`; pyarrow where a format needs it.
"""
