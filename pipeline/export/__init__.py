"""Event logs for process mining: what customers did, in the formats that its tools read.

``source`` reads the events in the order of their cases, block by block; ``flat``, ``xes`` and
``ocel`` write each block as it comes, so that memory holds one block, however long the log is.
"""
