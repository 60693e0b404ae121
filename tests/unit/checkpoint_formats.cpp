// Checkpoints that the public packages wrote (tests/formats/generate.py): every quantised matrix decodes, bit for bit,
// to what the package's own decoder makes of it, and a layer on its codes computes what transformers computes on the
// decoded values.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "harness/measure/layer_check.h"
#include "harness/measure/stored_model.h"
#include "kernels/contract/registry.h"
#include "kernels/core/random.h"
#include "kernels/core/sha256.h"
#include "tests/unit/spec_testing.h"

namespace layercost {
namespace {

namespace fs = std::filesystem;
using testing::bad_input;
using testing::contains;
using testing::TempDir;

const fs::path kFormats = fs::path(LAYERCOST_SOURCE_DIR) / "tests" / "formats";

std::vector<std::string> cases() {
  std::vector<std::string> out;
  for (const auto& entry : fs::directory_iterator(kFormats))
    if (fs::exists(entry.path() / "decoded.json")) out.push_back(entry.path().filename().string());
  std::sort(out.begin(), out.end());
  return out;
}

fs::path weights_of(const fs::path& folder) {
  return fs::exists(folder / "model.gguf") ? folder / "model.gguf" : folder;
}

DeviceInfo cpu() {
  for (const DeviceListing& l : list_devices())
    if (l.info.target == Target::cpu) return l.info;
  throw std::runtime_error("no CPU");
}

std::string sha256_of(const std::vector<float>& values) {
  return sha256_hex({reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)});
}

struct Decoded {
  const WeightFormat* format;
  std::vector<float> values;
  std::vector<float> divided;  // nvfp4 of compressed-tensors: as it decodes, by a division
};

float global_scale(const fs::path& folder, const std::string& module) {
  CheckpointReader reader(folder);
  float scale = 0;
  reader.file_of(module + ".weight_global_scale").read_f32(module + ".weight_global_scale", {&scale, 1});
  return scale;
}

Decoded decode(Checkpoint& checkpoint, const ModelSpec& model, const std::string& name, const Shape& shape,
               const fs::path& folder) {
  const WeightFormat* f = nullptr;
  if (checkpoint.is_gguf()) f = checkpoint.stored_format(name);
  else if (const auto s = model.quantization->scheme_of(name.substr(0, name.size() - 7))) f = s->format;
  if (f == nullptr) throw std::runtime_error(name + " is plain");
  CodedWeight w(*f, shape);
  const float factor = checkpoint.read_coded(
      name, {f,
             w.rows,
             w.columns,
             {w.codes.data(), static_cast<std::size_t>(w.rows * f->row_bytes(w.columns))},
             {w.scales.data(), static_cast<std::size_t>(f->blocks_of(w.rows, w.columns) * f->scale_bytes)}});
  if (f->has_factor) w.factors[0] = factor;
  Decoded out{f, std::vector<float>(static_cast<std::size_t>(w.rows * w.columns)), {}};
  for (std::int64_t r = 0; r < w.rows; ++r) w.decode(r, 0, w.columns, out.values.data() + r * w.columns);
  if (folder.filename() == "ct_nvfp4") {
    const float divisor = global_scale(folder, name.substr(0, name.size() - 7));
    out.divided = out.values;
    for (std::size_t i = 0; i < out.values.size(); ++i) {
      const auto code = static_cast<unsigned>(w.codes.data()[i / 2]) >> (i % 2 == 0 ? 0 : 4) & 15u;
      const float scale = from_e4m3(static_cast<std::uint8_t>(w.scales.data()[i / 16]));
      out.divided[i] = scale / divisor * f->table[code];
    }
  }
  return out;
}

class Format : public ::testing::TestWithParam<std::string> {};

TEST_P(Format, DecodesToWhatItsPackageDecodes) {
  const fs::path folder = kFormats / GetParam();
  const ModelSpec model = read_model(folder);
  Checkpoint checkpoint({weights_of(folder)}, model.quantization);
  std::ifstream in(folder / "decoded.json");
  const auto expected = nlohmann::json::parse(in).at("matrices");
  ASSERT_GE(expected.size(), 7u);
  for (const auto& [name, matrix] : expected.items()) {
    Decoded got = decode(checkpoint, model, name, matrix.at("shape").get<Shape>(), folder);
    const auto first = matrix.at("first").get<std::vector<float>>();
    if (GetParam() == "ct_nvfp4") {
      // The division there, the product with the inverse here: bits of the one, a unit of the last place of the other.
      EXPECT_EQ(sha256_of(got.divided), matrix.at("sha256")) << name;
      for (std::size_t i = 0; i < got.values.size(); ++i)
        ASSERT_LE(std::abs(got.values[i] - got.divided[i]), std::ldexp(std::abs(got.divided[i]), -22))
            << name << " " << i;
      continue;
    }
    if (GetParam() == "modelopt_nvfp4")  // which decodes the code of -0 to 0
      for (float& v : got.values) v += 0.0f;
    EXPECT_EQ(std::vector<float>(got.values.begin(), got.values.begin() + 4), first) << name;
    EXPECT_EQ(sha256_of(got.values), matrix.at("sha256")) << name;
  }
}

TEST_P(Format, ALayerOnItsCodesComputesWhatTransformersComputes) {
  const fs::path folder = kFormats / GetParam();
  const ModelSpec model = read_model(folder);
  const LayerIo io = read_layer_io(folder / "io_layer0.safetensors", model.hidden);
  Runtime runtime(cpu());
  for (const DType type : {DType::f32, DType::bf16}) {
    Checkpoint checkpoint({weights_of(folder)}, model.quantization);
    for (const LayerCheckRow& r : check_against_io(model, 0, checkpoint, io, type, runtime)) {
      EXPECT_TRUE(r.verdict.ok) << to_string(type) << " " << r.mode << ": " << r.verdict.why;
      EXPECT_LE(r.verdict.rel_l2, type == DType::f32 ? 1e-5 : 3e-2) << to_string(type) << " " << r.mode;
    }
    for (const LayerCheckRow& r : check_against_references(model, 0, checkpoint, type, runtime))
      EXPECT_TRUE(r.verdict.ok) << to_string(type) << " " << r.mode << ": " << r.verdict.why;
  }
}

// A copy of a case in which bytes of its tensors were exchanged.
class Copy {
 public:
  explicit Copy(const std::string& name) : source_(kFormats / name) {
    for (const auto& file : fs::directory_iterator(source_)) fs::copy(file, dir_.path());
  }
  const fs::path& path() const { return dir_.path(); }
  // f(name without the module, bytes) for every tensor of every file.
  template <class F>
  void edit(const F& f) const {
    for (const auto& entry : fs::directory_iterator(dir_.path())) {
      const fs::path& path = entry.path();
      if (path.filename().string().starts_with("model") && path.extension() != ".json") edit_file(path, f);
    }
  }
  // Whether the layer still computes what it should.
  bool agrees() const {
    const ModelSpec model = read_model(dir_.path());
    const LayerIo io = read_layer_io(dir_.path() / "io_layer0.safetensors", model.hidden);
    Checkpoint checkpoint({weights_of(dir_.path())}, model.quantization);
    Runtime runtime(cpu());
    for (const LayerCheckRow& r : check_against_io(model, 0, checkpoint, io, DType::bf16, runtime))
      if (!r.verdict.ok) return false;
    return true;
  }
  std::string refusal() const {
    return bad_input([&] { agrees(); });
  }

