// What:    causal grouped-query attention over the KV cache; prefill (q_len > 1) and decode (q_len = 1) alike.
// Formula: query i of sequence b sits at position p = kv_len - q_len + i and sees key j when j <= p and
//          (window = 0 or p - j < window) and (chunk = 0 or floor(j / chunk) = floor(p / chunk)). Head h reads kv head
//          g = h / (heads / kv_heads).
//            s[j] = scale * sum_d q[b,i,h,d] k_cache[b,g,j,d]        over visible j
//            y[b,i,h,:] = sum_j softmax(s)[j] v_cache[b,g,j,:]
//          shared_kv=1: there is no v_cache, the first v_dim elements of a key are its value. With kv_heads=1 that is
//          attention over the latents of DeepSeek's models, in its absorbed form.
//          uncached=1: keys and values come from an op before this one and from no cache. It changes nothing but the
//          cost.
//          selected=K: of the keys j <= p query i sees those that row b * q_len + i of `selection` names, min(K, p + 1)
//          of them, in ascending order, behind them -1 (dsa_index makes it). Of values in the keys of one kv head only.
//          sinks=1: sinks[h] is one more score of every query of head h, without a value: it takes its share of the
//          weights, and nothing is added for it.
// Shapes:  q [batch * q_len, heads, qk_dim]; k_cache [batch, kv_heads, capacity, qk_dim];
//          v_cache [batch, kv_heads, capacity, v_dim]; sinks [heads]; selection [batch * q_len, K];
//          y [batch * q_len, heads * v_dim]. Slots from kv_len on hold anything, also NaN: the tests put NaN there.
// Types:   x_type (q), y_type (y): f32 or bf16; kv_type (caches): f32, bf16 or fp8_e4m3, without a scale; sinks f32;
//          selection i32. Products, softmax and sums in f32.
// Cost:    2 (qk_dim + v_dim) flops per visible pair and head (the exponentials are not counted); reads each visible
//          cache entry once (with shared_kv that is qk_dim elements a key); with uncached=1 keys and values are
//          activations, which may stay in a cache of the processor. Of selected keys a step of one query reads K; which
//          ones several queries share is not known beforehand, so they too count for K of a sequence's keys.
// Axes:    batch q_len kv_len capacity heads kv_heads qk_dim v_dim [window=0] [chunk=0] [shared_kv=0|1] [uncached=0|1]
//          [sinks=0|1] [selected] scale x_type kv_type y_type
//          kv_len counts the keys of this call's queries too: rope has appended them.
// Tolerance: usual, sums of kv_len terms.
// Errors:  BadCase unless q_len <= kv_len <= capacity, kv_heads divides heads and, with shared_kv, v_dim <= qk_dim;
//          and where both window and chunk are given; and with `selected` unless shared_kv=1 and kv_heads=1, without
//          window and chunk.
// Source:  Vaswani et al., 2017; Ainslie et al., "GQA", 2023; sliding window as in transformers 5; chunks:
//          Llama 4 there; shared_kv: DeepSeek-AI, "DeepSeek-V2", 2024; selected: "DeepSeek-V3.2", 2025; sinks: gpt-oss
//          as in transformers 5.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>

#include "kernels/contract/op.h"

namespace layercost {
extern const OpDef attention_op;

struct AttentionAxes {
  std::int64_t batch, q_len, kv_len, capacity, heads, kv_heads, qk_dim, v_dim;
  std::int64_t window, chunk;  // 0: none
  double scale;
  bool shared_kv, sinks;
  std::int64_t selected;  // 0: every key that may be seen

  // Of query i: how many keys it sees of those it may see.
  std::int64_t seen_keys(std::int64_t i) const {
    const std::int64_t keys = end_key(i) - first_key(i);
    return selected > 0 ? std::min(selected, keys) : keys;
  }
  std::int64_t v_stride() const { return shared_kv ? qk_dim : v_dim; }  // from the value of a key to the next key's
  std::int64_t group() const { return heads / kv_heads; }
  // Query i sees keys first_key(i) .. end_key(i) - 1.
  std::int64_t end_key(std::int64_t i) const { return kv_len - q_len + i + 1; }
  std::int64_t first_key(std::int64_t i) const {
    if (chunk > 0) return (end_key(i) - 1) / chunk * chunk;
    return window == 0 ? 0 : std::max<std::int64_t>(0, end_key(i) - window);
  }
};
AttentionAxes attention_axes(const OpCase&);
// What the values are read from: of key j in slot s, v_dim elements from s * v_stride() on.
const Tensor& attention_values(const AttentionAxes&, const OpTensors&);
// [heads], f32; null without.
std::shared_ptr<const OwnedTensor> attention_sinks(const AttentionAxes&, const OpTensors&);
}  // namespace layercost
