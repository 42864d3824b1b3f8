"""Checks types and shapes in signatures, in every call that a test makes."""

from beartype import BeartypeConf, beartype
from jaxtyping import install_import_hook

PACKAGES = (
    "dyso.export",
    "dyso.geometry",
    "dyso.reading",
    "dyso.records",
    "dyso.sampling",
    "dyso.train",
    "dyso.validation",
    "dyso.videos",
    "dyso.visualization",
)

# An int is a float to a type checker.
check = beartype(conf=BeartypeConf(is_pep484_tower=True))


def install() -> None:
    """Checks what is imported of `PACKAGES` from now on."""
    install_import_hook(PACKAGES, f"{__name__}.check")
