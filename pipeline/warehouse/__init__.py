"""The warehouse: ClickHouse's tables, views and named queries, and the way to them.

client          connect, and errors in the project's own words
ddl             the schema: numbered files in ``schemas/sql/migrations``, as statements
migrate         applying them
catalog_tables  the catalog, published so that results carry names, owners and weights
ledger          what detection wrote and where it stood, and the history it starts from again
ledger_rows     rows of its tables
query_files     the questions analysts ask: files in ``schemas/sql/queries``
queries         asking them
accounting      the sum that must hold: what Kafka holds is stored or rejected
"""