 private:
  template <class F>
  static void edit_file(const fs::path& path, const F& f) {
    std::string bytes;
    {
      std::ifstream in(path, std::ios::binary);
      bytes.assign(std::istreambuf_iterator<char>(in), {});
    }
    const auto part = [&](const std::string& name, std::uint64_t begin, std::uint64_t size) {
      f(name, std::span(reinterpret_cast<std::uint8_t*>(bytes.data()) + begin, static_cast<std::size_t>(size)));
    };
    if (path.extension() == ".gguf") {
      const GgufFile file(path);
      for (const auto& [name, t] : file.header().tensors)
        part(fmt::format("{} {}", t.type->name, name), file.header().data_start + t.offset, t.bytes);
    } else {
      std::uint64_t header = 0;
      std::memcpy(&header, bytes.data(), 8);
      const SafetensorsHeader h =
          parse_safetensors_header("copy", std::string_view(bytes).substr(8, header), bytes.size() - 8 - header);
      for (const auto& [name, t] : h.tensors) part(name, 8 + header + t.begin, t.end - t.begin);
    }
    std::ofstream out(path, std::ios::binary);
    out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  }

  TempDir dir_;
  fs::path source_;
};

using Bytes = std::span<std::uint8_t>;
void swap_nibbles(Bytes b) {
  for (auto& v : b) v = static_cast<std::uint8_t>(v << 4 | v >> 4);
}
void swap_neighbours(Bytes b) {
  for (std::size_t i = 0; i + 1 < b.size(); i += 2) std::swap(b[i], b[i + 1]);
}
// Everything moves on by one element of `size` bytes.
void move_on(Bytes b, std::size_t size) {
  std::rotate(b.begin(), b.begin() + static_cast<std::ptrdiff_t>(size), b.end());
}
void add_one(Bytes b) {
  for (auto& v : b) ++v;
}
void add_one_to_nibbles(Bytes b) {
  for (auto& v : b) v = static_cast<std::uint8_t>(((v + 1) & 15) | ((v + 16) & 0xf0));
}
// Of blocks of `size` bytes, what lies from `at` on.
template <class F>
void of_blocks(Bytes b, std::size_t size, std::size_t at, std::size_t count, const F& f) {
  for (std::size_t i = 0; i + size <= b.size(); i += size) f(b.subspan(i + at, count));
}

TEST(PlantedFaults, AreSeenInEveryFormat) {
  struct Fault {
    const char *folder, *tensor;  // that the name holds
    const char* what;
    void (*plant)(Bytes);
  };
  const Fault faults[] = {
      {"fp8_block", "proj.weight_scale_inv", "scale of the neighbour",
       [](Bytes b) {
         if (b.size() > 4) move_on(b, 4);
       }},
      {"fp8_block", "proj.weight", "codes in turns",
       [](Bytes b) {
         if (b.size() > 64) swap_neighbours(b);
       }},
      {"ct_fp8_channel", "proj.weight_scale", "scale of the row above", [](Bytes b) { move_on(b, 4); }},
      {"ct_int4_g128", ".weight_packed", "nibbles swapped", swap_nibbles},
      {"ct_int4_g128", ".weight_scale", "scale of the neighbour", [](Bytes b) { move_on(b, 2); }},
      {"ct_int4_g32_zp", ".weight_zero_point", "zero points off by one", add_one_to_nibbles},
      {"ct_int4_g32_zp", ".weight_zero_point", "zero points of the row above", swap_nibbles},
      {"ct_mxfp4", ".weight_scale", "bias of e8m0 off by one", add_one},
      {"ct_mxfp4", ".weight_packed", "nibbles swapped", swap_nibbles},
      {"mxfp4_blocks", "_scales", "bias of e8m0 off by one", add_one},
      {"mxfp4_blocks", "_blocks", "nibbles swapped", swap_nibbles},
      {"ct_nvfp4", ".weight_packed", "nibbles swapped", swap_nibbles},
      {"ct_nvfp4", ".weight_scale", "scale of the neighbour", [](Bytes b) { move_on(b, 1); }},
      {"modelopt_nvfp4", ".weight_scale", "scale of the neighbour",
       [](Bytes b) {
         if (b.size() > 4) move_on(b, 1);
       }},
      {"awq_g32", ".qweight", "nibbles swapped", swap_nibbles},
      {"awq_g32", ".qzeros", "zero points off by one", add_one_to_nibbles},
      {"awq_g32", ".scales", "scale of the neighbour", [](Bytes b) { move_on(b, 2); }},
      {"gptq_g32", ".qweight", "nibbles swapped", swap_nibbles},
      {"gptq_g32", ".qzeros", "zero points off by one", add_one_to_nibbles},
      {"gptq_g128_sym", ".scales", "scale of the neighbour", [](Bytes b) { move_on(b, 2); }},
      {"gguf_q8_0", "Q8_0", "codes in turns", [](Bytes b) { of_blocks(b, 34, 2, 32, swap_neighbours); }},
      {"gguf_q4_0", "Q4_0", "nibbles swapped", [](Bytes b) { of_blocks(b, 18, 2, 16, swap_nibbles); }},
      {"gguf_q4_k", "Q4_K", "nibbles swapped", [](Bytes b) { of_blocks(b, 144, 16, 128, swap_nibbles); }},
      {"gguf_q4_k", "Q4_K", "scale of the neighbour",
       [](Bytes b) { of_blocks(b, 144, 4, 4, [](Bytes s) { move_on(s, 1); }); }},
      {"gguf_q5_k_m", "Q5_K", "upper bits of the neighbour",
       [](Bytes b) { of_blocks(b, 176, 16, 32, [](Bytes s) { move_on(s, 1); }); }},
      {"gguf_q5_k_m", "Q5_K", "nibbles swapped", [](Bytes b) { of_blocks(b, 176, 48, 128, swap_nibbles); }},
      {"gguf_q5_k_m", "Q6_K", "nibbles swapped", [](Bytes b) { of_blocks(b, 210, 0, 128, swap_nibbles); }},
      {"gguf_q5_k_m", "Q6_K", "upper bits of the neighbour", [](Bytes b) { of_blocks(b, 210, 128, 64, swap_nibbles); }},
      {"gguf_q5_k_m", "Q6_K", "scale of the neighbour",
       [](Bytes b) { of_blocks(b, 210, 192, 16, [](Bytes s) { move_on(s, 1); }); }},
      {"gguf_q4_k_m_experts", "Q6_K blk.0.ffn_down_exps", "scale of the neighbour",
       [](Bytes b) { of_blocks(b, 210, 192, 16, [](Bytes s) { move_on(s, 1); }); }},
      {"gguf_mxfp4_experts", "MXFP4", "bias of e8m0 off by one", [](Bytes b) { of_blocks(b, 17, 0, 1, add_one); }},
  };
  for (const Fault& fault : faults) {
    const Copy copy(fault.folder);
    ASSERT_TRUE(copy.agrees()) << fault.folder;
    int planted = 0;
    copy.edit([&](const std::string& name, Bytes bytes) {
      if (!contains(name, fault.tensor) || contains(name, "global") || contains(name, "scale_2")) return;
      fault.plant(bytes);
      ++planted;
    });
    EXPECT_GT(planted, 0) << fault.folder << " " << fault.tensor;
    EXPECT_FALSE(copy.agrees()) << fault.folder << ": " << fault.what;
  }
}

TEST(GptqV2, StoresZeroPointsAsTheyAre) {
  const Copy copy("gptq_g32");
  copy.edit([](const std::string& name, Bytes bytes) {
    if (contains(name, ".qzeros")) add_one_to_nibbles(bytes);
  });
  EXPECT_FALSE(copy.agrees());
  const fs::path config = copy.path() / "config.json";
  std::stringstream text;
  text << std::ifstream(config).rdbuf();
  const std::string v2 =
      testing::replaced(text.str(), "\"checkpoint_format\": \"gptq\"", "\"checkpoint_format\": \"gptq_v2\"");
  std::ofstream(config) << v2;
  EXPECT_TRUE(copy.agrees());
}

// Whatever bytes a file holds and wherever it ends: values or one line that refuses it. Sanitizers watch in cpu-asan.
TEST_P(Format, ADamagedFileIsReadOrRefused) {
  std::uint64_t state = 1;
  const auto random = [&](std::uint64_t below) { return hash64(7, state++) % below; };
  int refused = 0;
  constexpr int kCopies = 24;
  for (int i = 0; i < kCopies; ++i) {
    const Copy copy(GetParam());
    for (const auto& entry : fs::directory_iterator(copy.path())) {
      const fs::path& path = entry.path();
      if (!path.filename().string().starts_with("model")) continue;
      const auto size = fs::file_size(path);
      {
        std::fstream io(path, std::ios::in | std::ios::out | std::ios::binary);
        for (std::uint64_t n = 1 + random(4); n > 0; --n) {
          // Half of them near the beginning, where the header is.
          io.seekp(static_cast<std::streamoff>(random(random(2) == 0 ? size : std::min<std::uint64_t>(size, 4096))));
          io.put(static_cast<char>(random(256)));
        }
      }
      if (random(4) == 0) fs::resize_file(path, random(size));
    }
    const std::string said = bad_input([&] {
      const ModelSpec model = read_model(copy.path());
      Checkpoint checkpoint({weights_of(copy.path())}, model.quantization);
      std::ifstream in(copy.path() / "decoded.json");
      const auto decoded = nlohmann::json::parse(in);  // held: items() refers to it
      for (const auto& [name, matrix] : decoded.at("matrices").items())
        if (!checkpoint.is_gguf() || checkpoint.stored_format(name) != nullptr)
          decode(checkpoint, model, name, matrix.at("shape").get<Shape>(), {});
    });
    refused += said.empty() ? 0 : 1;
    EXPECT_FALSE(contains(said, "\n"));
  }
  EXPECT_GT(refused, 0);  // all of them where a file is mostly header
}

void put_f32(Bytes b, float v) { std::memcpy(b.data(), &v, sizeof v); }
void put_u16(Bytes b, std::uint16_t v) { std::memcpy(b.data(), &v, sizeof v); }

TEST(BadWeights, AreRefusedWithFileTensorAndExpectation) {
  struct Row {
    const char *folder, *tensor, *what;
    void (*plant)(Bytes);
    std::vector<const char*> said;
  };
  const Row rows[] = {
      {"fp8_block",
       "q_proj.weight_scale_inv",
       "NaN",
       [](Bytes b) { put_f32(b, std::nanf("")); },
       {"model.safetensors: model.layers.0.self_attn.q_proj.weight_scale_inv: scale 0 is nan", "positive, finite"}},
      {"fp8_block", "q_proj.weight_scale_inv", "zero", [](Bytes b) { put_f32(b, 0); }, {"scale 0 is 0"}},
      {"fp8_block", "q_proj.weight_scale_inv", "negative", [](Bytes b) { put_f32(b, -1); }, {"scale 0 is -1"}},
      {"fp8_block", "q_proj.weight_scale_inv", "infinite", [](Bytes b) { put_f32(b, INFINITY); }, {"scale 0 is inf"}},
      {"fp8_block",
       "q_proj.weight",
       "a code that is NaN",
       [](Bytes b) {
         if (b.size() > 64) b[3] = 0xff;
       },
       {"q_proj.weight: element 3 is NaN"}},
      {"ct_nvfp4", "q_proj.weight_scale", "zero", [](Bytes b) { b[1] = 0; }, {"q_proj.weight_scale: scale 1 is 0"}},
      {"ct_nvfp4", "q_proj.weight_scale", "NaN", [](Bytes b) { b[1] = 0x7f; }, {"scale 1 is nan"}},
      {"ct_nvfp4",
       "q_proj.weight_global_scale",
       "zero",
       [](Bytes b) { put_f32(b, 0); },
       {"weight_global_scale: scale 0"}},
      {"ct_nvfp4",
       "q_proj.weight_global_scale",
       "of its own",
       [](Bytes b) { put_f32(b, 3); },
       {"k_proj.weight: has the factor", "expected one factor"}},
      {"ct_mxfp4",
       "q_proj.weight_scale",
       "NaN",
       [](Bytes b) { b[5] = 255; },
       {"weight_scale: scale 5 is 255, which is NaN"}},
      {"mxfp4_blocks", "down_proj_scales", "NaN", [](Bytes b) { b[5] = 255; }, {"down_proj_scales: ", "NaN"}},
      {"ct_int4_g32_zp",
       "q_proj.weight_shape",
       "another",
       [](Bytes b) { b[0] = 7; },
       {"weight_shape: says 7, expected 128"}},
      {"awq_g32", "o_proj.scales", "NaN", [](Bytes b) { put_u16(b, 0x7e00); }, {"o_proj.scales: scale 0 is nan"}},
      {"gptq_g128_sym", "o_proj.qzeros", "not 8", [](Bytes b) { b[0] = 0x70; }, {"o_proj.qzeros: row 0", "expected 8"}},
      {"gptq_g32",
       "o_proj.g_idx",
       "another order",
       [](Bytes b) { b[0] = 1; },
       {"o_proj.g_idx: column 0 is of group 1, expected 0", "desc_act"}},
      {"gguf_q8_0",
       "Q8_0 blk.0.attn_v",
       "infinite",
       [](Bytes b) { put_u16(b, 0x7c00); },
       {"model.gguf: blk.0.attn_v.weight: a scale is inf"}},
      {"gguf_q4_k",
       "Q4_K blk.0.attn_v",
       "NaN minimum",
       [](Bytes b) { put_u16(b.subspan(2), 0x7e00); },
       {"a scale is nan"}},
      {"gguf_q5_k_m",
       "Q5_K blk.0.attn_q",
       "NaN minimum",
       [](Bytes b) { put_u16(b.subspan(2), 0x7e00); },
       {"blk.0.attn_q.weight: a scale is nan"}},
      {"gguf_q5_k_m",
       "Q6_K blk.0.attn_v",
       "infinite",
       [](Bytes b) { put_u16(b.subspan(208), 0xfc00); },
       {"blk.0.attn_v.weight: a scale is -inf"}},
  };
  for (const Row& row : rows) {
    const Copy copy(row.folder);
    copy.edit([&](const std::string& name, Bytes bytes) {
      if (contains(name, row.tensor)) row.plant(bytes);
    });
    const std::string said = copy.refusal();
    for (const char* part : row.said)
      EXPECT_TRUE(contains(said, part)) << row.folder << " " << row.what << ": " << said;
  }
}

// Matrices of several types that are multiplied with as one: a product each, which fill one output.
TEST(MixedTypes, AProductOfEachFormat) {
  const auto plan_of = [](const char* folder) {
    ModelSpec model = read_model(kFormats / folder);
    const StoredModel stored(model, {weights_of(kFormats / folder)});
    StepShape shape;
    shape.weights = stored.weights(DType::bf16);
    return plan_layer(model, model.kinds.at(0), shape);
  };
  const auto ops_of = [](const LayerPlan& plan) {
    std::map<std::string, std::string> out;
    for (const PlannedOp& p : plan.ops) out[p.component] = p.op_case.text();
    return out;
  };
  const LayerPlan dense = plan_of("gguf_q5_k_m");
  const auto ops = ops_of(dense);
  const std::string types = " x_type=bf16 w_type=";
  EXPECT_EQ(ops.at("q k"), "linear m=1 n=320 k=256" + types + "q5_k y_type=bf16 y_width=384 y_first=0");
  EXPECT_EQ(ops.at("v"), "linear m=1 n=64 k=256" + types + "q6_k y_type=bf16 y_width=384 y_first=320");
  EXPECT_EQ(ops.at("gate_up"), "linear m=1 n=512 k=256" + types + "q5_k y_type=bf16");
  EXPECT_EQ(ops.at("down"), "linear m=1 n=256 k=256" + types + "q6_k y_type=bf16 residual=1");
  EXPECT_FALSE(ops.contains("qkv"));
  // 256 elements in 176 bytes (q k, gate_up, o) or 210 (v, down); norms of 256, 256, 32 and 32 in bf16.
  EXPECT_EQ(dense.weight_bytes(), (320 + 512 + 256) * 176 + (64 + 256) * 210 + 2 * (256 + 256 + 32 + 32));
  double of_ops = 0;
  for (const PlannedOp& p : dense.ops) of_ops += find_op(p.op_case.op()).work(p.op_case, {}).weight_bytes;
  EXPECT_EQ(of_ops, dense.weight_bytes());
  const auto experts = ops_of(plan_of("gguf_q4_k_m_experts")).at("experts");
  EXPECT_TRUE(contains(experts, "w_type=q4_k") && contains(experts, "down_type=q6_k")) << experts;
}

// gate and up of experts are one matrix in every kernel.
TEST(MixedTypes, OfExpertsGateAndUpNeedOneFormat) {
  const Copy copy("gguf_q4_k_m_experts");
  const fs::path path = copy.path() / "model.gguf";
  std::string bytes;
  {
    std::ifstream in(path, std::ios::binary);
    bytes.assign(std::istreambuf_iterator<char>(in), {});
  }
  // Name, three axes (4 + 3 * 8 bytes), the type: Q4_K (12) to Q4_0 (2), whose 256 elements take 144 bytes, too.
  const std::string name = "blk.0.ffn_up_exps.weight";
  const std::size_t at = bytes.find(name) + name.size() + 28;
  ASSERT_EQ(bytes[at], 12);
  bytes[at] = 2;
  std::ofstream(path, std::ios::binary) << bytes;
  const std::string said = copy.refusal();
  EXPECT_TRUE(contains(said, "experts.0.up_proj.weight: is q4_0") && contains(said, "gate_proj.weight is q4_k") &&
              contains(said, "need one format"))
      << said;
}

INSTANTIATE_TEST_SUITE_P(Packages, Format, ::testing::ValuesIn(cases()), [](const auto& p) { return p.param; });

}  // namespace
}  // namespace layercost
