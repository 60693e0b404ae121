// SPDX-License-Identifier: Apache-2.0
#include "harness/plan/digest.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

namespace layercost {
namespace {

using Json = nlohmann::json;
namespace fs = std::filesystem;

class Digest : public testing::Test {
 protected:
  Digest() {
    std::string pattern = (fs::temp_directory_path() / "layercost-digest-XXXXXX").string();
    folder = ::mkdtemp(pattern.data());
  }
  ~Digest() override { fs::remove_all(folder); }

  std::string of(const Json& json, const std::string& name = "config.json") const {
    std::ofstream(folder / name) << json;
    return model_digest(read_model(folder / name));
  }
  fs::path folder;
  const Json config = Json::parse(R"({"model_type": "qwen3_moe", "hidden_size": 512,
      "num_hidden_layers": 3, "num_attention_heads": 4,
      "num_key_value_heads": 2, "head_dim": 64, "intermediate_size": 1024,
      "vocab_size": 32768, "num_experts": 4, "num_experts_per_tok": 2,
      "moe_intermediate_size": 256, "norm_topk_prob": true,
      "decoder_sparse_step": 1, "mlp_only_layers": [], "hidden_act": "silu",
      "rms_norm_eps": 1e-06, "rope_theta": 10000.0,
      "max_position_embeddings": 4096, "tie_word_embeddings": false})");
};

TEST_F(Digest, IsTheSameForTheSameModel) {
  const std::string digest = of(config);
  EXPECT_EQ(digest.size(), 16u);
  EXPECT_EQ(of(config, "another-name.json"), digest);
  Json other = config;
  other["max_position_embeddings"] = 8192;
  other["auto_map"] = {{"AutoModel", "x.Y"}};
  other["torch_dtype"] = "bfloat16";
  EXPECT_EQ(of(other), digest);
}

TEST_F(Digest, TellsApartWhateverNumbersFollowFrom) {
  const std::pair<const char*, Json> changes[] = {
      {"hidden_size", 256},
      {"num_hidden_layers", 4},
      {"num_attention_heads", 8},
      {"num_key_value_heads", 4},
      {"head_dim", 32},
      {"vocab_size", 1024},
      {"num_experts", 8},
      {"num_experts_per_tok", 1},
      {"moe_intermediate_size", 128},
      {"mlp_only_layers", {1}},
      {"rms_norm_eps", 1e-5},
      {"rope_theta", 5e5},
      {"tie_word_embeddings", true},
      {"norm_topk_prob", false},
  };
  std::set<std::string> seen = {of(config)};
  for (const auto& [key, value] : changes) {
    Json other = config;
    other[key] = value;
    EXPECT_TRUE(seen.insert(of(other)).second) << key;
  }
  Json first = config, second = config;  // as many layers of each kind, elsewhere
  first["mlp_only_layers"] = {0};
  second["mlp_only_layers"] = {2};
  EXPECT_TRUE(seen.insert(of(first)).second);
  EXPECT_TRUE(seen.insert(of(second)).second);
}

}  // namespace
}  // namespace layercost
