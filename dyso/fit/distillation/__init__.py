"""Text to a moving 3D scene, by distilling a video prior into a HexPlane."""
