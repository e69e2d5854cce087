__version__ = "2.10.0+cpu"
git_version = "0123456789abcdef"
