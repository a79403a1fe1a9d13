"""One part of each small kind for df3d."""
