// SPDX-License-Identifier: Apache-2.0
#include "harness/plan/head.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "kernels/core/error.h"

namespace layercost {
namespace {

// num_labels, or the length of id2label; 2 where neither is there, as transformers takes it.
std::int64_t labels_of(const JsonNode& config) {
  constexpr std::int64_t kMaxLabels = 1 << 20;
  const auto given = config.find_int("num_labels", 1, kMaxLabels);
  const auto names = config.find("id2label");
  if (!names) return given.value_or(2);
  const auto count = static_cast<std::int64_t>(names->keys().size());
  if (count < 1 || count > kMaxLabels) names->fail("expected at least one label");
  if (given && *given != count)
    config.fail(
        "num_labels",
        fmt::format("is {}, but id2label has {} labels; transformers 4 takes the one, 5 the other", *given, count));
  return count;
}

bool is_draft(const std::string& name) {
  constexpr std::string_view kWords[] = {"Eagle", "Draft", "Medusa", "NextN", "MTP", "Speculator"};
  return std::any_of(std::begin(kWords), std::end(kWords),
                     [&](std::string_view word) { return name.find(word) != std::string::npos; });
}

bool says_embedding(const std::string& name) { return ascii_lower(name).find("embed") != std::string::npos; }

}  // namespace

HeadSpec read_head(const JsonNode& config, const Family& family, const std::string& architecture, bool of_multimodal,
                   ModelSpec& m) {
  const std::string prefix(family.class_prefix), causal = prefix + "ForCausalLM", bare = prefix + "Model",
                                                 score = prefix + "ForSequenceClassification";
  const std::vector<std::string> known = {causal, score, bare};
  // A class of a repository's own code is called as transformers calls it.
  const auto usual = [&](std::string name) {
    for (const std::string_view other : family.other_prefixes)
      for (const std::string_view end : {"ForCausalLM", "ForSequenceClassification", "Model"})
        if (name == std::string(other) + std::string(end)) return prefix + std::string(end);
    return name;
  };
  const auto pictures = [&](const std::string& n) { return of_multimodal && n.ends_with("ForConditionalGeneration"); };
  std::string name = causal;
  bool said = false;
  if (const auto list = config.find("architectures"); list && !list->as_list().empty()) {
    const std::vector<std::string> names = list->as_string_list(128);
    name = usual(names.front());
    said = true;
    if (names.size() > 1) m.notes.push_back(fmt::format("architectures names {}; {} is taken", names.size(), name));
  }
  if (!architecture.empty()) {
    if (std::find(known.begin(), known.end(), architecture) == known.end())
      throw BadInput(fmt::format("--architecture: \"{}\" is no class of model_type {} that is known{}; known are: {}",
                                 printable(architecture, 128), family.model_type, did_you_mean(architecture, known),
                                 fmt::join(known, ", ")));
    if (said && architecture != name) m.notes.push_back(fmt::format("taken as {}, not as {}", architecture, name));
    name = architecture;
  } else if (name == causal || pictures(name)) {
    std::error_code ignored;
    const std::filesystem::path file = m.path;
    const auto beside = [&](const char* other) { return std::filesystem::exists(file.parent_path() / other, ignored); };
    if (file.filename() == "config.json" && (beside("modules.json") || beside("config_sentence_transformers.json"))) {
      m.notes.push_back("an embedding model (sentence-transformers' files lie beside its config): no LM head");
      name = bare;
    } else if (said && (says_embedding(m.name) || says_embedding(m.id))) {
      config.fail("architectures",
                  fmt::format("says {}, but embedding models are published without an LM head, and the name says "
                              "that this is one; choose with --architecture {} (none) or {} (with an LM head)",
                              name, bare, causal));
    }
  }
  if (name == causal || pictures(name)) return {HeadSpec::Kind::language, m.vocab};
  if (name == bare) return {HeadSpec::Kind::none, 0};
  if (name == score) return {HeadSpec::Kind::score, labels_of(config)};
  if (is_draft(name))
    config.fail("architectures",
                fmt::format("\"{}\" is a draft head: it reads hidden states of the model that it drafts for, and its "
                            "layers are others than model_type {}'s; not supported yet",
                            name, family.model_type));
  config.fail("architectures",
              fmt::format("\"{}\" is no class of model_type {} that is known{}: its layers or its head may be others; "
                          "known are: {}; --architecture {} measures it as that",
                          name, family.model_type, did_you_mean(name, known), fmt::join(known, ", "), causal));
}

}  // namespace layercost
