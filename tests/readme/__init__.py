"""An app for the models that README.md shows; see test_readme.py."""
