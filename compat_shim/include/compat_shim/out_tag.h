// The tags of out variants for ops that are registered in C++, on every release of torch:
//
//   #include <compat_shim/out_tag.h>
//   m.def("op(Tensor x) -> Tensor");
//   m.def("op.out(Tensor x, *, Tensor(a!) out) -> ()", {compat_shim::out_variant_tag()});
//
// Torch's own value where its headers have the tag, and else the value that compat_shim gives it
// in Python. Those values are part of every library compiled with them: they never change.
#pragma once

#include <type_traits>

#include <ATen/core/enum_tag.h>

namespace compat_shim {
namespace detail {

// One of at::Tag's names, if it has it: the second declaration is taken where T::name exists.
#define COMPAT_SHIM_TAG(name, value)                                             \
  template <typename T, typename = void>                                         \
  struct name##_value : std::integral_constant<int, value> {};                   \
  template <typename T>                                                          \
  struct name##_value<T, std::enable_if_t<static_cast<int>(T::name) >= 0>>       \
      : std::integral_constant<int, static_cast<int>(T::name)> {};

COMPAT_SHIM_TAG(out, 0x6F757421)
COMPAT_SHIM_TAG(out_variant, 0x6F7574)
COMPAT_SHIM_TAG(inplace, 0x696E706C)
#undef COMPAT_SHIM_TAG

} // namespace detail

// For an out variant of any shape: outs anywhere in the signature, returning nothing or the outs.
inline at::Tag out_variant_tag() {
  return static_cast<at::Tag>(detail::out_variant_value<at::Tag>::value);
}

// For one that keeps the rules of torch.Tag.out: its outs are keyword-only Tensors, and it returns
// all of them in order. From 2.13 on torch relies on these rules and does not check them in C++.
inline at::Tag out_tag() {
  return static_cast<at::Tag>(detail::out_value<at::Tag>::value);
}

// For one that writes to its first argument alone and returns it.
inline at::Tag inplace_tag() {
  return static_cast<at::Tag>(detail::inplace_value<at::Tag>::value);
}

} // namespace compat_shim
