// Bulk load of one table: TABLE is its name, FILE a Parquet file of mindkg/graph/property_graph.py.
COPY TABLE FROM 'FILE';
