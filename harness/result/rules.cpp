// SPDX-License-Identifier: Apache-2.0
#include "harness/result/rules.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <set>
#include <string_view>
#include <utility>

#include "harness/result/op_work.h"
#include "harness/spec/part_name.h"
#include "harness/spec/price_spec.h"
#include "kernels/core/error.h"

namespace layercost {
namespace {

// time x passes x layers and section are the same but for rounding.
constexpr double kRounding = 1e-9;

// Whether the file follows schema 1.4 or a later one.
bool since_1_4(const ResultFile& file) {
  constexpr std::string_view kOlder[] = {"1.0.", "1.1.", "1.2.", "1.3."};
  return std::none_of(std::begin(kOlder), std::end(kOlder),
                      [&](std::string_view older) { return file.schema_version.starts_with(older); });
}

// Of each sequence.
std::int64_t new_tokens(const PointRecord& point) {
  return point.new_tokens != 0 ? point.new_tokens : new_tokens_of(point);
}

std::optional<Problem> problem_of(const Verdict& verdict, const std::string& place) {
  const std::tuple<const char*, double, double> figures[] = {{"rel_l2", verdict.rel_l2, verdict.rel_l2_limit},
                                                             {"worst_row", verdict.worst_row, verdict.worst_row_limit},
                                                             {"gain", verdict.gain, verdict.gain_limit}};
  for (const auto& [name, value, limit] : figures)
    if (value < 0) return Problem{fmt::format("{}.{}", place, name), fmt::format("{} is negative", value)};
  if (!verdict.ok) return std::nullopt;
  for (const auto& [name, value, limit] : figures)
    if (!std::isfinite(value)) return Problem{place, "passed, but with figures missing"};
  for (const auto& [name, value, limit] : figures)
    if (!(limit <= kMostLimit))
      return Problem{fmt::format("{}.{}_limit", place, name),
                     fmt::format("{} is over {}, and nothing is checked by it", limit, kMostLimit)};
  for (const auto& [name, value, limit] : figures)
    if (!(value <= limit))
      return Problem{fmt::format("{}.{}", place, name),
                     fmt::format("{} is over the limit {}, and yet it is said to have passed", value, limit)};
  if (verdict.rows_checked < 1 || verdict.rows_checked > verdict.rows)
    return Problem{place + ".rows_checked",
                   fmt::format("passed, but on {} of {} rows", verdict.rows_checked, verdict.rows)};
  if (verdict.checks < 1) return Problem{place + ".checks", "passed, but in no check"};
  return std::nullopt;
}

std::optional<Problem> problem_of(const Sample& sample, std::int64_t layers, std::int64_t tokens,
                                  const ModelRecord& model, const std::string& place) {
  const double section_s = sample.time_s * static_cast<double>(sample.passes) * static_cast<double>(layers);
  if (!(std::abs(section_s - sample.section_s) <= kRounding * sample.section_s))
    return Problem{place + ".time_s", fmt::format("{} s over {} passes of {} layers are not the section of {} s",
                                                  sample.time_s, sample.passes, layers, sample.section_s)};
  if (!sample.distinct_experts) return std::nullopt;
  if (!model.experts)
    return Problem{place + ".distinct_experts", fmt::format("the model {} has no experts", printable(model.name))};
  const double distinct = *sample.distinct_experts, least = static_cast<double>(*model.top_k);
  const double most = std::min(static_cast<double>(*model.experts), static_cast<double>(tokens) * least);
  if (!(least <= distinct && distinct <= most * (1 + kRounding)))
    return Problem{place + ".distinct_experts", fmt::format("expected {}..{} of the {} of the model {}, got {}", least,
                                                            most, *model.experts, printable(model.name), distinct)};
  return std::nullopt;
}

std::optional<Problem> problem_of(const RoutingRecord& routing, const PointRecord& point, std::int64_t tokens,
                                  const ModelRecord& model, const std::string& place) {
  if (static_cast<std::int64_t>(routing.histogram.size()) != routing.experts)
    return Problem{place + ".histogram",
                   fmt::format("has {} entries for {} experts", routing.histogram.size(), routing.experts)};
  if (routing.experts != model.experts || routing.top_k != model.top_k)
    return Problem{place, fmt::format("{} of {} experts, but the model {} has {} of {}", routing.top_k, routing.experts,
                                      printable(model.name), model.top_k.value_or(0), model.experts.value_or(0))};
  if (routing.name != point.routing)
    return Problem{place + ".name",
                   fmt::format("'{}', but the point's is '{}'", printable(routing.name), printable(point.routing))};
  std::int64_t drawn = 0, counted = 0;
  bool small =
      !__builtin_mul_overflow(routing.draws, tokens, &drawn) && !__builtin_mul_overflow(drawn, routing.top_k, &drawn);
  for (const std::int64_t of_expert : routing.histogram)
    small = small && !__builtin_add_overflow(counted, of_expert, &counted);
  if (!small || counted != drawn)
    return Problem{place + ".histogram", fmt::format("does not add up to {} draws x {} tokens x {} experts of each",
                                                     routing.draws, tokens, routing.top_k)};
  return std::nullopt;
}

// "attention batch=1 q_len=1 ...": an op and what it was given, which for a layer is what the point says.
std::optional<std::string> wrong_case(const std::string& text, const PointRecord& point, std::int64_t tokens,
                                      bool is_layer) {
  const auto is_name = [](std::string_view word) {
    return !word.empty() && word.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") == std::string_view::npos;
  };
  const std::pair<std::string_view, std::int64_t> said[] = {{"batch", point.batch},
                                                            {"q_len", new_tokens(point)},
                                                            {"kv_len", point.context + (point.phase == "decode")},
                                                            {"tokens", tokens}};
  std::size_t end = text.find(' ');
  bool good = is_name(std::string_view(text).substr(0, end)) && end != std::string::npos;
  while (good && end != std::string::npos) {
    const std::size_t begin = end + 1;
    end = text.find(' ', begin);
    const std::string_view word = std::string_view(text).substr(begin, end == std::string::npos ? end : end - begin);
    const std::size_t equals = word.find('=');
    good = equals != std::string_view::npos && equals + 1 < word.size() && is_name(word.substr(0, equals));
    if (!good || !is_layer) continue;
    const std::string_view value = word.substr(equals + 1);
    for (const auto& [key, expected] : said) {
      std::int64_t number = 0;
      const auto [at, error] = std::from_chars(value.data(), value.data() + value.size(), number);
      if (key == word.substr(0, equals) &&
          (error != std::errc() || at != value.data() + value.size() || number != expected))
        return fmt::format("{}, but the point's is {}", printable(std::string(word)), expected);
    }
  }
  if (!good) return fmt::format("'{}' is no op case (form: op key=value key=value)", printable(text));
  return std::nullopt;
}

// What an op's figures have to be by its case; the layer's first and last op carry its input and output, too.
std::optional<Problem> problem_of(const OpRecord& op, const PointRecord& point, bool is_first, bool is_last,
                                  const std::string& place) {
  std::optional<CaseWork> work;
  try {
    work = work_of(OpCase::parse(op.case_text));
  } catch (const BadCase& e) {
    return Problem{place + ".case_text", e.what()};
  }
  if (!work) return std::nullopt;
  const double bytes = work->bytes + (is_first ? work->input_bytes : 0) + (is_last ? work->output_bytes : 0);
  const auto products = other_products(work->product_flops, point.activation_type);
  for (const auto& [name, said] : op.product_flops) {
    const auto implied = products.find(name);
    if (implied == products.end() || !(std::abs(said - implied->second) <= kRounding * implied->second))
      return Problem{fmt::format("{}.product_flops", place),
                     fmt::format("{} in '{}', but its case implies {}", said, printable(name),
                                 implied == products.end() ? "none" : fmt::format("{}", implied->second))};
  }
  if (!op.product_flops.empty() && op.product_flops.size() != products.size())
    return Problem{fmt::format("{}.product_flops", place),
                   fmt::format("{} arithmetics, but its case implies {}", op.product_flops.size(), products.size())};
  const std::tuple<const char*, double, double> figures[] = {
      {"flops", op.flops, work->flops},
      {"bytes", op.bytes, bytes},
      {"bytes_per_distinct_expert", op.bytes_per_distinct_expert, work->bytes_per_distinct_expert}};
  for (const auto& [name, said, implied] : figures)
    if (!(std::abs(said - implied) <= kRounding * implied))
      return Problem{fmt::format("{}.{}", place, name), fmt::format("{}, but its case implies {}", said, implied)};
  return std::nullopt;
}

// Of a part that receives rows for the experts that it has of the model's: as if they were tokens of such a model.
std::optional<Problem> as_received(const PartRecord& part, const std::string& place, std::int64_t& tokens,
                                   ModelRecord& model) {
  std::int64_t rows = 0;
  const std::int64_t ranks = ranks_of_name(model.name);
  if (!model.experts || __builtin_mul_overflow(tokens, *model.top_k, &rows) ||
      rows > std::numeric_limits<std::int64_t>::max() - ranks)
    return Problem{place + ".kind", fmt::format("'{}' of the model {}, which has no such layers", printable(part.kind),
                                                printable(model.name))};
  if (part.routing && (part.routing->experts <= 0 || *model.experts % part.routing->experts != 0))
    return Problem{place + ".routing.experts",
                   fmt::format("{} do not divide the {} of the model {}", part.routing->experts, *model.experts,
                               printable(model.name))};
  tokens = received_rows(tokens, *model.top_k, ranks);
  if (part.routing) model.experts = part.routing->experts;
  model.top_k = 1;
  return std::nullopt;
}

std::optional<Problem> problem_of(const PartRecord& part, const PointRecord& point, ModelRecord model,
                                  const std::string& place) {
  std::int64_t tokens = point.tokens;
  if (is_received_part(part.kind))
    if (auto problem = as_received(part, place, tokens, model)) return problem;
  const bool has_samples =
      std::any_of(part.rounds.begin(), part.rounds.end(), [](const Round& round) { return !round.samples.empty(); });
  if (part.outcome == Outcome::measured) {
    if (!part.verdict || !part.verdict->ok)
      return Problem{place, "measured, but without a passed check: no time without a verdict"};
    if (!has_samples) return Problem{place, "measured, but without samples"};
  }
  if (part.outcome == Outcome::wrong && has_samples)
    return Problem{place, "wrong, but with samples: no time is kept for a wrong output"};
  if (part.outcome == Outcome::skipped && has_samples) return Problem{place, "skipped, but with samples"};
  if (part.verdict)
    if (auto problem = problem_of(*part.verdict, place + ".verdict")) return problem;
  std::set<std::int64_t> indices;
  for (const Round& round : part.rounds) {
    if (!indices.insert(round.index).second)
      return Problem{place + ".rounds", fmt::format("round {} appears twice", round.index)};
    if (round.samples.empty())
      return Problem{fmt::format("{}.rounds[{}]", place, &round - part.rounds.data()), "has no samples"};
    if (!part.stack && !round.layers) return Problem{place, "has samples, but no stack that they were taken of"};
    const std::int64_t layers = round.layers ? *round.layers : part.stack->layers;
    for (std::size_t s = 0; s < round.samples.size(); ++s)
      if (auto problem = problem_of(round.samples[s], layers, tokens, model, ""))
        return Problem{
            fmt::format("{}.rounds[{}].samples[{}]{}", place, &round - part.rounds.data(), s, problem->place),
            problem->message};
  }
  for (const OpRecord& op : part.ops) {
    if (const auto wrong = wrong_case(op.case_text, point, tokens, part.kind != kHeadPart))
      return Problem{fmt::format("{}.ops[{}].case_text", place, &op - part.ops.data()), *wrong};
    const std::string op_place = fmt::format("{}.ops[{}]", place, &op - part.ops.data());
    double in_products = 0;
    for (const auto& [name, flops] : op.product_flops) in_products += flops;
    if (!(in_products <= op.flops * (1 + kRounding)))
      return Problem{op_place + ".product_flops",
                     fmt::format("{} of {} flops, more than all of it", in_products, op.flops)};
    if (auto problem = problem_of(op, point, &op == &part.ops.front(), &op == &part.ops.back(), op_place))
      return problem;
    if (op.chosen_by && *op.chosen_by != "order" && *op.chosen_by != "measured" && *op.chosen_by != "pinned")
      return Problem{place + ".ops", fmt::format("chosen_by: expected order, measured or pinned, got \"{}\"",
                                                 printable(*op.chosen_by))};
  }
  if (part.stack && part.stack->huge_page_fraction.value_or(0) > 1)
    return Problem{place + ".stack.huge_page_fraction", "more than 1"};
  if (part.routing) return problem_of(*part.routing, point, tokens, model, place + ".routing");
  return std::nullopt;
}

std::optional<Problem> problem_of(const PeerRecord& peer, const PointIndex& index, const std::string& place) {
  const auto text = [](const std::string& word) { return printable(word); };
  if (peer.implementation.empty() || peer.implementation == "layercost") {
    return Problem{place + ".implementation",
                   fmt::format("expected the name of another program, got \"{}\"", text(peer.implementation))};
  }
  const std::vector<const PointRecord*> points = index.matching(peer);
  const std::string scenario = printable(to_text(peer), 300);
  if (points.empty()) return Problem{place, "there is no point " + scenario};
  if (points.size() > 1) {
    return Problem{place, fmt::format("there are {} points {}, and nothing tells which one was measured beside it",
                                      points.size(), scenario)};
  }
  const std::vector<PartRecord>& parts = points[0]->parts;
  if (peer.kind == kHeadPart ||
      std::none_of(parts.begin(), parts.end(), [&](const PartRecord& part) { return part.kind == peer.kind; })) {
    return Problem{place + ".kind", fmt::format("'{}' is no kind of layer of the point {}", text(peer.kind), scenario)};
  }
  std::set<std::int64_t> indices;
  for (const PeerRound& round : peer.rounds) {
    if (!indices.insert(round.index).second)
      return Problem{place + ".rounds", fmt::format("round {} appears twice", round.index)};
    if (round.samples_s.empty()) return Problem{place + ".rounds", fmt::format("round {} has no samples", round.index)};
  }
  if (peer.rounds.empty() && peer.note.empty()) return Problem{place + ".note", "no samples, and no reason why"};
  return std::nullopt;
}

std::optional<Problem> problem_of(const ModelRecord& model, const std::string& place) {
  if (model.parameters_active > model.parameters_total)
    return Problem{place + ".parameters_active",
                   fmt::format("{} of {} in total", model.parameters_active, model.parameters_total)};
  if (const auto& active = model.parameters_active_with_embedding) {
    if (*active < model.parameters_active || *active > model.parameters_total ||
        (!model.experts && *active != model.parameters_total))
      return Problem{
          place + ".parameters_active_with_embedding",
          fmt::format("expected {}..{}, got {}", model.experts ? model.parameters_active : model.parameters_total,
                      model.parameters_total, *active)};
  }
  if (model.experts.has_value() != model.top_k.has_value()) return Problem{place, "experts and top_k go together"};
  if (model.experts && *model.top_k > *model.experts)
    return Problem{place + ".top_k", fmt::format("{} of {} experts", *model.top_k, *model.experts)};
  return std::nullopt;
}

// Of a point's parts: what only holds of all of them.
std::optional<Problem> problem_of(const PointRecord& point, const ModelRecord& model, const std::string& place) {
  std::int64_t tokens = 0;
  const std::int64_t each = new_tokens(point);
  if (__builtin_mul_overflow(point.batch, each, &tokens) || tokens != point.tokens)
    return Problem{place + ".tokens",
                   fmt::format("{}, but batch {} x {} new tokens of each sequence", point.tokens, point.batch, each)};
  std::int64_t layers = 0, heads = 0;
  for (const PartRecord& part : point.parts) {
    if ((part.count == 0) != is_beside_model(part.kind))
      return Problem{fmt::format("{}.parts[{}].count", place, &part - point.parts.data()),
                     fmt::format("{} of '{}'; expected 0 of what no step has (mtp ...), and at least 1 of the rest",
                                 part.count, printable(part.kind))};
    if (part.kind == kHeadPart) heads += part.count;
    else if (is_received_part(part.kind)) continue;  // of layers that are counted by their own kind
    else if (__builtin_add_overflow(layers, part.count, &layers)) return Problem{place + ".parts", "too many layers"};
  }
  if (heads != 1) return Problem{place + ".parts", fmt::format("expected one head, got {}", heads)};
  if (layers != model.layers)
    return Problem{place + ".parts", fmt::format("their counts add up to {} layers, the model {} has {}", layers,
                                                 printable(model.name), model.layers)};
  return std::nullopt;
}

// The price of an hour, where the record says it once more: as given on the command line ("2.50/h"), or in a rental's
// label ("..., 21.52 USD/h for 8 devices, ..."). Another record's file is not at hand, and may have changed since.
std::optional<Problem> problem_of(const PriceRecord& price) {
  std::string_view amount, devices = "1";
  if (price.model == "command line") {
    amount = std::string_view(price.id).substr(0, price.id.size() - std::min<std::size_t>(price.id.size(), 2));
    if (!price.id.ends_with("/h") || !parse_decimal(amount))
      return Problem{"price.id",
                     fmt::format("expected USD per hour such as \"2.50/h\", got \"{}\"", printable(price.id))};
  } else if (price.model == "rented") {
    constexpr std::string_view kUnit = " USD/h";
    const std::string_view label = price.label;
    const std::size_t end = label.rfind(kUnit);
    if (end == std::string_view::npos) return std::nullopt;
    const std::size_t begin = label.rfind(' ', end - 1);
    amount = label.substr(begin + 1, end - begin - 1);
    if (std::string_view rest = label.substr(end + kUnit.size()); rest.starts_with(" for ")) {
      rest.remove_prefix(5);
      devices = rest.substr(0, rest.find(' '));
    }
  }
  const auto usd = parse_decimal(amount), shared_by = parse_decimal(devices);
  if (!usd || !shared_by || std::abs(*usd / *shared_by - price.usd_per_hour) <= kRounding * price.usd_per_hour)
    return std::nullopt;
  return Problem{"price.usd_per_h", fmt::format("{}, but {} USD for {} device{} is what the record says",
                                                price.usd_per_hour, printable(std::string(amount)),
                                                printable(std::string(devices)), devices == "1" ? "" : "s")};
}

// Of plain formats: the whole model's weights, where its counts are those that its digest was made with, and its cache
// where every layer's attention tells its part of it.
std::optional<Problem> problem_of(const MemoryRecord& memory, const PointRecord& point, const ModelRecord& model,
                                  const std::string& place) {
  const auto differ = [](double a, double b) { return !(std::abs(a - b) <= kRounding * b); };
  // Vectors that stay f32 (sinks, corrections of a router) take twice their part of a model in bf16: of published ones
  // 1e-6 and less, of the smallest in the tests 1e-3.
  constexpr double kF32Vectors = 0.01;
  // One of several devices that share the experts or all layers holds a part of the weights.
  const bool shares =
      ranks_of_name(model.name) > 1 || std::any_of(point.parts.begin(), point.parts.end(),
                                                   [](const PartRecord& part) { return is_received_part(part.kind); });
  for (const DType type : {DType::f32, DType::bf16}) {
    const double weights = static_cast<double>(model.parameters_total) * static_cast<double>(size_of(type));
    if (!model.digest.empty() && memory.weight_bytes > 0 && point.weight_type == to_string(type) &&
        !((shares || memory.weight_bytes >= weights * (1 - kRounding)) &&
          memory.weight_bytes <= weights * (1 + (type == DType::bf16 ? kF32Vectors : kRounding))))
      return Problem{place + ".weight_bytes",
                     fmt::format("{}, but the model {} has {} parameters in {}", memory.weight_bytes,
                                 printable(model.name), model.parameters_total, point.weight_type)};
  }
  if (memory.kv_held_bytes && *memory.kv_held_bytes < memory.kv_bytes)
    return Problem{place + ".kv_held_bytes",
                   fmt::format("{}, less than the {} that are needed", *memory.kv_held_bytes, memory.kv_bytes)};
  double cache = 0;
  for (const PartRecord& part : point.parts) {
    if (part.kind == kHeadPart) continue;
    double of_part = 0;
    for (const OpRecord& op : part.ops) of_part += cache_bytes(OpCase::parse(op.case_text)).value_or(0);
    if (!(of_part > 0)) return std::nullopt;
    cache += static_cast<double>(part.count) * of_part;
  }
  if (memory.kv_bytes > 0 && differ(memory.kv_bytes, cache))
    return Problem{place + ".kv_bytes",
                   fmt::format("{}, but the caches of its layers have {}", memory.kv_bytes, cache)};
  return std::nullopt;
}

std::optional<Problem> problem_of(const ResultFile& file) {
  if (file.price)
    if (auto problem = problem_of(*file.price)) return problem;
  if (file.price && file.price->mix) {
    const MixRecord& mix = *file.price->mix;
    if (const double sum = mix.input + mix.cached_input + mix.output; !(std::abs(sum - 1) <= kRounding))
      return Problem{"price.mix", fmt::format("its shares add up to {}, not to 1", sum)};
  }
  const bool one_machine = since_1_4(file);  // older files may have been merged of several
  std::map<std::string, const ModelRecord*> models;
  std::set<ScenarioRecord> points;
  for (std::size_t i = 0; i < file.models.size(); ++i) {
    if (!models.emplace(file.models[i].name, &file.models[i]).second)
      return Problem{fmt::format("models[{}].name", i), "appears twice"};
    if (auto problem = problem_of(file.models[i], fmt::format("models[{}]", i))) return problem;
  }
  std::set<std::pair<std::string, std::string>> pairs;
  for (std::size_t i = 0; i < file.pairs.size(); ++i) {
    if (!pairs.emplace(file.pairs[i].dense, file.pairs[i].moe).second)
      return Problem{fmt::format("pairs[{}]", i), "the same pair appears twice"};
    for (const std::string* name : {&file.pairs[i].dense, &file.pairs[i].moe}) {
      if (!models.contains(*name))
        return Problem{fmt::format("pairs[{}]", i), fmt::format("'{}' is not in models", printable(*name))};
    }
    const PairRecord& pair = file.pairs[i];
    if (models[pair.dense]->experts || !models[pair.moe]->experts)
      return Problem{fmt::format("pairs[{}]", i),
                     fmt::format("expected a dense model without experts and a mixture of them, got '{}' and '{}'",
                                 printable(pair.dense), printable(pair.moe))};
  }
  for (std::size_t i = 0; i < file.points.size(); ++i) {
    const PointRecord& point = file.points[i];
    const std::string place = fmt::format("points[{}]", i);
    if (point.phase != "decode" && point.phase != "prefill") {
      return Problem{place + ".phase",
                     fmt::format("expected \"decode\" or \"prefill\", got \"{}\"", printable(point.phase))};
    }
    const auto model = models.find(point.model);
    if (model == models.end())
      return Problem{place + ".model", fmt::format("'{}' is not in models", printable(point.model))};
    if (!points.insert(point).second) return Problem{place, "the same point appears twice"};
    std::set<std::string> kinds;
    for (std::size_t p = 0; p < point.parts.size(); ++p)
      if (!kinds.insert(point.parts[p].kind).second)
        return Problem{fmt::format("{}.parts[{}].kind", place, p), "the same kind appears twice"};
    if (auto problem = problem_of(point, *model->second, place)) return problem;
    for (std::size_t p = 0; p < point.parts.size(); ++p) {
      const std::string part_place = fmt::format("{}.parts[{}]", place, p);
      if (auto problem = problem_of(point.parts[p], point, *model->second, part_place)) return problem;
      if (const auto& stack = point.parts[p].stack;
          one_machine && stack && stack->last_level_cache_bytes != file.environment.last_level_cache_bytes)
        return Problem{part_place + ".stack.last_level_cache_bytes",
                       fmt::format("{}, but the environment's is {}", stack->last_level_cache_bytes,
                                   file.environment.last_level_cache_bytes)};
    }
    if (auto problem = problem_of(point.memory, point, *model->second, place + ".memory")) return problem;
  }
  for (std::size_t i = 0; i < file.depths.size(); ++i) {
    if (file.depths[i].depths.size() != file.depths[i].time_s.size()) {
      return Problem{fmt::format("depths[{}]", i),
                     fmt::format("{} depths and {} times", file.depths[i].depths.size(), file.depths[i].time_s.size())};
    }
  }
  const PointIndex index(file.points);
  std::set<PeerKey> peers;
  for (std::size_t i = 0; i < file.peers.size(); ++i) {
    const std::string place = fmt::format("peers[{}]", i);
    if (auto problem = problem_of(file.peers[i], index, place)) return problem;
    if (!peers.insert(key_of(file.peers[i])).second) return Problem{place, "the same peer appears twice"};
  }
  return std::nullopt;
}

}  // namespace

std::optional<Problem> first_problem(const ResultFile& file) { return problem_of(file); }

void name_layers(ResultFile& file) {
  for (PointRecord& point : file.points)
    for (PartRecord& part : point.parts)
      for (Round& round : part.rounds) {
        if (!part.stack || round.layers || round.samples.empty()) continue;
        const Sample& s = round.samples.front();
        const double layers = std::round(s.section_s / static_cast<double>(s.passes) / s.time_s);
        if (layers > static_cast<double>(part.stack->layers) && layers <= 512)
          round.layers = static_cast<std::int64_t>(layers);
      }
}

PointIndex::PointIndex(const std::vector<PointRecord>& points) {
  for (const PointRecord& point : points) {
    by_step_[{point.model, point.phase, point.batch, point.context}].push_back(&point);
    all_.push_back(&point);
  }
}

std::vector<const PointRecord*> PointIndex::matching(const ScenarioRecord& partial) const {
  const bool whole_step = !partial.model.empty() && !partial.phase.empty() && partial.batch != 0;
  const auto at = by_step_.find({partial.model, partial.phase, partial.batch, partial.context});
  static const std::vector<const PointRecord*> kNone;
  std::vector<const PointRecord*> found;
  for (const PointRecord* point : !whole_step ? all_ : at == by_step_.end() ? kNone : at->second)
    if (matches(partial, *point)) found.push_back(point);
  return found;
}

}  // namespace layercost
