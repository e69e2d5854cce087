"""The call of an out variant as code: in Python, in C++, and as a node of an FX graph."""
