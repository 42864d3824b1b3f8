"""The worker process: turns a Scene into Views with Kubric, Blender and PyBullet.

The only place that imports bpy, which is GPL. Nothing imports this package: it is
started as `python -m dyso.worker`.
"""
