"""Out ops called directly in compiled code: ``torch.ops.ns.op.out(x, out=buffer)``.

One rule makes it right: *such an op returns its out arguments, so a call's results are those
very arguments*, under functionalization (``functionalize.py``), for fake tensors (``fake.py``)
and in Inductor (``inductor.py``). The rest is torch's own treatment of ops that write to
arguments and return nothing.

Mirrors #180852 (native since torch 2.13), whose results are other tensors: they do not follow
later writes to the out argument, and Inductor gives the out buffer away while they live.
"""
