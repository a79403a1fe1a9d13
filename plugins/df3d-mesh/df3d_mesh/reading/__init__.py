"""Mesh files of other people."""
