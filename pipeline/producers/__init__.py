"""How interactions get into Kafka.

Read in this order:

    producer     validate, key and send one interaction; every delivery is awaited
    delivery     what became of the records that were sent
    lines        the lines of a file or a pipe, in bounded memory
    reject_file  what could not be used, whole, in a file that can be mended and sent again

and for foreign logs:

    map_file     a MAP.toml that says how a log becomes interactions
    log_reader   opens a log; log_rows, csv_log, ndjson_log, parquet_log are what it hands out
    columns      whether a log has the columns that a map names
    values       texts, numbers and truth values out of a cell
    times        instants out of a cell, daylight saving included
    fields       a map compiled into one function per field
    mapped       rows into interactions, or the reason why not
"""

from pipeline.producers.producer import Producer

__all__ = ["Producer"]
