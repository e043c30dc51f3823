"""`kedro ilf-lineage`: where what a model learned from came from, and what an annotator's words reached."""
