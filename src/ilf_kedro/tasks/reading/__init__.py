"""Rows out of files of any kind, folders of them, and data sets on the hub."""

from ilf_kedro.tasks.reading.files import read_bytes, read_rows
from ilf_kedro.tasks.reading.hub import HubSplit, read_hub
from ilf_kedro.tasks.reading.options import ReadOptions

__all__ = ["HubSplit", "ReadOptions", "read_bytes", "read_hub", "read_rows"]
