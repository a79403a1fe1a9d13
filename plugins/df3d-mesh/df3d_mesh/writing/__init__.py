"""Mesh files of df3d's own."""
