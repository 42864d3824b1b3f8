"""What can be wrong with a scene's assets."""


class AssetError(Exception):
    """An asset is missing or cannot be used.

    Attributes:
      asset: its id.
    """

    def __init__(self, asset: str, message: str):
        super().__init__(f"{asset}: {message}")
        self.asset = asset
