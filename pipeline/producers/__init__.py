"""How interactions get into Kafka.

Read in this order:

    producer      validate, key and send one interaction; every delivery is awaited
    delivery      what became of the records that were sent
    kafka_client  the kafka-python client behind it, and how it is set up
    lines         the lines of a file or a pipe, in bounded memory
    completion    what a line may leave out
    reject_file   what could not be used, whole, in a file that can be mended and sent again

Foreign logs become interactions in ``pipeline.mapping``.
"""

from pipeline.producers.producer import Producer

__all__ = ["Producer"]
