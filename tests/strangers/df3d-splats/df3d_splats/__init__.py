"""Gaussian splats for df3d."""
