"""What every KIND promises."""

from df3d.testing import KindContract


class TestMyPart(KindContract):
    name = "my-part"
