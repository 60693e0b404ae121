// Where a layer's tensors lie, in files laid out by hand.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <cstring>
#include <numeric>

#include "harness/spec/checkpoint.h"
#include "tests/unit/spec_testing.h"

namespace layercost {
namespace {

using testing::bad_input;
using testing::contains;
using testing::TempDir;

template <class T>
std::string raw(T value) {
  std::string out(sizeof value, '\0');
  std::memcpy(out.data(), &value, sizeof value);
  return out;
}

struct F32Tensor {
  std::string name;
  Shape shape;
  float first;  // and one more from element to element
  std::string bytes() const {
    std::string out;
    for (std::int64_t i = 0; i < elements_of(shape); ++i) out += raw(first + static_cast<float>(i));
    return out;
  }
};

std::string safetensors(const std::vector<F32Tensor>& tensors) {
  std::string header = "{", data;
  for (const F32Tensor& t : tensors) {
    const std::string bytes = t.bytes();
    header += fmt::format(R"({}"{}":{{"dtype":"F32","shape":[{}],"data_offsets":[{},{}]}})", data.empty() ? "" : ",",
                          t.name, fmt::join(t.shape, ","), data.size(), data.size() + bytes.size());
    data += bytes;
  }
  header += "}";
  return raw(std::uint64_t{header.size()}) + header + data;
}

std::string text(const std::string& s) { return raw(std::uint64_t{s.size()}) + s; }
std::string gguf(const std::string& architecture, std::uint32_t heads, std::uint32_t kv_heads,
                 const std::vector<F32Tensor>& tensors) {
  std::string out = "GGUF" + raw(std::uint32_t{3}) + raw(std::uint64_t{tensors.size()}) + raw(std::uint64_t{3});
  out += text("general.architecture") + raw(std::uint32_t{8}) + text(architecture);
  out += text(architecture + ".attention.head_count") + raw(std::uint32_t{4}) + raw(heads);
  out += text(architecture + ".attention.head_count_kv") + raw(std::uint32_t{4}) + raw(kv_heads);
  std::string data;
  for (const F32Tensor& t : tensors) {
    out += text(t.name) + raw(static_cast<std::uint32_t>(t.shape.size()));
    for (auto d = t.shape.rbegin(); d != t.shape.rend(); ++d) out += raw(static_cast<std::uint64_t>(*d));
    out += raw(std::uint32_t{0}) + raw(std::uint64_t{data.size()});
    data += t.bytes();
    data.resize((data.size() + 31) / 32 * 32, '\0');
  }
  out.resize((out.size() + 31) / 32 * 32, '\0');
  return out + data;
}

std::vector<float> read(Checkpoint& c, const std::string& name, const Shape& shape) {
  std::vector<float> out(static_cast<std::size_t>(elements_of(shape)));
  c.read_f32(name, shape, out);
  return out;
}
std::vector<float> from(float first, std::size_t count) {
  std::vector<float> out(count);
  std::iota(out.begin(), out.end(), first);
  return out;
}

const std::string kMlp = "model.layers.0.mlp.";

TEST(Experts, ComeOneTensorEachOrAllInOneAndTheNameSaysWhich) {
  TempDir dir;
  Checkpoint one({dir.write("one.safetensors", safetensors({{kMlp + "experts.1.up_proj.weight", {2, 3}, 50}}))});
  EXPECT_EQ(read(one, kMlp + "experts.1.up_proj.weight", {2, 3}), from(50, 6));

  // Two experts, gate and up of 2 x 3, down of 3 x 2.
  Checkpoint all({dir.write("all.safetensors", safetensors({{kMlp + "experts.gate_up_proj", {2, 4, 3}, 0},
                                                            {kMlp + "experts.down_proj", {2, 3, 2}, 100}}))});
  EXPECT_EQ(read(all, kMlp + "experts.0.gate_proj.weight", {2, 3}), from(0, 6));
  EXPECT_EQ(read(all, kMlp + "experts.1.gate_proj.weight", {2, 3}), from(12, 6));
  EXPECT_EQ(read(all, kMlp + "experts.1.up_proj.weight", {2, 3}), from(18, 6));
  EXPECT_EQ(read(all, kMlp + "experts.1.down_proj.weight", {3, 2}), from(106, 6));
  EXPECT_TRUE(contains(bad_input([&] { read(all, kMlp + "experts.2.up_proj.weight", {2, 3}); }), "gate_up_proj: has"));

  // The other way round, as models of text and pictures store them: not guessed from the shape.
  Checkpoint other({dir.write("other.safetensors", safetensors({{kMlp + "experts.gate_up_proj", {2, 3, 4}, 0}}))});
  EXPECT_TRUE(contains(bad_input([&] {
                         read(other, kMlp + "experts.0.up_proj.weight", {2, 3});
                       }),
                       "other.safetensors: model.layers.0.mlp.experts.gate_up_proj: has the shape [2, 3, 4], expected "
                       "[experts, 4, 3]"));
  Checkpoint both({dir.write("both.safetensors", safetensors({{kMlp + "experts.gate_up_proj", {2, 4, 3}, 0},
                                                              {kMlp + "experts.0.up_proj.weight", {2, 3}, 0}}))});
  EXPECT_TRUE(contains(bad_input([&] { read(both, kMlp + "experts.0.up_proj.weight", {2, 3}); }), "both layouts"));
}

TEST(Experts, OfGgufGoByTwoNames) {
  TempDir dir;
  Checkpoint all({dir.write("all.gguf", gguf("qwen3moe", 1, 1, {{"blk.0.ffn_up_exps.weight", {2, 2, 3}, 0}}))});
  EXPECT_EQ(read(all, kMlp + "experts.1.up_proj.weight", {2, 3}), from(6, 6));
  EXPECT_TRUE(contains(bad_input([&] { read(all, kMlp + "experts.2.up_proj.weight", {2, 3}); }), "has the shape"));
  const std::string mixtral = "model.layers.0.block_sparse_moe.experts.1.w3.weight";
  EXPECT_EQ(read(all, mixtral, {2, 3}), from(6, 6));
  Checkpoint one({dir.write("one.gguf", gguf("llama", 1, 1, {{"blk.0.ffn_up.1.weight", {2, 3}, 40}}))});
  EXPECT_EQ(read(one, mixtral, {2, 3}), from(40, 6));
  Checkpoint both({dir.write(
      "both.gguf",
      gguf("llama", 1, 1, {{"blk.0.ffn_up.1.weight", {2, 3}, 40}, {"blk.0.ffn_up_exps.weight", {2, 2, 3}, 0}}))});
  EXPECT_TRUE(contains(bad_input([&] { read(both, mixtral, {2, 3}); }), "both layouts"));
}

TEST(GgufRows, OfQAndKOfLlamaAreInTurns) {
  TempDir dir;
  const std::vector<F32Tensor> tensors{{"blk.0.attn_q.weight", {8, 1}, 10},
                                       {"blk.0.attn_k.weight", {4, 1}, 20},
                                       {"blk.0.attn_v.weight", {4, 1}, 30},
                                       {"blk.0.attn_k.bias", {4}, 40}};
  const std::string a = "model.layers.0.self_attn.";
  Checkpoint llama({dir.write("llama.gguf", gguf("llama", 2, 1, tensors))});
  // Of a head of 4 the rows 0 1 2 3 are pairs (0, 2) and (1, 3).
  EXPECT_EQ(read(llama, a + "q_proj.weight", {8, 1}), (std::vector<float>{10, 12, 11, 13, 14, 16, 15, 17}));
  EXPECT_EQ(read(llama, a + "k_proj.weight", {4, 1}), (std::vector<float>{20, 22, 21, 23}));
  EXPECT_EQ(read(llama, a + "k_proj.bias", {4}), (std::vector<float>{40, 42, 41, 43}));
  EXPECT_EQ(read(llama, a + "v_proj.weight", {4, 1}), from(30, 4));
  Checkpoint qwen({dir.write("qwen.gguf", gguf("qwen3", 2, 1, tensors))});
  EXPECT_EQ(read(qwen, a + "q_proj.weight", {8, 1}), from(10, 8));
  Checkpoint odd({dir.write("odd.gguf", gguf("llama", 3, 1, tensors))});
  EXPECT_TRUE(contains(bad_input([&] { read(odd, a + "q_proj.weight", {8, 1}); }), "llama.attention.head_count"));
}

// What a matrix is packed into belongs to it; anything else of the layer does not.
TEST(Tensors, ThatNoMatrixOwnsAreFound) {
  TempDir dir;
  std::vector<F32Tensor> tensors;
  for (const char* name : {"self_attn.q_proj.qweight", "self_attn.q_proj.scales", "self_attn.q_proj.g_idx",
                           "self_attn.q_proj.bias", "mlp.up_proj.weight", "mlp.up_proj.weight_scale_inv",
                           "self_attn.rotary_emb.inv_freq", "mlp.experts.gate_up_proj_blocks", "mlp.sinks"})
    tensors.push_back({"model.layers.0." + std::string(name), {2}, 0});
  tensors.push_back({"model.layers.1.mlp.sinks", {2}, 0});
  Checkpoint c({dir.write("f.safetensors", safetensors(tensors))});
  EXPECT_EQ(
      c.unused("model.layers.0.", {"self_attn.q_proj.weight", "mlp.up_proj.weight", "mlp.experts.0.gate_proj.weight"}),
      (std::vector<std::string>{"model.layers.0.mlp.sinks", "model.layers.0.self_attn.q_proj.bias"}));
  Checkpoint g({dir.write("f.gguf", gguf("llama", 1, 1,
                                         {{"blk.0.attn_q.weight", {2, 3}, 0},
                                          {"blk.0.attn_q.bias", {2}, 0},
                                          {"blk.0.ffn_up_exps.weight", {2, 2, 3}, 0},
                                          {"blk.1.attn_q.bias", {2}, 0}}))});
  EXPECT_EQ(g.unused("model.layers.0.",
                     {"self_attn.q_proj.weight", "mlp.experts.0.up_proj.weight", "mlp.experts.1.up_proj.weight"}),
            std::vector<std::string>{"blk.0.attn_q.bias"});
}

TEST(GgufNames, ThatAreNotKnownAreRefused) {
  TempDir dir;
  Checkpoint c({dir.write("f.gguf", gguf("llama", 1, 1, {{"blk.0.attn_v.weight", {2, 3}, 0}}))});
  const auto said = [&](const char* name) { return bad_input([&] { read(c, name, {2, 3}); }); };
  EXPECT_EQ(said("model.layers.0.self_attn.v_proj.weight"), "");
  EXPECT_TRUE(contains(said("model.layers.1.self_attn.v_proj.weight"), "f.gguf: blk.1.attn_v.weight: no such tensor"));
  EXPECT_TRUE(contains(said("model.layers.0.self_attn.x_proj.weight"), "no name of GGUF is known"));
  EXPECT_TRUE(contains(said("model.layers.0.mlp.experts.0.x.weight"), "no name of GGUF is known"));
  EXPECT_TRUE(contains(said("score.weight"), "no tensor of a layer"));
  EXPECT_TRUE(contains(said("lm_head.weight"), "f.gguf: output.weight: no such tensor"));
}

}  // namespace
}  // namespace layercost
