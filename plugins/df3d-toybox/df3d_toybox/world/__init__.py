"""The toybox world: things made of simple solids, drawn and meshed exactly.

`shapes` (the solids and their meshes) <- `nouns` (how each thing is built) <- `scene` (a caption made solid)
<- `render` (its picture from a camera).
"""
