"""Rows out of files of any kind, folders and the hub."""
