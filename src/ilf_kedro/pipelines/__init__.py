"""The dataflow: thin nodes that connect the method through the catalog."""
