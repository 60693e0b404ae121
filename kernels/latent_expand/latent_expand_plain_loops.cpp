// A copy: heads of tokens shared out among the threads. Where types agree compilers make it one of vectors, and memory
// is all of the cost.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "kernels/contract/dispatch.h"
#include "kernels/core/team.h"
#include "kernels/latent_expand/latent_expand.h"
#include "latent_expand_variants.h"

namespace layercost {
namespace {

template <class From, class To>
void copy(const From* from, std::int64_t n, To* to) {
  for (std::int64_t i = 0; i < n; ++i) store_f32(to + i, load_f32(from + i));
}
template <class T>
void copy(const T* from, std::int64_t n, T* to) {
  std::copy_n(from, n, to);
}

template <class X, class KV, class Y>
void heads(const LatentExpandAxes& a, const X* x, const KV* cache, Y* k, Y* v) {
  const std::int64_t dim = a.nope_dim + a.rope_dim;
  each_row_and_column(a.batch * a.heads, a.kv_len, a.tokens() > 1, [&](std::int64_t row, std::int64_t j) {
    const std::int64_t h = row % a.heads, t = row / a.heads * a.kv_len + j, at = a.place(t, h);
    copy(x + a.from(t, h), a.nope_dim, k + at * dim);
    copy(cache + a.shared_key(t), a.rope_dim, k + at * dim + a.nope_dim);
    copy(x + a.from(t, h) + a.nope_dim, a.v_dim, v + at * a.v_dim);
  });
}

std::unique_ptr<Invocation> prepare(const OpCase& c, const OpTensors& t, Runtime&) {
  const LatentExpandAxes a = latent_expand_axes(c);
  const Tensor x = t.tensor("expanded"), cache = t.tensor("cache"), k = t.tensor("k"), v = t.tensor("v");
  return dispatch_float(x.dtype, [&]<class X>(X*) {
    return dispatch_float(cache.dtype, [&]<class KV>(KV*) {
      return dispatch_float(k.dtype, [&]<class Y>(Y*) {
        return invocation([=] { heads(a, x.as<X>(), cache.as<KV>(), k.as<Y>(), v.as<Y>()); });
      });
    });
  });
}

}  // namespace

const Variant latent_expand_plain_loops{
    .name = "plain_loops",
    .target = Target::cpu,
    .provider = "layercost",
    .knows = "x_type=f32|bf16 kv_type=f32|bf16 y_type=f32|bf16",
    .make = prepare,
};

}  // namespace layercost
