"""How a log of another system becomes interactions, by a MAP.toml (``schemas/mapping.py``).

map_file     reads the map
log_reader   opens a log; log_rows, csv_log, ndjson_log, parquet_log are what it hands out
columns      whether a log has the columns that a map names
values       texts, numbers and truth values out of a cell
times        instants out of a cell, daylight saving included
fields       a map compiled into one function per field
besides      what else a row tells of, once or every time
mapped       rows into interactions, or the reason why not
"""
