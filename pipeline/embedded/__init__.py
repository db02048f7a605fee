"""The embedded stack: a Kafka broker and a ClickHouse engine that need nothing but this package.

With no Kafka or ClickHouse configured, every command runs on it. Read in this order:

    home        the directory on disk: lock, secrets, run file
    broker      the Tansu broker, one subprocess
    engine      the chdb engine, one query at a time per handle
    statement   where an INSERT's text ends and its data begins
    request     an HTTP request as ClickHouse's clients send it
    front       the HTTP server before the engine
    supervisor  the process that holds the lock and hosts them all
    stack       what the rest of the program calls: start, find, connect
"""
