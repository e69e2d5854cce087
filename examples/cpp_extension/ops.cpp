// Ops of a C++ extension, each with its out variant: once without a tag, and twice with one.

#include <ATen/ATen.h>
#include <torch/library.h>

#include <compat_shim/out_tag.h>

void scale_out(const at::Tensor& x, double by, at::Tensor& out) {
  at::mul_out(out, x, at::scalar_tensor(by));
}

at::Tensor scale(const at::Tensor& x, double by) {
  auto out = at::empty_like(x);
  scale_out(x, by, out);
  return out;
}

at::Tensor& scale_returned(const at::Tensor& x, double by, at::Tensor& out) {
  scale_out(x, by, out);
  return out;
}

TORCH_LIBRARY(ext, m) {
  // No tag and a flat name, as where the source cannot be changed: build.py pairs the two.
  m.def("flat(Tensor x, float by) -> Tensor");
  m.def("flat_out(Tensor x, float by, Tensor! out) -> ()");
  // For an out variant of any shape.
  m.def("tagged(Tensor x, float by) -> Tensor");
  m.def("tagged.out(Tensor x, float by, *, Tensor(a!) out) -> ()", {compat_shim::out_variant_tag()});
  // For one that keeps the rules of torch.Tag.out: its outs are keyword-only, and all returned in order.
  m.def("strict(Tensor x, float by) -> Tensor");
  m.def("strict.out(Tensor x, float by, *, Tensor(a!) out) -> Tensor(a!)", {compat_shim::out_tag()});
}

TORCH_LIBRARY_IMPL(ext, CPU, m) {
  m.impl("flat", scale);
  m.impl("flat_out", scale_out);
  m.impl("tagged", scale);
  m.impl("tagged.out", scale_out);
  m.impl("strict", scale);
  m.impl("strict.out", scale_returned);
}
