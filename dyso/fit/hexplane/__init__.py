"""HexPlane: a scene as planes of a factorised grid of space and time."""
