"""What tests share and what they start: no tests."""

from pathlib import Path

FOLDER = Path(__file__).parent
