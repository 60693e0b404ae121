// SPDX-License-Identifier: Apache-2.0
#include "harness/spec/checkpoint.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <set>
#include <system_error>

#include "kernels/core/error.h"

namespace layercost {
namespace {

// Of a layer's tensors: Hugging Face's name without ".weight" or ".bias", and GGUF's.
const std::map<std::string_view, std::string_view> kGgufNames{{"input_layernorm", "attn_norm"},
                                                              {"post_attention_layernorm", "ffn_norm"},
                                                              {"self_attn.q_proj", "attn_q"},
                                                              {"self_attn.k_proj", "attn_k"},
                                                              {"self_attn.v_proj", "attn_v"},
                                                              {"self_attn.o_proj", "attn_output"},
                                                              {"self_attn.q_norm", "attn_q_norm"},
                                                              {"self_attn.k_norm", "attn_k_norm"},
                                                              {"mlp.gate_proj", "ffn_gate"},
                                                              {"mlp.up_proj", "ffn_up"},
                                                              {"mlp.down_proj", "ffn_down"},
                                                              {"mlp.gate", "ffn_gate_inp"},
                                                              {"block_sparse_moe.gate", "ffn_gate_inp"}};
const std::map<std::string_view, std::string_view> kGgufExpertNames{{"gate_proj", "ffn_gate"}, {"up_proj", "ffn_up"},
                                                                    {"down_proj", "ffn_down"}, {"w1", "ffn_gate"},
                                                                    {"w3", "ffn_up"},          {"w2", "ffn_down"}};

constexpr std::pair<std::string_view, std::string_view> kGgufHeadNames[] = {
    {"model.norm.weight", "output_norm.weight"},
    {"lm_head.weight", "output.weight"},
    {"model.embed_tokens.weight", "token_embd.weight"}};

// What a quantised matrix may consist of, behind its module's name; scales of the input are not read.
constexpr const char* kParts[] = {".weight_scale_inv",
                                  ".weight_scale",
                                  ".weight_packed",
                                  ".weight_global_scale",
                                  ".weight_zero_point",
                                  ".weight_shape",
                                  ".weight_scale_2",
                                  ".weight_g_idx",
                                  ".input_scale",
                                  ".input_global_scale",
                                  ".qweight",
                                  ".qzeros",
                                  ".scales",
                                  ".g_idx"};

// "...experts.5.up_proj.weight": what stands before the number, the number, and the matrix's name.
struct ExpertName {
  std::string before, matrix, suffix;
  std::int64_t expert = 0;
};
std::optional<ExpertName> expert_name(const std::string& name) {
  const std::size_t at = name.find(".experts.");
  if (at == std::string::npos) return std::nullopt;
  ExpertName out;
  out.before = name.substr(0, at + 9);
  const char* const begin = name.data() + at + 9;
  const char* const end = name.data() + name.size();
  const auto [rest, error] = std::from_chars(begin, end, out.expert);
  if (error != std::errc() || rest == end || *rest != '.') return std::nullopt;
  out.matrix.assign(rest + 1, end);
  const std::size_t dot = out.matrix.find('.');
  if (dot == std::string::npos) return std::nullopt;
  out.suffix = out.matrix.substr(dot);
  out.matrix.resize(dot);
  return out;
}

std::string module_of(const std::string& name) {
  return name.ends_with(".weight") ? name.substr(0, name.size() - 7) : name;
}

}  // namespace

Checkpoint::Checkpoint(const std::vector<std::filesystem::path>& paths,
                       std::shared_ptr<const Quantization> quantization)
    : quantization_(std::move(quantization)) {
  if (paths.size() != 1)
    for (const std::filesystem::path& path : paths)
      if (path.extension() == ".gguf")
        throw BadInput(path.string(), "", fmt::format("one of {} files; expected a GGUF file alone", paths.size()));
  if (paths.size() != 1) safetensors_ = std::make_unique<CheckpointReader>(paths);
  else if (paths.front().extension() == ".gguf") gguf_ = std::make_unique<GgufFile>(paths.front());
  else safetensors_ = std::make_unique<CheckpointReader>(paths.front());
  if (gguf_ && gguf_->find_int("split.count").value_or(1) > 1)
    throw BadInput(gguf_->path(), "split.count",
                   fmt::format("is one of {} parts of a file; expected the whole (llama-gguf-split --merge)",
                               *gguf_->find_int("split.count")));
  if (gguf_ && quantization_)
    throw BadInput(
        quantization_->place(), "",
        fmt::format("says {}, but {} is a GGUF file, whose types are its own: two methods in one checkpoint; "
                    "expected the config of the unquantised model",
                    quantization_->method(), gguf_->path()));
}

const std::string& Checkpoint::source() const { return gguf_ ? gguf_->path() : safetensors_->source(); }

std::vector<std::string> Checkpoint::names() const { return gguf_ ? gguf_->names() : safetensors_->names(); }

bool Checkpoint::has(const std::string& name) const {
  return gguf_ ? gguf_->has(gguf_place(name).tensor) : safetensors_->has(name);
}

std::vector<std::string> Checkpoint::unused(const std::string& place, const std::vector<std::string>& sources) const {
  std::set<std::string> used;
  std::string below = place;
  for (const std::string& source : sources) {
    const Place p = this->place(place + source, 1);
    used.insert(p.tensor);
    if (gguf_) {
      below = p.tensor.substr(0, p.tensor.find('.', 4) + 1);  // "blk.3."
      continue;
    }
    if (p.matrix) used.insert({p.tensor + "_blocks", p.tensor + "_scales"});
    for (const char* part : kParts) used.insert(module_of(place + source) + part);
  }
  std::vector<std::string> out;
  for (const std::string& name : names())
    if (name.starts_with(below) && !used.contains(name) && !name.ends_with("rotary_emb.inv_freq"))
      out.push_back(printable(name));
  return out;
}

Checkpoint::Place Checkpoint::gguf_place(const std::string& name) const {
  for (const auto& [usual, stored] : kGgufHeadNames)
    if (name == usual) return {std::string(stored)};
  const std::size_t at = name.find("layers.");
  std::int64_t layer = 0;
  const char* const end = name.data() + name.size();
  const char* rest = end;
  if (at != std::string::npos) rest = std::from_chars(name.data() + at + 7, end, layer).ptr;
  if (rest == end || *rest != '.') throw BadInput(gguf_->path(), name, "no tensor of a layer");
  const std::string part(rest + 1, end), block = fmt::format("blk.{}.", layer);
  if (const auto expert = expert_name(part)) {
    const auto found = kGgufExpertNames.find(expert->matrix);
    if (found == kGgufExpertNames.end()) throw BadInput(gguf_->path(), name, "no name of GGUF is known for it");
    const std::string all = fmt::format("{}{}_exps{}", block, found->second, expert->suffix),
                      one = fmt::format("{}{}.{}{}", block, found->second, expert->expert, expert->suffix);
    if (gguf_->has(one) && gguf_->has(all))
      throw BadInput(gguf_->path(), all, fmt::format("stands beside {}: experts in both layouts", one));
    if (gguf_->has(one)) return {one};
    return {all, expert->expert};
  }
  const std::size_t dot = part.rfind('.');
  const auto found =
      dot == std::string::npos ? kGgufNames.end() : kGgufNames.find(std::string_view(part).substr(0, dot));
  if (found == kGgufNames.end()) throw BadInput(gguf_->path(), name, "no name of GGUF is known for it");
  return {fmt::format("{}{}{}", block, found->second, part.substr(dot))};
}

Checkpoint::Place Checkpoint::place(const std::string& name, std::int64_t rows) const {
  if (gguf_) return gguf_place(name);
  const auto expert = expert_name(name);
  if (!expert) return {name};
  // All experts' first matrices are one tensor, gate above up, or in turns; their last another.
  const bool down = expert->matrix == "down_proj", bias = expert->suffix == ".bias";
  const std::string fused = expert->before + (down ? "down_proj" : "gate_up_proj") + (bias ? "_bias" : "");
  const bool in_turns = safetensors_->has(expert->before + "gate_up_proj_bias");
  const bool has_fused = safetensors_->has(fused) || safetensors_->has(fused + "_blocks");
  const bool known = down || expert->matrix == "gate_proj" || expert->matrix == "up_proj";
  if (!has_fused || !known) return {name};
  if (safetensors_->has(name))
    throw BadInput(safetensors_->file_of(name).path(), name,
                   fmt::format("stands beside {}: experts in both layouts", fused));
  const bool up = expert->matrix == "up_proj";
  if (expert->before.ends_with("feed_forward.experts.")) return {fused, expert->expert, up ? rows : 0, 1, true};
  if (!in_turns) return {fused, expert->expert, up ? rows : 0};
  return {fused, expert->expert, up ? 1 : 0, down ? 1 : 2, !bias};
}

std::int64_t Checkpoint::gguf_row(const Place& p, std::int64_t rows, std::int64_t row) const {
  const bool q = p.tensor.find(".attn_q.") != std::string::npos, k = p.tensor.find(".attn_k.") != std::string::npos;
  if ((!q && !k) || gguf_->find_string("general.architecture") != "llama") return row;
  auto heads = gguf_->find_int("llama.attention.head_count");
  if (k)
    if (const auto own = gguf_->find_int("llama.attention.head_count_kv")) heads = own;
  if (!heads || *heads < 1 || rows % *heads != 0 || rows / *heads % 2 != 0)
    throw BadInput(gguf_->path(), p.tensor,
                   fmt::format("{} rows do not divide into the heads that llama.attention.head_count{} says", rows,
                               k ? "_kv" : ""));
  const std::int64_t dim = rows / *heads, half = dim / 2, head = row / dim, in_head = row % dim;
  return head * dim + in_head % half * 2 + in_head / half;
}

const WeightFormat* Checkpoint::stored_format(const std::string& name) const {
  const Place p = gguf_place(name);
  const GgufType& type = *gguf_->tensor(p.tensor).type;
  if (is_plain(type)) return nullptr;
  if (const WeightFormat* f = format_of(type)) return f;
  throw BadInput(gguf_->path(), p.tensor,
                 fmt::format("weights of type {} are not supported; known are {}", type.name, kKnownGgufTypes));
}

// f(row, its bytes in the file) for all rows.
template <class F>
void Checkpoint::for_gguf_rows(const std::string& name, const Shape& shape, const F& f) const {
  const Place p = gguf_place(name);
  const GgufTensor& t = gguf_->tensor(p.tensor);
  Shape expected = shape;
  if (p.matrix) expected.insert(expected.begin(), t.shape.size() == 3 ? t.shape[0] : *p.matrix + 1);
  if (t.shape != expected || (p.matrix && *p.matrix >= t.shape[0]))
    throw BadInput(gguf_->path(), p.tensor,
                   fmt::format("has the shape {}, expected {}", to_string(t.shape), to_string(expected)));
  const std::int64_t rows = shape.size() > 1 ? shape[0] : 1, columns = shape.back();
  const std::uint64_t row_bytes = static_cast<std::uint64_t>(columns / t.type->block) * t.type->block_bytes;
  std::vector<std::byte> all(static_cast<std::size_t>(rows) * row_bytes);
  gguf_->read_bytes_part(p.tensor, static_cast<std::uint64_t>(p.matrix.value_or(0)) * all.size(), all);
  for (std::int64_t r = 0; r < rows; ++r) {
    const auto from = static_cast<std::size_t>(shape.size() > 1 ? gguf_row(p, rows, r) : 0);
    f(r, *t.type, std::span<const std::byte>(all).subspan(from * row_bytes, row_bytes), p.tensor);
  }
}

void Checkpoint::read_f32(const std::string& name, std::span<const std::int64_t> shape, std::span<float> out) {
  if (gguf_) {
    const auto columns = static_cast<std::size_t>(shape.back());
    for_gguf_rows(
        name, Shape(shape.begin(), shape.end()),
        [&](std::int64_t r, const GgufType& type, std::span<const std::byte> bytes, const std::string& tensor) {
          if (!is_plain(type))
            throw BadInput(gguf_->path(), tensor, fmt::format("is of type {}, expected plain values", type.name));
          convert_gguf_row(type, bytes, out.subspan(static_cast<std::size_t>(r) * columns, columns));
        });
    // Of biases a head's halves are in turns as of rows.
    if (shape.size() == 1) {
      const std::vector<float> stored(out.begin(), out.end());
      const Place p = gguf_place(name);
      for (std::size_t i = 0; i < out.size(); ++i)
        out[i] = stored[static_cast<std::size_t>(gguf_row(p, shape[0], static_cast<std::int64_t>(i)))];
    }
    return;
  }
  const Place p = place(name, shape.front());
  if (!p.matrix) return safetensors_->read_f32(p.tensor, shape, out);
  read_fused_f32(p, shape, out);
}

// Rows of one of several matrices in a tensor [experts, rows, columns], or elements of a bias in one [experts, rows].
void Checkpoint::read_fused_f32(const Place& p, std::span<const std::int64_t> shape, std::span<float> out) {
  const TensorInfo& t = safetensors_->info(p.tensor);
  const SafetensorsFile& file = safetensors_->file_of(p.tensor);
  const bool down = p.tensor.ends_with("down_proj") || p.tensor.ends_with("down_proj_bias");
  const std::int64_t rows = (down ? 1 : 2) * shape[0], columns = shape.size() > 1 ? shape[1] : 1;
  Shape one = {rows};
  if (shape.size() > 1) one.insert(p.input_first ? one.begin() : one.end(), columns);
  if (t.shape.size() != one.size() + 1 || t.shape[0] <= *p.matrix ||
      !std::equal(one.begin(), one.end(), t.shape.begin() + 1))
    throw BadInput(file.path(), p.tensor,
                   fmt::format("has the shape {}, expected [experts, {}]", to_string(t.shape), fmt::join(one, ", ")));
  const std::int64_t begin = *p.matrix * rows * columns;
  if (p.step == 1 && !p.input_first) return file.read_f32_part(p.tensor, begin + p.first_row * columns, out);
  std::vector<float> all(static_cast<std::size_t>(rows * columns));
  file.read_f32_part(p.tensor, begin, all);
  for (std::int64_t r = 0; r < shape[0]; ++r)
    for (std::int64_t c = 0; c < columns; ++c) {
      const std::int64_t row = p.first_row + r * p.step;
      out[static_cast<std::size_t>(r * columns + c)] =
          all[static_cast<std::size_t>(p.input_first ? c * rows + row : row * columns + c)];
    }
}

float Checkpoint::read_coded(const std::string& name, const CodedRows& out) {
  if (gguf_) {
    expect_fitting(out, gguf_->path(), name);
    for_gguf_rows(
        name, {out.rows, out.columns},
        [&](std::int64_t r, const GgufType& type, std::span<const std::byte> bytes, const std::string& tensor) {
          const WeightFormat& f = *out.format;
          if (format_of(type) != &f)
            throw BadInput(gguf_->path(), tensor, fmt::format("is of type {}, expected {}", type.name, f.name));
          unpack_gguf_row(type, bytes, out.columns, out.codes.data() + r * f.row_bytes(out.columns),
                          out.scales.data() + r * f.blocks_of_row(out.columns) * f.scale_bytes, gguf_->path(), tensor);
        });
    return 1;
  }
  const auto scheme = quantization_ ? quantization_->scheme_of(module_of(name)) : std::nullopt;
  if (!scheme || scheme->format != out.format)
    throw BadInput(source(), name,
                   fmt::format("expected {}, but the config says {}", out.format->name,
                               scheme ? scheme->format->name : "that it is left as it was"));
  if (scheme->packing != Packing::mxfp4_blocks)
    return read_packed(*safetensors_, module_of(name), scheme->packing, out);
  const Place p = place(name, out.rows);
  if (!p.matrix) throw BadInput(source(), name, "expected the experts in one tensor, '...experts.gate_up_proj_blocks'");
  read_mxfp4_blocks(*safetensors_, p.tensor, *p.matrix, p.first_row, p.step, out);
  return 1;
}

}  // namespace layercost
