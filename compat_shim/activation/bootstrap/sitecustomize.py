"""Makes the shim wait for torch, then runs the ``sitecustomize`` that this one hides.

It runs at each start of an interpreter, so it is one file (this very module is the finder) and
imports nothing that is not there yet. Any Python may inherit the path, so it is Python 2 too.
"""

import os
import sys

here = os.path.dirname(os.path.abspath(__file__))
root = os.path.dirname(os.path.dirname(os.path.dirname(here)))
mode = os.environ.get("COMPAT_SHIM", "").strip().lower()


def find_spec(name, path=None, target=None):
    # type: (str, object, object) -> object
    """A finder's: once torch is asked for, the shim takes over. Then the other finders are asked."""
    if name != "torch":
        return None
    try:
        import compat_shim  # noqa: F401  (activates)
    except Exception as error:
        if mode == "strict":
            raise
        sys.stderr.write("compat_shim: it cannot be imported: %r; torch behaves as shipped\n" % error)
    sys.meta_path[:] = [finder for finder in sys.meta_path if finder is not this]
    specs = (finder.find_spec(name, path, target) for finder in list(sys.meta_path))  # type: ignore[arg-type]
    return next((spec for spec in specs if spec is not None), None)


# A Python that would not find this package by itself has only inherited the path, and so has one
# of another version that inherited the whole of it (Inductor gives its workers all of sys.path).
library = os.path.basename(os.path.dirname(root)).rstrip("t")
is_ours = root in sys.path and (not library.startswith("python3.") or library == "python%d.%d" % sys.version_info[:2])
this = sys.modules.pop(__name__)
if is_ours and sys.version_info >= (3, 10) and mode != "off":
    sys.meta_path.insert(0, this)

# The user's, or the distribution's: whatever happened above, and as if it had been found first.
position = sys.path.index(here)
sys.path.remove(here)
try:
    import sitecustomize  # type: ignore[import-not-found,unused-ignore]  # noqa: F401
except ImportError as error:
    if getattr(error, "name", "sitecustomize") != "sitecustomize":
        raise
    sys.modules[__name__] = this
finally:
    sys.path.insert(position, here)  # Inductor's workers get their path from it
